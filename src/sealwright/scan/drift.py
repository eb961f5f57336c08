"""Drift: is this version drawn from what the reference was, column by column, source by source?

Two things must hold before a column has drifted: the difference is beyond chance, after
controlling the false-discovery rate over everything compared (Benjamini-Hochberg), and it is
large enough to matter, since with enough records everything differs beyond chance.
Source: docs/reference/detectors.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan import sketch, statistic
from sealwright.scan.interface import Batch, Column, Fact, Frame, Result, Scan, Spec

RATE = 0.01
"""False-discovery rate: where nothing drifted, an alarm of any kind has this probability."""

DISTANCE = 0.1
"""Least Kolmogorov distance, or Jensen-Shannon distance for categories. A normal column whose
mean moves by 0.25 standard deviations has 0.1."""

MISSING = 0.05
"""Least change of the share that is missing."""

FEWEST = 100
"""Sources with fewer records are compared with nothing, and that is said."""

MOST_SOURCES = 64
MOST_FACTS = 200
_NUMERIC = frozenset({"number", "time"})


class Shift(msgspec.Struct, frozen=True):
    """One comparison. ``q_value`` is adjusted over all of them."""

    column: str
    source: str
    kind: Literal["values", "missing"]
    records: int
    effect: float
    stability: float
    p_value: float
    q_value: float
    floor: float

    @property
    def drifted(self) -> bool:
        """Beyond chance and large enough."""
        return self.q_value <= RATE and self.effect >= self.floor


class Drift:
    """Makes the state of one scan; its reference is the version it is compared with."""

    spec = Spec(
        "drift",
        1,
        "any",
        "fact",
        families=("drift",),
        threats=("AML.T0020",),
        passes=2,
        needs=("reference",),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Sketches:
        """With ``reference``, its edges are used; without, this scan is to be one."""
        return Sketches(frame, reference if isinstance(reference, Sketches) else None)


class Sketches:
    """A histogram for each column, of the whole and of each source."""

    def __init__(self, frame: Frame, reference: Sketches | None = None) -> None:
        self.frame = frame
        self.reference = reference
        known = {c.name: c.type for c in reference.frame.columns} if reference else {}
        self.odd = [c for c in frame.columns if known.get(c.name, c.type) != c.type]
        wanted = [c for c in frame.columns if c not in self.odd]
        self.columns = [c for c in wanted if c.type in _NUMERIC or c.type in ("category", "text")]
        self.numbers = [c.name for c in self.columns if c.type in _NUMERIC]
        self.edges = sketch.Edges(self.numbers, frame.rows, frame.seed)
        self.counts: dict[str, npt.NDArray[np.int64]] = {}
        self.by_source: dict[tuple[str, int], npt.NDArray[np.int64]] = {}
        self.records = 0

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 draws the sample that the bins are made from; pass 1 counts."""
        if number == 0:
            if self.reference is None:
                self.edges.observe(batch.ids, dict(batch.values))
            return
        self.records += len(batch.ids)
        for column in self.columns:
            values = batch.values[column.name]
            self._add(column.name, self._count(column, values))
            self._add_sources(column, values, batch.sources)

    def _count(self, column: Column, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        if column.type in _NUMERIC:
            edges = (self.reference or self).edges.of.get(column.name, np.zeros(0))
            return sketch.count_numbers(values, edges)
        if column.type == "text":
            return sketch.count_lengths(values)
        return sketch.count_categories(values)

    def _add(self, name: str, counts: npt.NDArray[np.int64]) -> None:
        held = self.counts.get(name)
        self.counts[name] = counts if held is None else held + counts

    def _add_sources(
        self, column: Column, values: npt.NDArray[Any], sources: npt.NDArray[np.int32]
    ) -> None:
        if len(self.frame.sources) < 2:
            return
        for code in np.unique(sources[(sources >= 0) & (sources < MOST_SOURCES)]):
            counts = self._count(column, values[sources == code])
            key = (column.name, int(code))
            held = self.by_source.get(key)
            self.by_source[key] = counts if held is None else held + counts

    def merge(self, other: Self) -> None:
        """Join what two shards of a pass saw."""
        self.edges.merge(other.edges)
        self.records += other.records
        for name, counts in other.counts.items():
            self._add(name, counts)
        for key, counts in other.by_source.items():
            held = self.by_source.get(key)
            self.by_source[key] = counts if held is None else held + counts

    def settle(self, number: int) -> None:
        """After pass 0 the bins are fixed."""
        if number == 0 and self.reference is None:
            self.edges.settle()

    def shifts(self) -> tuple[Shift, ...]:
        """Every comparison, the largest effect first. Empty without a reference."""
        if self.reference is None:
            return ()
        drawn = [shift for column in self.columns for shift in self._of(column)]
        adjusted = statistic.false_discovery(np.array([each.p_value for each in drawn]))
        done = [
            msgspec.structs.replace(each, q_value=float(q))
            for each, q in zip(drawn, adjusted, strict=True)
        ]
        return tuple(sorted(done, key=lambda each: (not each.drifted, -each.effect, each.column)))

    def _of(self, column: Column) -> list[Shift]:
        assert self.reference is not None  # noqa: S101  asked by shifts alone
        before = self.reference.counts.get(column.name)
        now = self.counts.get(column.name)
        if before is None or now is None:
            return []
        found = list(_compared(column, "", before, now))
        for code, source in enumerate(self.frame.sources[:MOST_SOURCES]):
            own = self.by_source.get((column.name, code))
            if own is not None and own.sum() >= FEWEST:
                found += _compared(column, source, self._before(column, source, before), own)
        return found

    def _before(
        self, column: Column, source: str, whole: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """The same source's past, where there is enough of it; else everything's."""
        reference = self.reference
        if reference is not None and source in reference.frame.sources:
            code = reference.frame.sources.index(source)
            own = reference.by_source.get((column.name, code))
            if own is not None and own.sum() >= FEWEST:
                return own
        return whole

    def result(self) -> Result:
        """A fact for each column (and source) that drifted, and for what is not comparable."""
        shifts = self.shifts()
        facts = [_fact(each) for each in shifts if each.drifted]
        facts += self._incomparable()
        if len(facts) > MOST_FACTS:
            more = len(facts) - MOST_FACTS
            facts = [
                *facts[:MOST_FACTS],
                Fact("drift.more", "medium", f"{more:,} more columns drifted", {"count": more}),
            ]
        return Result(facts=tuple(facts), tried=len(shifts))

    def _incomparable(self) -> list[Fact]:
        if self.reference is None:
            return []
        now = {c.name for c in self.frame.columns}
        before = {c.name for c in self.reference.frame.columns}
        facts = [
            _changed("drift.type", "high", c.name, f"is {c.type} now, and was not")
            for c in self.odd
        ]
        facts += [
            _changed("drift.column-gone", "high", name, "is gone") for name in sorted(before - now)
        ]
        facts += [
            _changed("drift.column-new", "medium", name, "is new") for name in sorted(now - before)
        ]
        return facts


def columns(facts: Iterable[Fact]) -> int:
    """How many columns the facts are about; what was too much to list counts one by one."""
    listed = [fact for fact in facts if fact.rule != "drift.more"]
    more = sum(int(fact.metrics["count"]) for fact in facts if fact.rule == "drift.more")
    return len({fact.metrics.get("column", fact.message) for fact in listed}) + more


def strength(facts: Iterable[Fact]) -> int:
    """The largest effect, in percent of the least that counts, rounded up.

    What has no effect to measure is twice that where it is said to be high, else just it.
    """
    return max((_strength(fact) for fact in facts), default=0)


def _strength(fact: Fact) -> int:
    if "effect" in fact.metrics:
        floor = MISSING if fact.metrics["kind"] == "missing" else DISTANCE
        return math.ceil(100 * float(fact.metrics["effect"]) / floor)
    return 200 if fact.severity == "high" else 100


def _changed(rule: str, severity: Literal["medium", "high"], column: str, how: str) -> Fact:
    return Fact(rule, severity, f"column {column!r} {how}", {"column": column})


def _compared(
    column: Column, source: str, before: npt.NDArray[np.int64], now: npt.NDArray[np.int64]
) -> list[Shift]:
    one, other = before[:-1], now[:-1]
    if column.type == "category":
        effect, p_value = statistic.jensen_shannon(one, other), statistic.two_samples(one, other)
    else:
        # the infinities stand at the end of the bins; in order they are the outermost
        places = [sketch.BINS, *range(sketch.BINS), sketch.BINS + 1]
        one, other = one[places], other[places]
        effect, by_order = statistic.kolmogorov(one, other)
        p_value = min(1.0, 2 * min(by_order, statistic.two_samples(one, other)))
        effect = max(effect, statistic.jensen_shannon(one, other))
    stability = statistic.population_stability(one, other)
    records = int(now.sum())
    gone = np.array([before[-1], before.sum() - before[-1]])
    lost = np.array([now[-1], now.sum() - now[-1]])
    apart = abs(before[-1] / max(1, before.sum()) - now[-1] / max(1, now.sum()))
    missing = statistic.two_samples(gone, lost)
    return [
        Shift(column.name, source, "values", records, effect, stability, p_value, 1.0, DISTANCE),
        Shift(column.name, source, "missing", records, float(apart), 0.0, missing, 1.0, MISSING),
    ]


def _fact(shift: Shift) -> Fact:
    where = f" of source {shift.source!r}" if shift.source else ""
    what = "its missing share" if shift.kind == "missing" else "its values"
    return Fact(
        "drift.column" if not shift.source else "drift.source",
        "high" if shift.effect >= 2 * shift.floor else "medium",
        f"column {shift.column!r}{where} has drifted: {what}, by {shift.effect:.3f}",
        {
            "column": shift.column,
            "source": shift.source,
            "kind": shift.kind,
            "records": shift.records,
            "effect": f"{shift.effect:.4f}",
            "stability": f"{shift.stability:.4f}",
            "q_value": f"{shift.q_value:.3g}",
        },
    )
