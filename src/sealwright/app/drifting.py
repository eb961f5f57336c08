"""``seal data drift``: a version against an earlier one, and the statement of what moved."""

from __future__ import annotations

from typing import Any

import msgspec

from sealwright.app import rows
from sealwright.app.wiring import Workspace
from sealwright.core import clock, predicates
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, Refused
from sealwright.core.ports import Progress
from sealwright.core.records import Statement
from sealwright.evidence import jcs
from sealwright.intake.versions import Dataset
from sealwright.scan import ensemble, tables
from sealwright.scan.drift import RATE, Drift, columns, strength
from sealwright.scan.interface import Detector, Fact, Frame, Rank
from sealwright.scan.novelty import Novelty

MOST_LISTED = 100
_REPORTED = ("against", "compared", "alarms", "columns", "strength", "moved", "records")


class Drifted(msgspec.Struct, frozen=True):
    """What moved between two versions. ``index`` is the statement's log entry."""

    ref: str
    against: str
    facts: tuple[Fact, ...]
    ranks: tuple[Rank, ...]
    compared: int
    report: Digest
    index: int

    @property
    def alarms(self) -> int:
        """How many facts say that something moved."""
        return len(self.facts)

    @property
    def columns(self) -> int:
        """In how many columns."""
        return columns(self.facts)

    @property
    def strength(self) -> int:
        """The largest effect, in percent of the least that counts."""
        return strength(self.facts)


def drift(
    workspace: Workspace, new: Dataset, old: Dataset, source: str, progress: Progress
) -> Drifted:
    """Compare, record. Raises: BadInput (no tables, no such column), VerifyError, Refused."""
    if new.digest == old.digest:
        raise BadInput(f"{new.ref} and {old.ref} are the same version")
    before, now = (_opened(workspace, one, source) for one in (old, new))
    detectors: list[Detector] = [Drift(), Novelty()]
    screening = ensemble.screen(
        now[0], now[1], detectors, alpha=RATE, reference=before, progress=progress
    )
    facts: list[Fact] = []
    ranks: list[Rank] = []
    compared = 0
    for verdict in screening.verdicts:
        if verdict.result is None:
            raise Refused(
                f"{verdict.spec.name} could not look at {new.ref}",
                why=verdict.error,
                rule="drift.failed",
            )
        facts += verdict.result.facts
        ranks += verdict.result.ranks
        compared += verdict.result.tried
    return _record(workspace, new, old, facts, ranks, compared)


def _opened(workspace: Workspace, dataset: Dataset, source: str) -> tuple[ensemble.Source, Frame]:
    def batches() -> Any:
        return rows.of(workspace, dataset)[1]

    frame = tables.survey(batches, source=source).frame
    return lambda: tables.batches(batches, frame, source=source), frame


def _record(
    workspace: Workspace,
    new: Dataset,
    old: Dataset,
    facts: list[Fact],
    ranks: list[Rank],
    compared: int,
) -> Drifted:
    listed: list[Any] = [
        {"rule": fact.rule, "metrics": dict(fact.metrics)} for fact in facts[:MOST_LISTED]
    ]
    predicate: dict[str, Any] = {
        "against": {"name": old.ref, "digest": old.digest},
        "compared": compared,
        "alarms": len(facts),
        "columns": columns(facts),
        "strength": strength(facts),
        "moved": listed,
        "records": [rank.record for rank in ranks[:MOST_LISTED]],
        "actor": workspace.principal.name,
        "time": clock.stamp(workspace.clock()),
    }
    said = {key: predicate[key] for key in _REPORTED}
    report = of_bytes(jcs.canonical({**said, "digest": new.digest}))
    receipt = workspace.recorder.record(
        Statement((new.artifact,), predicates.DRIFT, {**predicate, "report": report})
    )
    return Drifted(new.ref, old.ref, tuple(facts), tuple(ranks), compared, report, receipt.index)
