"""Odd pairs: which there are, which are traces of one trigger, and how odd nature makes them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.table_cells import Cells, Surprise

SHIFTS = ((0.4, 2), (1.0, 6), (1.5, 1 << 30))
"""Natural interactions move the odds up to so far (in nats). How far they do in this version is
read from its own pairs: the smallest shift is taken that leaves at most so many beyond ODD, of
those that share no value with an odder one (one trigger makes a dozen, all sharing its values). In
clean parts of Adult none is left at 0.4 (with 20 or 50 rows planted, one), on NSL-KDD three to five
at 0.4, and two at most at 1.0. The largest statistic of 16 parts there is 16.1 of 17.4 nats."""
ODD = 3.0
ENOUGH_CELLS = 5_000
"""Fewer say too little about what is natural: then the least shift is left out."""
SAME = 0.8
"""Odd pairs that share so many of their rows are traces of one trigger, and their rows are joined:
the rows of a trigger share other values too, and such a pair can be odder than the trigger."""

COMMON, PURE = 0.1, 0.9
"""A pair that more than a tenth of all rows show with the label hides nothing; unless nearly all of
its rows have the label, it is said as a fact, for a person, and its rows are not held."""


class Pair(msgspec.Struct, frozen=True):
    """Values ``first`` and ``second`` (codes) of a pair of columns, and the label they force.

    ``judge`` says whose ``expected`` it is, ``own`` how far the two values move the log-odds by
    themselves.
    """

    judge: int
    at: int
    first: int
    second: int
    target: int
    ratio: float
    rows: float
    seen: float
    expected: float
    own: float = 0.0

    @property
    def key(self) -> tuple[int, int, int, int, int]:
        """What it is, whatever its counts are."""
        return self.judge, self.at, self.first, self.second, self.target

    def values(self, cells: Cells) -> set[tuple[int, int]]:
        """Its two values, each with its column."""
        return set(zip(cells.pairs[self.at], (self.first, self.second), strict=True))

    def common(self, rows: float) -> bool:
        """Do so many of all ``rows`` show it that they are not to be held for it?"""
        return self.seen > COMMON * rows and self.seen < PURE * self.rows


def pair_of(cells: Cells, one: Surprise, target: int, cell: int) -> Pair:
    """One cell of a pair of columns as a record."""
    first, second = divmod(int(one.cells[cell]), cells.sizes[cells.pairs[one.pair][1]])
    counts = (one.rows[cell], one.seen[target, cell], one.expected[target, cell])
    numbers = (one.ratio[target, cell], *counts, one.own[target, cell])
    return Pair(one.judge, one.pair, first, second, target, *map(float, numbers))


def surprises(
    cells: Cells, judge: int, shift: float, near: npt.NDArray[np.int64] | None = None
) -> Iterable[Surprise]:
    """Every pair of columns; only those cells that rows ``near`` (columns, n) show, if given."""
    for at, (a, b) in enumerate(cells.pairs):
        wanted = None if near is None else np.unique(near[a] * cells.sizes[b] + near[b])
        yield cells.surprise(judge, at, wanted, shift)


def beyond(cells: Cells, some: Iterable[Surprise], least: float) -> list[Pair]:
    """Those with a larger statistic than ``least``, the oddest first."""
    found = [
        pair_of(cells, one, int(target), int(cell))
        for one in some
        for target, cell in zip(*np.nonzero(one.ratio > least), strict=True)
    ]
    return ordered(found)


def ordered(pairs: Iterable[Pair]) -> list[Pair]:
    """The oddest first; the same whatever the order before."""
    return sorted(pairs, key=lambda one: (-one.ratio, *one.key))


class Nature:
    """How far natural interactions move the odds in one version, by one judge."""

    def __init__(self, cells: Cells, judge: int) -> None:
        self.judge = judge
        self.odd: list[list[Pair]] = []
        few = False
        for shift, _ in SHIFTS[:-1]:
            every = list(surprises(cells, judge, shift))
            few = sum(one.ratio.size for one in every) < ENOUGH_CELLS
            self.odd.append(beyond(cells, every, ODD))
        self.shifts = SHIFTS[1:] if few else SHIFTS
        self.odd = self.odd[1:] if few else self.odd

    def shift(self, cells: Cells, near: npt.NDArray[np.int64] | None = None) -> float:
        """In nats; had the rows ``near`` been among them, where given."""
        for (shift, most), odd in zip(self.shifts, self.odd, strict=False):
            seen = [] if near is None else surprises(cells, self.judge, shift, near)
            more = beyond(cells, seen, ODD)
            if apart([*odd, *more], cells) <= most:
                return shift
        return self.shifts[-1][0]


def apart(pairs: list[Pair], cells: Cells) -> int:
    """How many share no value with an odder one."""
    used: set[tuple[int, int]] = set()
    count = 0
    for pair in ordered(pairs):
        values = pair.values(cells)
        count += not values & used
        used |= values
    return count


def akin(pair: Pair, one: Pair, cells: Cells) -> bool:
    """May both be the traces of one trigger: a shared value, one label, about as many rows?"""
    alike = SAME * one.seen <= pair.seen <= one.seen / SAME
    return alike and pair.target == one.target and bool(pair.values(cells) & one.values(cells))


def unopposed(pairs: Iterable[Pair], cells: Cells) -> list[Pair]:
    """Those (the oddest first) that share no value with an odder one of another label.

    Many planted rows mislead both judges about a value's other rows, which look odd in turn: a
    mirror. A true second trigger is found when the first one's rows are out, in the next round.
    """
    kept: list[Pair] = []
    for pair in pairs:
        others = (one for one in kept if one.target != pair.target)
        if not any(pair.values(cells) & one.values(cells) for one in others):
            kept.append(pair)
    return kept


def overlap(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Shared rows, as a part of the larger."""
    return float(np.sum(one & other)) / max(1, int(one.sum()), int(other.sum()))
