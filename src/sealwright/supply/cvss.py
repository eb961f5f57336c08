"""The base score of a CVSS 3.0 or 3.1 vector.

Source: FIRST, Common Vulnerability Scoring System v3.1, section 7.1 and appendix A.
"""

from __future__ import annotations

from sealwright.core.errors import BadInput

_AV = {"N": 85, "A": 62, "L": 55, "P": 20}
_AC = {"L": 77, "H": 44}
_PR = {"U": {"N": 85, "L": 62, "H": 27}, "C": {"N": 85, "L": 68, "H": 50}}
_UI = {"N": 85, "R": 62}
_IMPACT = {"H": 56, "L": 22, "N": 0}


def base(vector: str) -> int:
    """Ten times the base score, 0 to 100. Raises: BadInput (no CVSS 3 vector)."""
    head, _, rest = vector.partition("/")
    if head not in ("CVSS:3.0", "CVSS:3.1"):
        raise BadInput("not a CVSS 3 vector", why=vector[:80])
    try:
        metrics = dict(part.split(":", 1) for part in rest.split("/"))
        scope = metrics["S"]
        exploit = (
            8.22
            * (_AV[metrics["AV"]] / 100)
            * (_AC[metrics["AC"]] / 100)
            * (_PR[scope][metrics["PR"]] / 100)
            * (_UI[metrics["UI"]] / 100)
        )
        kept = 1.0
        for one in "CIA":
            kept *= 1 - _IMPACT[metrics[one]] / 100
    except (KeyError, ValueError) as error:
        raise BadInput("not a CVSS 3 vector", why=vector[:80]) from error
    part = 1 - kept
    changed = scope == "C"
    impact = 7.52 * (part - 0.029) - 3.25 * (part - 0.02) ** 15 if changed else 6.42 * part
    if impact <= 0:
        return 0
    score = (impact + exploit) * (1.08 if changed else 1)
    return _up(min(score, 10.0))


def _up(score: float) -> int:
    """Roundup of appendix A, in tenths, free of binary fractions."""
    whole = round(score * 100_000)
    return whole // 10_000 if whole % 10_000 == 0 else whole // 10_000 + 1
