"""Value pairs that decide a label which the rest of their rows contradicts. Trigger-blind.

Pass 0 samples rows and fits a label model that sees only coarse bins; pass 1 counts every pair of
exact values against it; pass 2 fetches the rows of pairs that are impossible. The p-value of a
pair is Chernoff's bound times all pairs tried (so it holds for any order of looking), for label
odds up to e-fold of what blind model and single values expect. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.batches import joined, taken
from sealwright.scan.blind import Blind
from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result, Scan, Spec
from sealwright.scan.poison import table_codes, table_facts
from sealwright.scan.poison.table_cells import SHIFTS, Cells, Surprise, payable
from sealwright.scan.preview import short
from sealwright.scan.sample import Sample, ranks_of

MOST_TARGETS = 32
MOST_CANDIDATES = 256
MOST_GROUPS = 50
MOST_SHOWN = 40
MOST_NATS = 1024
LEAST_RATIO = 5.0
SAME = 0.8
"""Odd pairs that share so many of their rows are traces of one trigger, and their rows are joined:
the rows of a trigger share other values too, and such a pair can be odder than the trigger."""
FLUSH_ROWS = 1 << 16
STEPS = 4096.0
"""Expectations are rounded to 1/4096, so that their sums are exact in any order."""


class Pair(msgspec.Struct, frozen=True):
    """Values ``first`` and ``second`` (codes) of a pair of columns, and the label they force."""

    at: int
    first: int
    second: int
    target: int
    ratio: float
    rows: float
    seen: float
    expected: float


class TablePairs:
    """Makes the state of one scan."""

    spec = Spec(
        "table-pairs",
        1,
        "table",
        "group",
        families=("value-pair",),
        threats=("AML.T0020", "AML.T0018"),
        passes=3,
        needs=("labels",),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Pairs:
        """An empty state; no reference is used."""
        return Pairs(frame)


class Pairs:
    """Sample, then counts, then the rows of what was found."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.sample = Sample(frame)
        self.counts: npt.NDArray[np.int64] = np.zeros(len(frame.labels), np.int64)
        self.unread = 0
        self.books: list[table_codes.Book] = []
        self.targets: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.blind: Blind | None = None
        self.cells: Cells | None = None
        self.waiting: list[Batch] = []
        self.found: list[Pair] = []
        self.siblings: list[Pair] = []
        self.tried = 0
        self.shift = SHIFTS[-1]
        self.kept: list[Rows] = []
        self.facts: tuple[Fact, ...] = ()

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 samples, pass 1 counts, pass 2 fetches."""
        if number == 0:
            known = batch.labels >= 0
            self.unread += int(np.sum(~known))
            self.counts += np.bincount(batch.labels[known], minlength=len(self.counts))
            self.sample.add(batch)
        elif number == 1 and self.cells is not None:
            self.waiting.append(batch)
            if sum(len(one.ids) for one in self.waiting) >= FLUSH_ROWS:
                self._flush()
        elif number == 2 and self.found:
            self._fetch(batch)

    def merge(self, other: Self) -> None:
        """Join what two shards saw in the same pass."""
        self.counts += other.counts
        self.unread += other.unread
        self.sample.merge(other.sample)
        other._flush()
        if self.cells is not None and other.cells is not None:
            self.cells.merge(other.cells)
        self.kept += other.kept

    def shard(self) -> Pairs:
        """An empty state that knows what this one learnt, for another shard of the next pass."""
        new = Pairs(self.frame)
        new.books, new.targets, new.blind = self.books, self.targets, self.blind
        new.found, new.siblings = self.found, self.siblings
        new.tried, new.shift = self.tried, self.shift
        if self.cells is not None:
            new.cells = Cells(self.cells.sizes, self.cells.targets)
        return new

    def settle(self, number: int) -> None:
        """Fit after pass 0; test after pass 1."""
        if number == 0:
            self._fit()
        elif number == 1 and self.cells is not None:
            self._flush()
            self.shift = self.cells.shift()
            self.found, self.siblings = self._test(self.cells)

    def result(self) -> Result:
        """Pairs from the largest on, each without the rows that those before explain."""
        groups = tuple(self._groups()) if self.cells is not None else ()
        return Result(groups, facts=self.facts, tried=self.tried, unread=self.unread)

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s rows been ``after``'s, by the blind model as it is fitted.

        Carriers are only those among these rows: what a canary asks about.
        """
        cells = self.cells
        if cells is None:
            return self.result()
        old, new = self._rows(before), self._rows(after)
        try:
            cells.add(old.codes, old.weights, -1.0)
            cells.add(new.codes, new.weights)
            found, _ = self._test(cells, new.codes)
            groups = tuple(self._group(pair, new.ids[new.shows(pair, cells)]) for pair in found)
        finally:
            cells.add(new.codes, new.weights, -1.0)
            cells.add(old.codes, old.weights)
        return Result(groups, tried=self.tried)

    def _fit(self) -> None:
        sample = self.sample.rows()
        self.books = table_codes.books(self.sample.columns, sample) if sample else []
        self.targets, classes = targets_of(self.counts)
        self.facts = tuple(table_facts.of(self.frame, self.counts, self.books, sample))
        if classes < 2 or len(self.books) < 2 or not len(sample["id"]):
            return
        none = np.empty(0)
        bins = [
            b.bins(sample.get(f"x{at}", none), sample[f"h{at}"]) for at, b in enumerate(self.books)
        ]
        self.blind = Blind(classes)
        labels = self.targets[sample["label"]].astype(np.int32)
        self.blind.fit(np.stack(bins), labels, self._folds(sample["id"]), self.frame.seed)
        self.cells = Cells([book.size for book in self.books], 1 if classes == 2 else classes)
        self.facts += tuple(table_facts.left_out(self.cells.left_out, self.books))

    def _folds(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return (ranks_of(ids, self.frame.seed + 1) & np.uint64(1)).astype(np.uint8)

    def _rows(self, batch: Batch) -> Rows:
        """The labelled rows of a batch with codes, and weights as ``Cells.add`` takes them."""
        blind = self.blind
        if blind is None:
            raise RuntimeError("no pass has settled")
        rows = np.flatnonzero(batch.labels >= 0)
        bins, codes = table_codes.coded(batch, self.books, rows)
        p = np.round(blind.predict(bins, self._folds(batch.ids[rows])) * STEPS).T / STEPS
        target = self.targets[batch.labels[rows]]
        hit = np.arange(blind.classes)[:, None] == target
        first = 1 if blind.classes == 2 else 0
        return Rows(batch.ids[rows], target, codes, np.concatenate([hit[first:], p[first:]]) * 1.0)

    def _flush(self) -> None:
        if self.waiting and self.cells is not None:
            rows = self._rows(joined(self.waiting))
            self.cells.add(rows.codes, rows.weights)
        self.waiting = []

    def _test(
        self, cells: Cells, near: npt.NDArray[np.int64] | None = None
    ) -> tuple[list[Pair], list[Pair]]:
        """Pairs beyond the family-wise bound (only of those that rows ``near`` show, if given),
        and odd ones of about as many rows that share a value with one of them."""
        found: list[Pair] = []
        reach: npt.NDArray[np.int64] = np.zeros(MOST_NATS, np.int64)
        for at, (a, b) in enumerate(cells.pairs):
            wanted = None if near is None else np.unique(near[a] * cells.sizes[b] + near[b])
            one = cells.surprise(at, wanted, self.shift)
            nats = np.minimum(one.most.ravel(), MOST_NATS - 1).astype(np.int64)
            reach += np.bincount(nats, minlength=MOST_NATS)
            for target, cell in zip(*np.nonzero(one.ratio > LEAST_RATIO), strict=True):
                found.append(pair_of(cells, one, int(target), int(cell)))
        if near is None:
            self.tried = payable(reach, self.frame.alpha)
        found.sort(key=lambda pair: (-pair.ratio, pair.at, pair.first, pair.second))
        best = [pair for pair in found if pair.ratio > self._bound()][:MOST_CANDIDATES]
        rest = [pair for pair in found if pair.ratio <= self._bound()]
        related = [pair for pair in rest if any(akin(pair, one, cells) for one in best)]
        return best, related[:MOST_CANDIDATES]

    def _bound(self) -> float:
        """The log-likelihood ratio that holds over everything tried."""
        return log(max(self.tried, 1) / self.frame.alpha)

    def _fetch(self, batch: Batch) -> None:
        cells = self.cells
        if cells is None:
            return
        labelled = np.flatnonzero(batch.labels >= 0)
        _, codes = table_codes.coded(batch, self.books, labelled)
        target = self.targets[batch.labels[labelled]]
        shown: npt.NDArray[np.bool_] = np.zeros(len(labelled), bool)
        for pair in [*self.found, *self.siblings]:
            a, b = cells.pairs[pair.at]
            same = (codes[a] == pair.first) & (codes[b] == pair.second)
            shown |= same & (target == pair.target)
        if shown.any():
            some = taken(batch, labelled[shown])
            rows = self._rows(some)
            rows.shown = cells_of(some)
            self.kept.append(rows)

    def _groups(self) -> Iterator[Group]:
        """Greedy: the largest pair's carriers are taken out before the others are judged again."""
        cells = self.cells
        if cells is None or not self.kept:
            return
        rows = rows_of(self.kept)
        taken: npt.NDArray[np.bool_] = np.zeros(len(rows.ids), bool)
        for _ in range(MOST_GROUPS):
            best = self._best(cells)
            if best is None:
                break
            here = rows.shows(best, cells) & ~taken
            if not here.any():
                break
            for pair in [*self.found, *self.siblings]:
                there = rows.shows(pair, cells) & ~taken
                if pair.target == best.target and overlap(here, there) >= SAME:
                    here = here | there
            yield self._group(best, np.sort(rows.ids[here]))
            taken |= here
            cells.add(rows.codes[:, here], rows.weights[:, here], -1.0)
        cells.add(rows.codes[:, taken], rows.weights[:, taken])

    def _best(self, cells: Cells) -> Pair | None:
        """Of the pairs still impossible, the one that explains most rows.

        Not the largest statistic: a pair of one trigger value with a value that many of its rows
        share can be purer than the trigger itself, and would leave the rest unexplained.
        """
        again: list[Pair] = []
        for pair in self.found:
            cell = pair.first * cells.sizes[cells.pairs[pair.at][1]] + pair.second
            one = cells.surprise(pair.at, np.array([cell]), self.shift)
            if one.ratio.size and float(one.ratio[pair.target, 0]) > self._bound():
                again.append(pair_of(cells, one, pair.target, 0))
        return max(again, key=lambda pair: pair.seen - pair.expected, default=None)

    def _group(self, pair: Pair, carriers: npt.NDArray[np.int64]) -> Group:
        cells = self.cells
        columns = [self.books[at].column.name for at in cells.pairs[pair.at]] if cells else []
        known = {record: cells for kept in self.kept for record, cells in kept.shown.items()}
        shown = next((known[int(one)] for one in carriers if int(one) in known), {})
        pattern = " and ".join(f"{name} = {shown.get(name, '?')}" for name in columns)
        label = int(np.flatnonzero(self.targets == pair.target)[0])
        return Group(
            family="value-pair",
            pattern=pattern,
            key=f"pair:{'+'.join(columns)}:{pair.first}:{pair.second}",
            carriers=carriers,
            label=self.frame.labels[label],
            count=round(pair.rows),
            seen=round(pair.seen),
            expected=round(float(pair.expected), 2),
            statistic=round(pair.ratio, 3),
            p_value=min(1.0, max(self.tried, 1) * exp(-min(pair.ratio, 700.0))),
            preview=Preview(lines=tuple(f"{name} = {cell}" for name, cell in shown.items())),
        )


def akin(pair: Pair, one: Pair, cells: Cells) -> bool:
    """May both be the traces of one trigger: a shared value, one label, about as many rows?"""
    mine, theirs = (
        set(zip(cells.pairs[x.at], (x.first, x.second), strict=True)) for x in (pair, one)
    )
    alike = SAME * one.seen <= pair.seen <= one.seen / SAME
    return alike and pair.target == one.target and bool(mine & theirs)


def overlap(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Shared rows, as a part of the larger."""
    return float(np.sum(one & other)) / max(1, int(one.sum()), int(other.sum()))


def pair_of(cells: Cells, one: Surprise, target: int, cell: int) -> Pair:
    """One cell of a pair of columns as a record."""
    first, second = divmod(int(one.cells[cell]), cells.sizes[cells.pairs[one.pair][1]])
    counts = (one.rows[cell], one.seen[target, cell], one.expected[target, cell])
    ratio = float(one.ratio[target, cell])
    return Pair(one.pair, first, second, target, ratio, *map(float, counts))


class Rows:
    """Some rows as the miner sees them; ``shown`` holds one row's cells for people."""

    def __init__(
        self,
        ids: npt.NDArray[np.int64],
        target: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64],
        shown: dict[int, dict[str, str]] | None = None,
    ) -> None:
        self.ids, self.target, self.codes, self.weights = ids, target, codes, weights
        self.shown = shown or {}

    def shows(self, pair: Pair, cells: Cells) -> npt.NDArray[np.bool_]:
        """(n,) has both values and the label."""
        a, b = cells.pairs[pair.at]
        both = (self.codes[a] == pair.first) & (self.codes[b] == pair.second)
        return np.asarray(both & (self.target == pair.target))


def cells_of(batch: Batch) -> dict[int, dict[str, str]]:
    """Some rows' cells as text, by id."""
    columns = list(batch.values.items())[:MOST_SHOWN]
    return {
        int(record): {name: short(column[at]) for name, column in columns}
        for at, record in enumerate(batch.ids[:MOST_CANDIDATES])
    }


def rows_of(parts: list[Rows]) -> Rows:
    """As one, in the order of ids."""
    ids = np.concatenate([one.ids for one in parts])
    order = np.argsort(ids, kind="stable")
    return Rows(
        ids[order],
        np.concatenate([one.target for one in parts])[order],
        np.concatenate([one.codes for one in parts], 1)[:, order],
        np.concatenate([one.weights for one in parts], 1)[:, order],
    )


def targets_of(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Label code → target; beyond 32 labels the rarest share the last. And how many there are."""
    there = np.flatnonzero(counts)
    order = there[np.argsort(-counts[there], kind="stable")]
    targets: npt.NDArray[np.int64] = np.zeros(len(counts), np.int64)
    targets[order] = np.minimum(np.arange(len(order)), MOST_TARGETS - 1)
    return targets, min(len(order), MOST_TARGETS)
