"""``seal run --when-drifted``: whether a stage has to run again, and what says so.

A stage is due when it never ended well, or when the newest version of an input has drifted from
the one its last good run read. What is new and cannot be compared counts as drifted. A guard that
says that a model's traffic moved makes it due where newer data is there to train on.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sealwright.app import drifting
from sealwright.app.pastruns import Past, past_of
from sealwright.app.running import default_inputs
from sealwright.app.wiring import Workspace
from sealwright.core import predicates
from sealwright.core.errors import BadInput
from sealwright.core.ports import Progress
from sealwright.evidence.history import History
from sealwright.intake.versions import Dataset, Datasets
from sealwright.pipeline.spec import StageSpec
from sealwright.policy.drifted import Compared, Drifts, read

Why = Literal["never-ran", "drifted", "traffic", "incomparable", "unchanged", "not-drifted"]


class Said(msgspec.Struct, frozen=True):
    """What one input says. ``columns`` and ``strength`` as in ``drift/v1``; -1: no entry."""

    ref: str
    against: str
    why: Why
    columns: int = 0
    strength: int = 0
    entry: int = -1


class Due(msgspec.Struct, frozen=True):
    """Whether a stage has to run again, and what its inputs say."""

    stage: str
    due: bool
    why: Why
    inputs: tuple[Said, ...]

    def line(self) -> str:
        """For people."""
        told = [
            f"{one.ref} has drifted from {one.against} (columns: {one.columns:,}; the largest"
            f" effect is {one.strength:,} % of the least that counts)"
            for one in self.inputs
            if one.why == "drifted"
        ]
        told += [
            f"{one.ref} cannot be compared with {one.against}"
            for one in self.inputs
            if one.why == "incomparable"
        ]
        words = {
            "never-ran": "it never ended well",
            "traffic": "what its model is asked has moved, and there is newer data",
            "unchanged": "its data is the same",
            "not-drifted": "its data is newer and has not drifted",
        }
        return f"{self.stage} {'runs' if self.due else 'stays'}: " + (
            "; ".join(told) or words.get(self.why, self.why)
        )


def due(workspace: Workspace, spec: StageSpec, progress: Progress) -> Due:
    """Look at the last good run, and compare what is newer. Raises: VerifyError, Refused."""
    history = workspace.history()
    catalogue = Datasets(history, workspace.store)
    last = _last(history, spec.name)
    if last is None:
        return Due(spec.name, True, "never-ran", ())
    wanted = spec.inputs or tuple(default_inputs(workspace, catalogue))
    newest = [catalogue.resolve(ref) for ref in wanted]
    said = tuple(_said(workspace, one, catalogue, last, progress) for one in newest)
    for why in ("drifted", "incomparable"):
        if any(one.why == why for one in said):
            return Due(spec.name, True, why, said)
    newer = any(one.why != "unchanged" for one in said)
    if newer and _traffic(history, last):
        return Due(spec.name, True, "traffic", said)
    return Due(spec.name, False, "not-drifted" if newer else "unchanged", said)


def _last(history: History, stage: str) -> Past | None:
    for entry in reversed(history.of_type(predicates.SLSA_PROVENANCE)):
        past = past_of(entry)
        if past.stage == stage:
            return past
    return None


def _said(
    workspace: Workspace, new: Dataset, catalogue: Datasets, last: Past, progress: Progress
) -> Said:
    """An input beside the version of it that the last run read."""
    if new.digest in last.used.values():
        return Said(new.ref, new.ref, "unchanged")
    read_then = set(last.used.values())
    old = next((v for v in reversed(catalogue.versions(new.name)) if v.digest in read_then), None)
    if old is None:
        return Said(new.ref, "nothing", "incomparable")
    known = _known(workspace.history(), new, old)
    if known is None:
        try:
            index = drifting.drift(workspace, new, old, "", progress).index
        except BadInput:
            return Said(new.ref, old.ref, "incomparable")
        known = read(workspace.history().entries[index])
    assert known is not None  # noqa: S101  a statement of ours compares two versions
    why: Why = "drifted" if known.drifted else "not-drifted"
    return Said(new.ref, old.ref, why, known.columns, known.strength, known.index)


def _known(history: History, new: Dataset, old: Dataset) -> Compared | None:
    """What was already said of exactly these two; the worse of several."""
    found = Drifts(history).of(new.digest, old.digest)
    return max(found, key=lambda one: (one.columns, one.strength), default=None)


def _traffic(history: History, last: Past) -> bool:
    moved = Drifts(history).traffic
    return any(subject.digest in moved for subject in last.entry.statement.subjects)
