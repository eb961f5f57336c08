"""The model-file gate: what a file would do if it were opened, as findings of a stage.

``scan_bytes`` and ``scan_file`` are pure: bytes and a policy in, a verdict out; who calls them
does the reading and keeps the digest. The readers, the policy and its tables are in
``kit.modelfile``, because the loader obeys the same object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealwright import __version__
from sealwright.core.digest import Digest
from sealwright.core.ports import Readable
from sealwright.core.records import Finding, Json, Severity
from sealwright.kit.modelfile.limits import LIMITS, Limits
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Found, Verdict
from sealwright.kit.modelfile.rules import RULES
from sealwright.kit.modelfile.scan import Scanner, scan

THREATS = ("AML.T0010", "AML.T0011")
"""MITRE ATLAS: supply chain compromise, user execution of an unsafe artifact."""

_SEVERITIES: dict[str, Severity] = {"dangerous": "critical", "not understood": "high"}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def scan_bytes(data: bytes, name: str, policy: Policy, limits: Limits = LIMITS) -> Verdict:
    """What ``data`` is and would do. ``name`` decides nothing; it is for whoever reads along."""
    return scan(data, policy, limits)


def scan_file(source: Readable, name: str, policy: Policy, limits: Limits = LIMITS) -> Verdict:
    """The same for a source that is read piece by piece."""
    return scan(source, policy, limits)


def findings(verdict: Verdict, subject: Digest) -> tuple[Finding, ...]:
    """A verdict as a stage's findings about ``subject``; no byte of the file is in them."""
    return tuple(
        Finding(
            f"modelfile.{one.rule}",
            _SEVERITIES.get(RULES[one.rule].verdict, "info"),
            subject,
            message(one),
            RULES[one.rule].mend,
            THREATS,
            {"offset": one.offset, "opcode": one.opcode},
        )
        for one in verdict.findings
    )


def message(one: Found) -> str:
    """One sentence: where, what the rule says, what was seen, at which opcode and offset."""
    at = f" at byte {one.offset:,}" if one.offset >= 0 else ""
    spot = f" ({one.opcode}{at})" if one.opcode else at
    inside = f"{one.where}: " if one.where else ""
    return f"{inside}{RULES[one.rule].what}: {one.message}{spot}"


def as_json(verdict: Verdict) -> dict[str, Json]:
    """``verdict``, ``format`` and ``findings`` as ``seal supply scan --json`` prints them."""
    return {
        "verdict": verdict.verdict,
        "format": verdict.format,
        "findings": [
            {
                "rule": one.rule,
                "message": message(one),
                "where": one.where,
                "offset": one.offset,
                "opcode": one.opcode,
                "mend": RULES[one.rule].mend,
            }
            for one in verdict.findings
        ],
    }


def sarif(verdicts: Sequence[tuple[str, Verdict]]) -> Mapping[str, Json]:
    """SARIF 2.1.0, a result for each finding. Source: OASIS SARIF v2.1.0."""
    used = sorted({one.rule for _, verdict in verdicts for one in verdict.findings})
    rules: list[Json] = [
        {
            "id": f"modelfile.{rule}",
            "shortDescription": {"text": f"A model file {RULES[rule].what}"},
            "help": {"text": RULES[rule].mend},
        }
        for rule in used
    ]
    results: list[Json] = [
        {
            "ruleId": f"modelfile.{one.rule}",
            "level": "error" if RULES[one.rule].verdict != "note" else "note",
            "message": {"text": message(one)},
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": path}, **_region(one)}}
            ],
        }
        for path, verdict in verdicts
        for one in verdict.findings
    ]
    driver: Json = {"name": "sealwright", "version": __version__, "rules": rules}
    return {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def _region(one: Found) -> dict[str, Json]:
    if one.offset < 0 or one.where:
        return {}
    return {"region": {"byteOffset": one.offset, "byteLength": 1}}


__all__ = ["Scanner", "as_json", "findings", "message", "sarif", "scan_bytes", "scan_file"]
