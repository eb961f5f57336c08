"""From a worker's report to the statement: counts, digests and rule ids, never a value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

import msgspec

from sealwright.app import screendetails
from sealwright.app.screendetails import Details, FactDetail, GroupDetail, RankDetail
from sealwright.app.screenwork import Answer
from sealwright.core.digest import Digest, of_bytes
from sealwright.intake.versions import Dataset
from sealwright.policy import screened
from sealwright.policy.screened import (
    DetectorLine,
    FactLine,
    GroupLine,
    Looked,
    Planted,
    Screening,
    SeenLine,
    Verdict,
)
from sealwright.scan.report import DetectorReport, GroupReport

MOST_GROUPS = 64
"""More are folded into one: an entry of the log has 64 KiB."""

_MOST_FACTS = 32
_KEY = re.compile(r"[A-Za-z0-9_.:=/+-]{1,128}")
_RULE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PLACES = Decimal("0.000000000001")
NOT_LOOKED = "scan.not-looked"


def decimal(number: float) -> str:
    """A decimal string, rounded up to twelve places: a p-value is never said to be smaller."""
    text = f"{Decimal(repr(float(number))).quantize(_PLACES, ROUND_CEILING):f}"
    return text.rstrip("0").rstrip(".") or "0"


def blank(
    dataset: Dataset,
    *,
    asked: Digest,
    alpha: float,
    seed: int,
    reduced: bool,
    actor: str,
) -> Screening:
    """A screening that says nothing yet; its verdict is that nobody looked."""
    return Screening(
        dataset=dataset.name,
        version=dataset.version,
        verdict="unscreened",
        why="",
        records=dataset.rows,
        unread=0,
        alpha=decimal(alpha),
        seed=seed,
        reduced=reduced,
        asked=asked,
        plan="",
        report="",
        code="",
        reference="",
        detectors=(),
        groups=(),
        facts=(),
        canaries=(),
        details=None,
        cpu_ms=0,
        peak_bytes=0,
        actor=actor,
        time="",
    )


def fill(said: Screening, answer: Answer, groups: Sequence[GroupLine]) -> Screening:
    """The screening with everything the report says that may stand in the log."""
    found = answer.report
    detectors = tuple(_detector(one, answer) for one in found.detectors)
    verdict, why = _verdict(detectors, groups)
    return msgspec.structs.replace(
        said,
        verdict=verdict,
        why=why,
        unread=answer.unread,
        plan=answer.plan,
        report=answer.report_digest,
        detectors=detectors,
        groups=tuple(groups),
        facts=tuple(_facts(answer)),
        canaries=tuple(
            SeenLine(
                seen.family,
                seen.smallest,
                tuple(Planted(x.count, x.found, x.tried) for x in seen.counts),
            )
            for seen in found.canaries
            if seen.detectors
        ),
        cpu_ms=answer.jailed.cpu_ms,
        peak_bytes=answer.jailed.peak_bytes,
    )


def groups(version: Digest, answer: Answer) -> tuple[list[GroupLine], list[GroupDetail]]:
    """The significant groups, most significant first, in the version's own record numbers."""
    significant = [one for one in answer.report.groups if one.significant]
    ordered = sorted(significant, key=lambda one: (one.p_value, -one.count))
    lines: dict[Digest, GroupLine] = {}
    details: dict[Digest, GroupDetail] = {}
    kept, folded = ordered[:MOST_GROUPS], ordered[MOST_GROUPS:]
    for one in [*kept, *_folded(folded)]:
        carriers = tuple(sorted({answer.numbers[at] for at in one.carriers}))
        line = GroupLine(
            id="",
            detector=one.detector,
            family=_plain(one.family),
            key=_plain(one.key),
            count=one.count,
            seen=one.seen,
            expected=decimal(max(0.0, one.expected)),
            p_value=decimal(one.p_value),
            carriers=screened.carriers_digest(carriers),
        )
        line = msgspec.structs.replace(line, id=screened.id_of(version, line))
        lines[line.id] = line
        details[line.id] = GroupDetail(
            line.id, one.shown.pattern, one.label, one.shown.lines, one.shown.picture, carriers
        )
    return list(lines.values()), list(details.values())


def details(version: Digest, answer: Answer, found: tuple[GroupDetail, ...]) -> Details:
    """Everything for people, with the pictures that the groups name."""
    report = answer.report
    named = [one.picture for one in found]
    return Details(
        screendetails.FORMAT,
        version,
        found,
        tuple(
            RankDetail(
                one.detector,
                answer.numbers[one.rank.record],
                one.rank.score,
                one.rank.why,
                one.rank.suggest,
            )
            for one in report.ranks
        ),
        tuple(
            FactDetail(one.detector, one.fact.rule, one.fact.severity, one.fact.message)
            for one in report.facts
        ),
        tuple((one.spec.name, one.error) for one in report.detectors if one.error),
        (),
        screendetails.pictures(answer.pictures, named),
    )


def _folded(rest: Sequence[GroupReport]) -> list[GroupReport]:
    if not rest:
        return []
    carriers = tuple(sorted({at for one in rest for at in one.carriers}))
    shown = msgspec.structs.replace(rest[0].shown, pattern=f"{len(rest)} more patterns", lines=())
    return [
        msgspec.structs.replace(
            rest[0],
            detector=rest[0].detector,
            family="several",
            key=f"more:{len(rest)}",
            label="",
            count=len(carriers),
            seen=len(carriers),
            expected=0.0,
            p_value=max(one.p_value for one in rest),
            carriers=carriers,
            shown=shown,
        )
    ]


def _plain(text: str) -> str:
    """A key as it may stand in the log; one that might quote a value is named by its digest."""
    return text if _KEY.fullmatch(text) else f"sha256:{of_bytes(text.encode('utf-8', 'replace'))}"


def _detector(one: DetectorReport, answer: Answer) -> DetectorLine:
    name, report = one.spec.name, answer.report
    silent = any(f.detector == name and f.fact.rule == NOT_LOOKED for f in report.facts)
    state: Looked = "failed" if one.error else ("not-looked" if silent else "looked")
    return DetectorLine(
        name=name,
        version=one.spec.version,
        alpha=decimal(one.alpha),
        tried=one.tried,
        groups=sum(g.significant for g in report.groups if g.detector == name),
        ranked=sum(r.detector == name for r in report.ranks),
        unread=one.unread,
        state=state,
    )


def _facts(answer: Answer) -> list[FactLine]:
    seen = dict.fromkeys(
        (one.detector, one.fact.rule, one.fact.severity) for one in answer.report.facts
    )
    lines = [FactLine(*_safe(each)) for each in seen]
    return lines[:_MOST_FACTS]


def _safe(each: tuple[str, str, str]) -> tuple[str, str, str]:
    by, rule, severity = each
    return (
        by if _RULE.fullmatch(by) else "unnamed",
        rule if _RULE.fullmatch(rule) else "unnamed",
        severity,
    )


def _verdict(detectors: Sequence[DetectorLine], groups: Sequence[GroupLine]) -> tuple[Verdict, str]:
    if failed := [one.name for one in detectors if one.state == "failed"]:
        return "failed", f"detector:{failed[0]}"
    if groups:
        return "found", ""
    if not any(one.state == "looked" for one in detectors):
        return "unscreened", "screening.no-detector"
    return "nothing-found", ""
