"""The model-file gate: what a file would do if it were opened, as findings of a stage.

``scan_bytes`` and ``scan_file`` are pure: bytes and a policy in, a verdict out; who calls them
does the reading and keeps the digest. The readers, the policy and its tables are in
``kit.modelfile``, because the loader obeys the same object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sealwright.core.digest import Digest
from sealwright.core.ports import Readable
from sealwright.core.records import Finding, Json, Severity
from sealwright.kit.modelfile.limits import LIMITS, Limits
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Found, Verdict
from sealwright.kit.modelfile.rules import RULES
from sealwright.kit.modelfile.scan import Scanner, scan
from sealwright.supply.sarif import Result, Rule

THREATS = ("AML.T0010", "AML.T0011")
"""MITRE ATLAS: supply chain compromise, user execution of an unsafe artifact."""

_SEVERITIES: dict[str, Severity] = {"dangerous": "critical", "not understood": "high"}


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


def results(verdicts: Sequence[tuple[str, Verdict]]) -> Iterator[Result]:
    """What SARIF shows, a result for each finding of each path."""
    for path, verdict in verdicts:
        for one in verdict.findings:
            said = RULES[one.rule]
            yield Result(
                Rule(f"modelfile.{one.rule}", f"A model file {said.what}", said.mend),
                "error" if said.verdict != "note" else "note",
                message(one),
                path,
                offset=-1 if one.where else one.offset,
            )


__all__ = ["Scanner", "as_json", "findings", "message", "results", "scan_bytes", "scan_file"]
