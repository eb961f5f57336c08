"""Values the reference never held: numbers outside its range, categories nobody saw.

Some are to be expected. Of m new records, the k largest of all n + m are all new with
probability (m / (n + m))^k; unseen categories come as often as categories seen once
(Good 1953). What is beyond that is a fact, and its records are ranked for a look.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sealwright.scan import hashing, statistic
from sealwright.scan.interface import Batch, Column, Fact, Frame, Rank, Result, Scan, Spec

MOST_KNOWN = 1 << 16
"""Categories remembered of a column; one with more is a name, not a category."""

_NUMERIC = frozenset({"number", "time"})


class Novelty:
    """Makes the state of one scan; its reference is the version it is compared with."""

    spec = Spec(
        "novelty",
        1,
        "table",
        "row",
        families=("novel-value",),
        threats=("AML.T0020",),
        passes=1,
        needs=("reference",),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Known:
        """Without ``reference``, this scan is to be one."""
        return Known(frame, reference if isinstance(reference, Known) else None)


class Known:
    """Ranges and categories of a version, and where the version leaves its reference's."""

    def __init__(self, frame: Frame, reference: Known | None = None) -> None:
        self.frame = frame
        self.reference = reference
        kinds = {c.name: c.type for c in reference.frame.columns} if reference else {}
        both = [c for c in frame.columns if kinds.get(c.name, c.type) == c.type]
        self.columns = [c for c in both if c.type in _NUMERIC or c.type == "category"]
        self.low: dict[str, float] = {}
        self.high: dict[str, float] = {}
        self.seen: dict[str, dict[int, int] | None] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.scores: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], str]] = []
        self.records = 0

    def observe(self, number: int, batch: Batch) -> None:
        """Take in some records."""
        self.records += len(batch.ids)
        for column in self.columns:
            values = batch.values[column.name]
            if column.type == "category":
                self._categories(column, values, batch.ids)
            else:
                self._numbers(column, values, batch.ids)

    def _numbers(
        self, column: Column, values: npt.NDArray[np.float64], ids: npt.NDArray[np.int64]
    ) -> None:
        name = column.name
        finite = values[np.isfinite(values)]
        if len(finite):
            self.low[name] = min(self.low.get(name, math.inf), float(finite.min()))
            self.high[name] = max(self.high.get(name, -math.inf), float(finite.max()))
        if self.reference is None or name not in self.reference.low:
            return
        low, high = self.reference.low[name], self.reference.high[name]
        plain = np.where(np.isfinite(values), values, np.nan)  # infinities are drift's business
        for side, out in (("below", plain < low), ("above", plain > high)):
            self._count(name, side, int(out.sum()))
            if out.any():
                span = (high - low) or abs(high) or 1.0
                away = np.where(values[out] < low, low - values[out], values[out] - high) / span
                self._keep(ids[out], 1 + np.minimum(away, 1e6), name)

    def _categories(
        self, column: Column, values: npt.NDArray[Any], ids: npt.NDArray[np.int64]
    ) -> None:
        name = column.name
        codes, words = hashing.coded(values)
        hashes = [hashing.of_bytes(word.encode("utf-8", "replace")) for word in words]
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        held = self.seen.setdefault(name, {})
        if held is not None:
            for code, count in zip(hashes, counts, strict=True):
                held[code] = held.get(code, 0) + int(count)
            if len(held) > MOST_KNOWN:
                self.seen[name] = None
        known = self.reference.seen.get(name) if self.reference else None
        if known is None:
            return
        fresh: npt.NDArray[np.bool_] = np.append(
            np.array([code not in known for code in hashes], np.bool_), False
        )
        out = fresh[codes]
        self._count(name, "unseen", int(out.sum()))
        if out.any():
            self._keep(ids[out], np.ones(int(out.sum())), name)

    def _count(self, name: str, side: str, count: int) -> None:
        self.counts[name, side] = self.counts.get((name, side), 0) + count

    def _keep(self, ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], name: str) -> None:
        """Of each column only as many as could be shown."""
        best = np.lexsort((ids, -scores))[: self.frame.review]
        self.scores.append((ids[best], scores[best], name))

    def merge(self, other: Self) -> None:
        """Join what two shards saw."""
        self.records += other.records
        self.scores += other.scores
        for name, low in other.low.items():
            self.low[name] = min(self.low.get(name, math.inf), low)
            self.high[name] = max(self.high.get(name, -math.inf), other.high[name])
        for name, seen in other.seen.items():
            held = self.seen.setdefault(name, {})
            if held is None or seen is None:
                self.seen[name] = None
                continue
            for code, count in seen.items():
                held[code] = held.get(code, 0) + count
            if len(held) > MOST_KNOWN:
                self.seen[name] = None
        for (name, side), count in other.counts.items():
            self._count(name, side, count)

    def settle(self, number: int) -> None:
        """One pass is all."""

    def result(self) -> Result:
        """Facts beyond what is expected, and the records furthest out."""
        if self.reference is None:
            return Result()
        tests = [(key, count, self._chance(*key, count)) for key, count in self.counts.items()]
        share = self.frame.alpha / max(1, len(tests))
        facts, told = [], set()
        for (name, side), count, p_value in tests:
            if count and p_value <= share:
                told.add(name)
                facts.append(_fact(name, side, count, self.records, p_value))
        return Result(facts=tuple(facts), ranks=self._ranks(told), tried=len(tests))

    def _chance(self, name: str, side: str, count: int) -> float:
        assert self.reference is not None  # noqa: S101  asked by result alone
        before = max(1, self.reference.records)
        if side != "unseen":
            return float((self.records / (self.records + before)) ** count)
        seen = self.reference.seen.get(name) or {}
        once = sum(1 for each in seen.values() if each == 1)
        # one more than was seen once: none seen once does not make the next one impossible
        return statistic.poisson_tail(count, (once + 1) * self.records / before)

    def _ranks(self, told: set[str]) -> tuple[Rank, ...]:
        total: dict[int, float] = {}
        columns: dict[int, list[str]] = {}
        for ids, scores, name in self.scores:
            for record, score in zip(ids.tolist(), scores.tolist(), strict=True):
                if name in told:
                    total[record] = total.get(record, 0.0) + score
                    columns.setdefault(record, []).append(name)
        best = sorted(total, key=lambda record: (-total[record], record))[: self.frame.review]
        return tuple(
            Rank(r, round(total[r], 4), "values never seen in " + ", ".join(columns[r][:3]))
            for r in best
        )


def _fact(name: str, side: str, count: int, records: int, p_value: float) -> Fact:
    what = {
        "below": "are below everything the reference held",
        "above": "are above everything the reference held",
        "unseen": "hold categories the reference never did",
    }[side]
    return Fact(
        "novelty.category" if side == "unseen" else "novelty.range",
        "medium",
        f"{count:,} of {records:,} records {what} in column {name!r}",
        {"column": name, "side": side, "count": count, "p_value": f"{p_value:.3g}"},
    )
