"""Value pairs that decide a label which the rest of their rows contradicts. Trigger-blind.

Pass 0 samples rows and fits a label model of coarse bins; pass 1 counts every pair of exact values
against what two judges say: that model without the pair's two columns, and with all; pass 2 looks
at the rows of odd pairs one by one. The p-value of a pair is Chernoff's bound times all pairs tried
by either judge (so it holds for any order of looking), for label odds up to a shift beyond what
other columns and single values lead to expect. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan import batches
from sealwright.scan.blind import Blind
from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result, Scan, Spec
from sealwright.scan.poison import table_codes, table_facts
from sealwright.scan.poison.table_cells import JUDGES, Cells, payable
from sealwright.scan.poison.table_odd import (
    SAME,
    SHIFTS,
    Nature,
    Pair,
    akin,
    beyond,
    ordered,
    overlap,
    pair_of,
    surprises,
    unopposed,
)
from sealwright.scan.poison.table_rows import Rows, joined
from sealwright.scan.poison.table_tails import Tails
from sealwright.scan.preview import short
from sealwright.scan.sample import Sample, ranks_of

MOST_TARGETS = 32
MOST_CANDIDATES = 256
MOST_GROUPS = 50
MOST_SHOWN = 40
MOST_NATS = 1024
LISTED, LEAST_RATIO = 0.3, 3.0
"""Shift and nats of a pair's mean from which on its rows are looked at one by one."""
FLUSH_ROWS = 1 << 16
FLUSH_NUMBERS = 1 << 25
"""Of all that is said of the rows that are counted in one go."""


class TablePairs:
    """Makes the state of one scan."""

    spec = Spec(
        "table-pairs",
        3,
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
        self.known: Rows | None = None
        self.odd: list[Pair] = []
        self.tails = Tails(0)
        self.found: list[Pair] = []
        self.siblings: list[Pair] = []
        self.tried = 0
        self.shifts = [SHIFTS[-1][0]] * JUDGES
        self.natures: list[Nature] = []
        self.kept: list[Rows] = []
        self.facts: tuple[Fact, ...] = ()

    def observe(self, number: int, batch: Batch) -> None:
        """Pass 0 samples, pass 1 counts, pass 2 looks at the rows of odd pairs."""
        if number == 0:
            known = batch.labels >= 0
            self.unread += int(np.sum(~known))
            self.counts += np.bincount(batch.labels[known], minlength=len(self.counts))
            self.sample.add(batch)
        elif number == 1 and self.cells is not None:
            self.waiting.append(batch)
            if sum(len(one.ids) for one in self.waiting) >= FLUSH_ROWS:
                self._flush()
        elif number == 2 and self.odd:
            self._fetch(batch)

    def merge(self, other: Self) -> None:
        """Join what two shards saw in the same pass."""
        self.counts += other.counts
        self.unread += other.unread
        self.sample.merge(other.sample)
        other._flush()
        if self.cells is not None and other.cells is not None:
            self.cells.merge(other.cells)
        self.tails.merge(other.tails)
        self.kept += other.kept

    def shard(self) -> Pairs:
        """An empty state that knows what this one learnt, for another shard of the next pass."""
        new = Pairs(self.frame)
        new.books, new.targets, new.blind = self.books, self.targets, self.blind
        new.known, new.odd, new.tails = self.known, self.odd, Tails(len(self.odd))
        new.found, new.siblings = self.found, self.siblings
        new.tried, new.shifts, new.natures = self.tried, self.shifts, self.natures
        if self.cells is not None:
            new.cells = Cells(self.cells.sizes, self.cells.targets)
        return new

    def settle(self, number: int) -> None:
        """Fit after pass 0; a short list after pass 1; test after pass 2."""
        if number == 0:
            self._fit()
        elif number == 1 and self.cells is not None:
            self._flush()
            self.natures = [Nature(self.cells, judge) for judge in range(JUDGES)]
            self.shifts = [nature.shift(self.cells) for nature in self.natures]
            self.odd = self._odd(self.cells)
            self.tails = Tails(len(self.odd))
        elif number == 2 and self.cells is not None:
            judged = self._judged(self.odd, self.tails, self.shifts)
            self.found, common = self._told(judged, self.cells)
            self.facts += tuple(table_facts.common(map(self._columns, common)))
            rest = [pair for pair in judged if pair.ratio <= self._bound()]
            self.siblings = [
                pair for pair in rest if any(akin(pair, one, self.cells) for one in self.found)
            ]

    def result(self) -> Result:
        """Pairs from the largest on, each without the rows that those before explain."""
        groups = tuple(self._groups()) if self.cells is not None else ()
        return Result(groups, facts=self.facts, tried=self.tried, unread=self.unread)

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s rows been ``after``'s, by the blind model as it is fitted.

        Carriers are only those among these rows: what a canary asks about. Nothing is found where
        a version is larger than the sample: that needs its rows once more.
        """
        cells = self.cells
        if cells is None:
            return self.result()
        old, new = self._rows(before), self._rows(after)
        try:
            cells.add(old.codes, old.hit, old.expected, -1.0)
            cells.add(new.codes, new.hit, new.expected)
            found = self._odd(cells, new.codes)
            if self.known is not None:
                rest = self.known.part(~np.isin(self.known.ids, new.ids))
                shifts = [nature.shift(cells, new.codes) for nature in self.natures]
                found = self._judged(found, self._tails(found, [rest, new]), shifts)
            else:
                found = []
            groups = tuple(
                self._group(pair, new.ids[new.shows(pair, cells)])
                for pair in self._told(found, cells)[0]
            )
        finally:
            cells.add(new.codes, new.hit, new.expected, -1.0)
            cells.add(old.codes, old.hit, old.expected)
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
        if len(sample["id"]) == self.counts.sum():
            codes = np.stack([book.codes(sample[f"h{at}"]) for at, book in enumerate(self.books)])
            whole = (sample["id"], labels.astype(np.int64), codes, np.stack(bins))
            self.known = Rows(self.blind, *whole, self._folds(sample["id"]))

    def _folds(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return (ranks_of(ids, self.frame.seed + 1) & np.uint64(1)).astype(np.uint8)

    def _rows(self, batch: Batch) -> Rows:
        """The labelled rows of a batch."""
        if self.blind is None:
            raise RuntimeError("no pass has settled")
        rows = np.flatnonzero(batch.labels >= 0)
        bins, codes = table_codes.coded(batch, self.books, rows)
        ids, target = batch.ids[rows], self.targets[batch.labels[rows]]
        return Rows(self.blind, ids, target, codes, bins, self._folds(ids))

    def _flush(self) -> None:
        if self.waiting and self.cells is not None and self.blind is not None:
            rows = self._rows(batches.joined(self.waiting))
            wide = self.blind.targets * (len(self.books) + len(self.blind.asked))
            step = max(256, FLUSH_NUMBERS // wide)
            for start in range(0, len(rows.ids), step):
                some = rows.part(np.arange(start, min(start + step, len(rows.ids))))
                self.cells.add(some.codes, some.hit, some.expected)
        self.waiting = []

    def _odd(self, cells: Cells, near: npt.NDArray[np.int64] | None = None) -> list[Pair]:
        """Pairs that are odd by their mean, of each judge the oddest first (only of those that
        rows ``near`` show, if given); and how many are paid for."""
        odd: list[Pair] = []
        reach: npt.NDArray[np.int64] = np.zeros(MOST_NATS, np.int64)
        for judge in range(JUDGES):
            every = list(surprises(cells, judge, LISTED, near))
            odd += beyond(cells, every, LEAST_RATIO)[:MOST_CANDIDATES]
            for one in every:
                nats = np.minimum(one.most.ravel(), MOST_NATS - 1).astype(np.int64)
                reach += np.bincount(nats, minlength=MOST_NATS)
        if near is None:
            self.tried = payable(reach, self.frame.alpha)
        return odd

    def _judged(self, pairs: list[Pair], tails: Tails, shifts: Sequence[float]) -> list[Pair]:
        """The same pairs, each with the statistic of its rows one by one; the oddest first."""
        shares = self.cells.shares() if self.cells is not None else np.zeros(0)
        ratios = [
            tails.ratio(at, pair.own + shifts[pair.judge], float(shares[pair.target]))
            for at, pair in enumerate(pairs)
        ]
        return ordered(
            msgspec.structs.replace(pair, ratio=ratio)
            for pair, ratio in zip(pairs, ratios, strict=True)
        )

    def _told(self, judged: list[Pair], cells: Cells) -> tuple[list[Pair], list[Pair]]:
        """Pairs that are significant, and those of them that are only said."""
        found = unopposed((pair for pair in judged if pair.ratio > self._bound()), cells)
        common = [pair for pair in found if pair.common(cells.rows)]
        return [pair for pair in found if pair not in common], common

    def _tails(self, pairs: list[Pair], parts: Sequence[Rows]) -> Tails:
        tails = Tails(len(pairs))
        for rows in parts:
            self._count(tails, pairs, rows)
        return tails

    def _count(self, tails: Tails, pairs: list[Pair], rows: Rows, sign: int = 1) -> None:
        """Add (or take away) the rows of each pair, by their odds."""
        cells = self.cells
        if cells is None:
            return
        inside: npt.NDArray[np.bool_] = np.zeros(len(rows.ids), bool)
        for pair in pairs:
            inside |= rows.within(pair, cells)
        some = rows.part(inside)
        for at, pair in enumerate(pairs):
            here = some.within(pair, cells)
            odds = some.odds(pair.judge, *cells.pairs[pair.at], pair.target)
            tails.add(at, odds[here], (some.target == pair.target)[here], sign)

    def _bound(self) -> float:
        """The log-likelihood ratio that holds over everything tried."""
        return log(max(self.tried, 1) / self.frame.alpha)

    def _fetch(self, batch: Batch) -> None:
        cells = self.cells
        if cells is None:
            return
        rows = self._rows(batch)
        self._count(self.tails, self.odd, rows)
        shown: npt.NDArray[np.bool_] = np.zeros(len(rows.ids), bool)
        for pair in self.odd:
            shown |= rows.shows(pair, cells)
        if shown.any():
            kept = rows.part(shown)
            kept.shown = cells_of(
                batches.taken(batch, np.flatnonzero(np.isin(batch.ids, kept.ids)))
            )
            self.kept.append(kept)

    def _groups(self) -> Iterator[Group]:
        """Greedy: the largest pair's carriers are taken out before the others are judged again."""
        cells = self.cells
        if cells is None or not self.found:
            return
        rows = joined(self.kept)
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
            self._take(rows.part(here), -1)
        self._take(rows.part(taken), 1)

    def _take(self, rows: Rows, sign: int) -> None:
        """Out of all counts, or back into them."""
        if self.cells is not None and len(rows.ids):
            self.cells.add(rows.codes, rows.hit, rows.expected, float(sign))
            self._count(self.tails, self.odd, rows, sign)

    def _best(self, cells: Cells) -> Pair | None:
        """Of the pairs still impossible, the one that explains most rows.

        Not the largest statistic: a pair of one trigger value with a value that many of its rows
        share can be purer than the trigger itself, and would leave the rest unexplained.
        """
        again: list[Pair] = []
        places = {one.key: place for place, one in enumerate(self.odd)}
        for pair in self.found:
            cell = pair.first * cells.sizes[cells.pairs[pair.at][1]] + pair.second
            shift = self.shifts[pair.judge]
            one = cells.surprise(pair.judge, pair.at, np.array([cell]), shift)
            if not one.ratio.size or one.ratio[pair.target, 0] <= 0:
                continue  # no excess is left
            now = pair_of(cells, one, pair.target, 0)
            share = float(cells.shares()[pair.target])
            ratio = self.tails.ratio(places[pair.key], now.own + shift, share)
            if ratio > self._bound():
                again.append(msgspec.structs.replace(now, ratio=ratio))
        return max(again, key=lambda pair: pair.seen - pair.expected, default=None)

    def _columns(self, pair: Pair) -> list[str]:
        pairs = self.cells.pairs if self.cells is not None else []
        return [self.books[at].column.name for at in pairs[pair.at]]

    def _group(self, pair: Pair, carriers: npt.NDArray[np.int64]) -> Group:
        columns = self._columns(pair)
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


def cells_of(batch: Batch) -> dict[int, dict[str, str]]:
    """Some rows' cells as text, by id."""
    columns = list(batch.values.items())[:MOST_SHOWN]
    return {
        int(record): {name: short(column[at]) for name, column in columns}
        for at, record in enumerate(batch.ids[:MOST_CANDIDATES])
    }


def targets_of(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Label code → target; beyond 32 labels the rarest share the last. And how many there are."""
    there = np.flatnonzero(counts)
    order = there[np.argsort(-counts[there], kind="stable")]
    targets: npt.NDArray[np.int64] = np.zeros(len(counts), np.int64)
    targets[order] = np.minimum(np.arange(len(order)), MOST_TARGETS - 1)
    return targets, min(len(order), MOST_TARGETS)
