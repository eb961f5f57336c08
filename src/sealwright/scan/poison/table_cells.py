"""Counts by pairs of values: how often each pair shows, with which label, and with which expected.

A pair is impossible when its label mass is, given what a judge predicts *and* what each of its two
values does where the other is absent. A value that is a shortcut by itself (a capital gain that
only the rich have) explains its pairs; so does a value that hardly ever shows without the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Table: TypeAlias = npt.NDArray[np.float64]
Expected: TypeAlias = Callable[[int, int], Table]
"""Of two columns: (judges * targets, n) how likely each target is, by each judge, of each row."""

NEITHER, EVERY = 0, 1
JUDGES = 2
"""Judges of a pair: a model that sees neither of its columns, and one that sees every column, in
coarse bins. Poison in several percent of the rows teaches the second; the first does not know what
a value means that points away from the label (a capital gain, in rows that are called poor)."""

OWN_ROWS = 30.0
"""A value's own effect is drawn towards its pair's as if so many rows had said so: rows of a value
outside the pair must outnumber this before they acquit it of being a natural shortcut."""
OWN_SHARE = 0.33
FLOOR = 0.05
"""The blind model is never believed to be surer than this: where it errs on NSL-KDD (one row in
seventy) rows err together, 14 of the 22 of one pair. At 0.02 that was 17.2 of 16.1 nats. Of a rare
label it is no surer than the label's share."""
USUAL = 0.75
"""Where more than this share has the label anyway, a pair decides nothing."""
EXCESS = 0.4
"""Of a pair's rows with the label more than this share must be beyond what was expected to have
it. Poison in several percent of the rows misleads the blind model about others, thousands of which
are then a little odd: an excess of 0.23 to 0.3 in parts of NSL-KDD, of 0.5 in the trigger's."""
MOST_NUMBERS = 1 << 25
LEAST_ROWS = 8


class Cells:
    """For each pair of columns: rows, rows of each target label, and rows each judge expected."""

    def __init__(self, sizes: list[int], targets: int) -> None:
        self.sizes = sizes
        self.targets = targets
        pairs = [(a, b) for a in range(len(sizes)) for b in range(a + 1, len(sizes))]
        pairs = [(a, b) for a, b in pairs if sizes[a] > 1 and sizes[b] > 1]
        pairs.sort(key=lambda pair: sizes[pair[0]] * sizes[pair[1]])
        wide = 1 + (1 + JUDGES) * targets
        room = MOST_NUMBERS // wide
        fits = np.cumsum([sizes[a] * sizes[b] for a, b in pairs]) <= room
        self.pairs = [pair for pair, fit in zip(pairs, fits, strict=True) if fit]
        self.left_out = len(pairs) - len(self.pairs)
        self.both = [np.zeros((wide, sizes[a] * sizes[b])) for a, b in self.pairs]
        self.rows = 0.0
        self.hits: Table = np.zeros(targets)
        self._alone: dict[int, tuple[Table, Table]] = {}

    def add(
        self, codes: npt.NDArray[np.int64], hit: Table, expected: Expected, sign: float = 1.0
    ) -> None:
        """``codes`` (columns, n); ``hit`` (targets, n) has each target; expected to, by a pair."""
        self._alone.clear()
        self.rows += sign * codes.shape[1]
        self.hits += sign * hit.sum(1)
        for (a, b), table in zip(self.pairs, self.both, strict=True):
            weights = np.concatenate([hit, expected(a, b)])
            _count(table, codes[a] * self.sizes[b] + codes[b], weights, sign)

    def merge(self, other: Cells) -> None:
        """Add another shard's counts."""
        self._alone.clear()
        self.rows += other.rows
        self.hits += other.hits
        for mine, theirs in zip(self.both, other.both, strict=True):
            mine += theirs

    def shares(self) -> Table:
        """(targets,) of all rows, those that have each target."""
        hits = self.hits if self.targets > 1 else np.array([self.rows - self.hits[0], self.hits[0]])
        return np.asarray((hits + 1) / (self.rows + 2))

    def alone(self, at: int) -> tuple[Table, Table]:
        """The same counts of pair ``at`` by its first value, and by its second."""
        if at not in self._alone:
            a, b = self.pairs[at]
            whole = self.both[at].reshape(-1, self.sizes[a], self.sizes[b])
            self._alone[at] = whole.sum(2), whole.sum(1)
        return self._alone[at]

    def surprise(
        self, judge: int, at: int, cells: npt.NDArray[np.int64] | None, shift: float
    ) -> Surprise:
        """Pair ``at``'s cells with at least eight rows (of ``cells``, where given), by a judge."""
        _, b = self.pairs[at]
        table = self.both[at]
        wanted: npt.NDArray[np.int64] = np.arange(table.shape[1]) if cells is None else cells
        first: npt.NDArray[np.int64] = wanted // self.sizes[b]
        second: npt.NDArray[np.int64] = wanted % self.sizes[b]
        enough = (table[0, wanted] >= LEAST_ROWS) & (first > 0) & (second > 0)
        wanted, first, second = wanted[enough], first[enough], second[enough]
        by_first, by_second = self.alone(at)
        start = 1 + self.targets * (1 + judge)
        part = np.r_[: 1 + self.targets, start : start + self.targets]
        here, one = table[np.ix_(part, wanted)], by_first[np.ix_(part, first)]
        other, floors = by_second[np.ix_(part, second)], floor_of(self.shares())
        return Surprise(judge, at, wanted, here[0], *_ratios(here, one, other, floors, shift))


class Surprise:
    """Cells of one pair of columns, by target (targets, cells): seen, expected, the log-likelihood
    ``ratio``, the ``most`` that it would be had all rows of the cell the target, and how far the
    two values move the log-odds by themselves (``own``)."""

    def __init__(
        self,
        judge: int,
        pair: int,
        cells: npt.NDArray[np.int64],
        rows: npt.NDArray[np.float64],
        seen: npt.NDArray[np.float64],
        expected: npt.NDArray[np.float64],
        ratio: npt.NDArray[np.float64],
        most: npt.NDArray[np.float64],
        own: npt.NDArray[np.float64],
    ) -> None:
        self.judge, self.pair, self.cells, self.rows = judge, pair, cells, rows
        self.seen, self.expected, self.ratio, self.most = seen, expected, ratio, most
        self.own = own


def _count(
    table: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    sign: float,
) -> None:
    size = table.shape[1]
    if len(cells) * 16 < size:
        np.add.at(table[0], cells, sign)
        for at, weight in enumerate(weights):
            np.add.at(table[1 + at], cells, sign * weight)
        return
    table[0] += sign * np.bincount(cells, minlength=size)
    for at, weight in enumerate(weights):
        table[1 + at] += sign * np.bincount(cells, weight, size)


def _ratios(
    here: npt.NDArray[np.float64],
    one: npt.NDArray[np.float64],
    other: npt.NDArray[np.float64],
    floors: npt.NDArray[np.float64],
    beyond: float,
) -> tuple[npt.NDArray[np.float64], ...]:
    rows, targets = here[0], (len(here) - 1) // 2
    seen, blind = here[1 : 1 + targets], here[1 + targets :]
    if targets == 1:  # two labels: the second is counted, the first is the rest
        seen, blind = np.stack([rows - seen[0], seen[0]]), np.stack([rows - blind[0], blind[0]])
    rate = np.clip(blind / rows, floors[:, None], 1 - 1e-6)
    shift = np.zeros_like(rate)
    for alone in (one, other):
        shift += np.maximum(0.0, _effect(here, alone, seen, blind, targets))
    expected = sigmoid(logit(rate) + shift)
    bound = sigmoid(logit(expected) + beyond)
    ratio = rows * _divergence(seen / rows, bound)
    open_ = (expected < USUAL) & (seen * (1 - EXCESS) > expected * rows)
    most = np.where(expected < USUAL, -rows * np.log(bound), 0.0)
    return seen, expected * rows, np.where(open_ & (seen / rows > bound), ratio, 0.0), most, shift


def payable(most: npt.NDArray[np.int64], alpha: float) -> int:
    """How many cells could be significant at all, so that only they are paid for.

    ``most`` (n,) counts cells by the whole nats they could reach. The smallest k of which at most
    k cells can reach alpha / k (Tarone 1990): the more are paid for, the fewer can.
    """
    reach = np.cumsum(most[::-1])[::-1]
    low, high = 0, int(reach[0])
    while low < high:
        count = (low + high) // 2
        bar = min(len(most) - 1, max(0, int(np.log(max(1, count) / alpha))))
        if int(reach[bar]) <= count:
            high = count
        else:
            low = count + 1
    return low


def _effect(
    here: npt.NDArray[np.float64],
    alone: npt.NDArray[np.float64],
    seen: npt.NDArray[np.float64],
    blind: npt.NDArray[np.float64],
    targets: int,
) -> npt.NDArray[np.float64]:
    """What a value does to the log-odds where the pair's other value is absent."""
    rows = alone[0] - here[0]
    whole_seen, whole_blind = alone[1 : 1 + targets], alone[1 + targets :]
    if targets == 1:
        whole_seen = np.stack([alone[0] - whole_seen[0], whole_seen[0]])
        whole_blind = np.stack([alone[0] - whole_blind[0], whole_blind[0]])
    own = np.minimum(OWN_ROWS, OWN_SHARE * here[0])
    share = own / here[0]
    has = (whole_seen - seen + share * seen) / (rows + own)
    would = (whole_blind - blind + share * blind) / (rows + own)
    return logit(has) - logit(would)


def _divergence(q: npt.NDArray[np.float64], p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Kullback-Leibler, in nats: exp(-rows * this) bounds the tail (Chernoff, Hoeffding 1956)."""
    q = np.clip(q, 1e-12, 1 - 1e-12)
    return q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))


def floor_of(share: Table) -> Table:
    """What a judge is never believed to be surer than, of a target with this share of all rows."""
    return np.clip(share, 1e-3, FLOOR)


def logit(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Log-odds, bounded."""
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The inverse of ``logit``."""
    return 1 / (1 + np.exp(-x))
