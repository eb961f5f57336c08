"""What the jailed worker leaves and the trusted side reads: JSON, held to these records.

Pictures lie beside it as files and are named, never embedded. Everything that quotes a cell is
in ``Shown``, so that the trusted side can seal it away from what it writes into the log.
Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sealwright.core.errors import BadInput
from sealwright.scan.canary import Seen
from sealwright.scan.ensemble import Screening, Verdict
from sealwright.scan.interface import Fact, Group, Rank, Spec

VERSION = 1
MOST_BYTES = 256 << 20


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For people, and quoting records: the pattern, lines, and the name of a picture."""

    pattern: str = ""
    lines: tuple[str, ...] = ()
    picture: str = ""


class DetectorReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One detector: what it is, its share of the error, how it ended. ``error`` blocks."""

    spec: Spec
    alpha: float
    tried: int
    unread: int
    error: str = ""


class GroupReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One group; ``significant`` when it holds at its detector's share of the error."""

    detector: str
    family: str
    key: str
    label: str
    count: int
    seen: int
    expected: float
    statistic: float
    p_value: float
    significant: bool
    carriers: tuple[int, ...]
    shown: Shown


class RankReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record worth a look, and which detector says so."""

    detector: str
    rank: Rank


class FactReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact about the whole version, and which detector says so."""

    detector: str
    fact: Fact


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that was found. ``records`` is how many were read, ``unread`` how many could not be."""

    version: int
    records: int
    unread: int
    detectors: tuple[DetectorReport, ...]
    groups: tuple[GroupReport, ...]
    ranks: tuple[RankReport, ...]
    facts: tuple[FactReport, ...]
    canaries: tuple[Seen, ...] = ()

    @property
    def blocks(self) -> bool:
        """Does any detector block: a significant group, or one that could not look?"""
        return any(one.significant for one in self.groups) or any(x.error for x in self.detectors)


def make(
    screening: Screening,
    records: int,
    facts: tuple[FactReport, ...] = (),
    canaries: tuple[Seen, ...] = (),
    unread: int = 0,
) -> tuple[Report, Mapping[str, bytes]]:
    """The report, and its pictures by the name that the report gives them."""
    pictures: dict[str, bytes] = {}
    groups, ranks, said = [], [], list(facts)
    for verdict in screening.verdicts:
        if verdict.result is None:
            continue
        name = verdict.spec.name
        for group in verdict.result.groups:
            picture = f"previews/{name}-{len(pictures)}.png" if group.preview.png else ""
            if picture:
                pictures[picture] = group.preview.png
            groups.append(_group(verdict, group, picture))
        ranks += [RankReport(name, rank) for rank in verdict.result.ranks]
        said += [FactReport(name, fact) for fact in verdict.result.facts]
    report = Report(
        VERSION,
        records,
        unread,
        tuple(map(_detector, screening.verdicts)),
        tuple(groups),
        tuple(ranks),
        tuple(said),
        canaries,
    )
    return report, pictures


def encode(report: Report) -> bytes:
    """As JSON with sorted keys."""
    return msgspec.json.encode(report, order="sorted")


def decode(data: bytes) -> Report:
    """Raises: BadInput (not a report, unknown fields, another version, ids out of range)."""
    if len(data) > MOST_BYTES:
        raise BadInput("the screening report is too large", why=f"at most {MOST_BYTES:,} bytes")
    try:
        report = msgspec.json.decode(data, type=Report)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInput("this is no screening report", why=str(error)) from None
    if report.version != VERSION:
        raise BadInput(f"screening report version {report.version}", why=f"known: {VERSION}")
    for group in report.groups:
        inside = all(0 <= one < report.records for one in group.carriers)
        if not inside or len(group.carriers) > group.count or not 0 <= group.p_value <= 1:
            raise BadInput("this is no screening report", why=f"group {group.key} contradicts it")
    if not all(0 <= one.rank.record < report.records for one in report.ranks):
        raise BadInput("this is no screening report", why="it ranks a record that is not there")
    return report


def _detector(verdict: Verdict) -> DetectorReport:
    result = verdict.result
    return DetectorReport(
        verdict.spec,
        verdict.alpha,
        result.tried if result else 0,
        result.unread if result else 0,
        verdict.error,
    )


def _group(verdict: Verdict, group: Group, picture: str) -> GroupReport:
    return GroupReport(
        verdict.spec.name,
        group.family,
        group.key,
        group.label,
        group.count,
        group.seen,
        float(group.expected),
        float(group.statistic),
        float(group.p_value),
        verdict.spec.kind == "group" and group.p_value <= verdict.alpha,
        tuple(int(one) for one in group.carriers),
        Shown(group.pattern, group.preview.lines, picture),
    )
