"""Runs every detector over one version, in step, and keeps what each says apart (never averaged).

A detector alone decides about its own groups, at its own share of the family-wise error: the
shares add up to ``alpha`` (Bonferroni), so that a clean version is stopped with at most that
probability by all of them together. Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import SealError
from sealwright.core.ports import Progress
from sealwright.scan import registry
from sealwright.scan.interface import (
    Batch,
    Detector,
    Fact,
    Frame,
    Group,
    Modality,
    Result,
    Scan,
    Slow,
    Spec,
)

Source = Callable[[], Iterable[Batch]]
"""Called once for each pass; yields every record once."""

ALPHA = 0.01
OF_TYPE: dict[str, Modality] = {
    "number": "table",
    "category": "table",
    "time": "table",
    "text": "text",
    "vector": "embedding",
    "image": "image",
}


class Verdict(msgspec.Struct, frozen=True):
    """What one detector said at its share ``alpha``, or why it could not: ``error`` blocks."""

    spec: Spec
    alpha: float
    result: Result | None
    error: str = ""

    @property
    def significant(self) -> tuple[Group, ...]:
        """The groups that hold at this detector's share of the error."""
        if self.result is None or self.spec.kind != "group":
            return ()
        return tuple(group for group in self.result.groups if group.p_value <= self.alpha)

    @property
    def blocks(self) -> bool:
        """A significant group, or a detector that could not look."""
        return bool(self.error) or bool(self.significant)


class Screening(msgspec.Struct, frozen=True):
    """All verdicts over one version."""

    frame: Frame
    verdicts: tuple[Verdict, ...]

    def carriers(self) -> npt.NDArray[np.int64]:
        """Ids of every record that carries a significant group's pattern, sorted."""
        found = [group.carriers for verdict in self.verdicts for group in verdict.significant]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    @property
    def blocks(self) -> bool:
        """Does any one detector block?"""
        return any(verdict.blocks for verdict in self.verdicts)


class Silent:
    """Progress that nobody watches."""

    def advance(self, done: int, total: int, what: str) -> None:
        """Do nothing."""


class Live:
    """One detector's scan while it runs; what it raises is kept and ends it."""

    def __init__(self, detector: Detector, frame: Frame, reference: Scan | None) -> None:
        self.spec = detector.spec
        self.alpha = frame.alpha
        self.error = ""
        self.scan: Scan | None = None
        self._try(lambda: self._begin(detector, frame, reference))

    def _begin(self, detector: Detector, frame: Frame, reference: Scan | None) -> None:
        self.scan = detector.begin(frame, reference)

    def watch(self, progress: Progress) -> None:
        """Let a slow scan say how far it is."""
        if isinstance(self.scan, Slow):
            self.scan.watch(progress)

    def observe(self, number: int, batch: Batch) -> None:
        """Show it a batch, if pass ``number`` is one of its own."""
        scan = self.scan
        if scan is not None and not self.error and number < self.spec.passes:
            self._try(lambda: scan.observe(number, batch))

    def settle(self, number: int) -> None:
        """End a pass."""
        scan = self.scan
        if scan is not None and not self.error and number < self.spec.passes:
            self._try(lambda: scan.settle(number))

    def verdict(self) -> Verdict:
        """Its result, or what it raised on the way."""
        result: list[Result] = []
        scan = self.scan
        if scan is not None and not self.error:
            self._try(lambda: result.append(scan.result()))
        kept = result[0] if result and not self.error else None
        return Verdict(self.spec, self.alpha, kept, self.error)

    def _try(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:  # whatever a detector raises, it is a finding that blocks
            self.error = _said(error)


def screen(
    source: Source,
    frame: Frame,
    detectors: Sequence[Detector] | None = None,
    *,
    alpha: float = ALPHA,
    reference: tuple[Source, Frame] | None = None,
    progress: Progress | None = None,
) -> Screening:
    """Look at one version with ``detectors`` (default: all registered for what it holds).

    ``reference`` is an earlier, trusted version; it is read only by detectors that need one.
    Raises whatever ``source`` raises; what a detector raises is its verdict.
    """
    told = progress or Silent()
    chosen = list(registry.for_modalities(modalities(frame)) if detectors is None else detectors)
    able = [one for one in chosen if not _lacking(one.spec, frame, reference is not None)]
    shared = msgspec.structs.replace(frame, alpha=share(able, alpha))
    known = _settled(able, reference, told) if reference is not None else {}
    live = {one.spec.name: Live(one, shared, known.get(one.spec.name)) for one in able}
    run(source, frame, list(live.values()), told)
    return Screening(frame, tuple(_verdict(one, live, frame, reference) for one in chosen))


def run(source: Source, frame: Frame, live: Sequence[Live], progress: Progress) -> None:
    """All passes of all scans, in step: each pass reads the version once."""
    for one in live:
        one.watch(progress)
    for number in range(max((one.spec.passes for one in live), default=0)):
        done = 0
        for batch in source():
            for one in live:
                one.observe(number, batch)
            done += len(batch.ids)
            progress.advance(done, frame.rows, f"screening, pass {number + 1}")
        for one in live:
            one.settle(number)


def share(detectors: Sequence[Detector], alpha: float) -> float:
    """The equal part of ``alpha`` for each detector that can stop a version by chance."""
    tested = sum(one.spec.kind == "group" and one.spec.tested for one in detectors)
    return alpha / max(1, tested)


def modalities(frame: Frame) -> list[Modality]:
    """What the columns hold, each once. Text that stands beside categories is both."""
    return list(dict.fromkeys(OF_TYPE[column.type] for column in frame.columns))


def _lacking(spec: Spec, frame: Frame, reference: bool) -> str:
    """The need that this version cannot meet; empty when it can be looked at."""
    has = {"labels": bool(frame.labels), "sources": bool(frame.sources), "reference": reference}
    return next((need for need in spec.needs if not has.get(need, True)), "")


def _settled(
    detectors: Sequence[Detector], reference: tuple[Source, Frame], progress: Progress
) -> dict[str, Scan]:
    source, frame = reference
    users = [one for one in detectors if "reference" in one.spec.needs]
    live = [Live(one, frame, None) for one in users]
    run(source, frame, live, progress)
    return {one.spec.name: one.scan for one in live if one.scan is not None and not one.error}


def _verdict(
    detector: Detector,
    live: dict[str, Live],
    frame: Frame,
    reference: tuple[Source, Frame] | None,
) -> Verdict:
    if one := live.get(detector.spec.name):
        return one.verdict()
    lacking = _lacking(detector.spec, frame, reference is not None)
    said = Fact(
        "scan.not-looked",
        "low",
        f"{detector.spec.name} did not look: this version has no {lacking}",
        {"detector": detector.spec.name, "needs": lacking},
    )
    return Verdict(detector.spec, 0.0, Result(facts=(said,), unread=frame.rows))


def _said(error: Exception) -> str:
    if isinstance(error, SealError):
        return "; ".join(error.lines())
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {last.name}:{last.lineno}"
