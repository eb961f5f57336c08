"""Counts by pairs of values: how often each pair shows, with which label, and with which expected.

A pair is impossible when its label mass is, given the blind prediction *and* what each of its two
values does where the other is absent. A value that is a shortcut by itself (a capital gain that
only the rich have) explains its pairs; so does a value that hardly ever shows without the other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

OWN_ROWS = 30.0
"""A value's own effect is drawn towards its pair's as if so many rows had said so: rows of a value
outside the pair must outnumber this before they acquit it of being a natural shortcut."""
OWN_SHARE = 0.33
SHIFTS = (0.4, 0.7, 1.0)
"""Natural interactions move the odds up to e-fold. How far they do in this version is read from its
own cells: the smallest shift that leaves at most FEW beyond ODD is taken. Measured on clean parts
of Adult (0.4 is taken, largest 3 of 15) and NSL-KDD (1.0, largest 9 of 18); a trigger in 1 % of
the rows of Adult makes ten such cells, its own and those of values that its rows share."""
ODD = 3.0
FEW = 12
ENOUGH_CELLS = 5_000
"""Fewer cells say too little about what is natural: then the largest shift is taken."""
FLOOR = 0.02
"""The blind model is never believed to be surer than this: it errs on one NSL-KDD row in ninety."""
USUAL = 0.75
"""Where more than this share has the label anyway, a pair decides nothing."""
MOST_NUMBERS = 1 << 25
LEAST_ROWS = 8


class Cells:
    """For each pair of columns: rows, rows of each target label, and rows expected to have it."""

    def __init__(self, sizes: list[int], targets: int) -> None:
        self.sizes = sizes
        self.targets = targets
        pairs = [(a, b) for a in range(len(sizes)) for b in range(a + 1, len(sizes))]
        pairs = [(a, b) for a, b in pairs if sizes[a] > 1 and sizes[b] > 1]
        pairs.sort(key=lambda pair: sizes[pair[0]] * sizes[pair[1]])
        room = MOST_NUMBERS // (1 + 2 * targets)
        fits = np.cumsum([sizes[a] * sizes[b] for a, b in pairs]) <= room
        self.pairs = [pair for pair, fit in zip(pairs, fits, strict=True) if fit]
        self.left_out = len(pairs) - len(self.pairs)
        self.both = [np.zeros((1 + 2 * targets, sizes[a] * sizes[b])) for a, b in self.pairs]
        self.alone = [np.zeros((1 + 2 * targets, size)) for size in sizes]

    def add(
        self, codes: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], sign: float = 1.0
    ) -> None:
        """``codes`` (columns, n); ``weights`` (2 * targets, n): has each target, expected to."""
        for at, table in enumerate(self.alone):
            _count(table, codes[at], weights, sign)
        for (a, b), table in zip(self.pairs, self.both, strict=True):
            _count(table, codes[a] * self.sizes[b] + codes[b], weights, sign)

    def merge(self, other: Cells) -> None:
        """Add another shard's counts."""
        for mine, theirs in zip(
            [*self.both, *self.alone], [*other.both, *other.alone], strict=True
        ):
            mine += theirs

    def shift(self) -> float:
        """How far natural interactions move the odds here, in nats. See SHIFTS."""
        for shift in SHIFTS[:-1]:
            every = [self.surprise(at, None, shift).ratio for at in range(len(self.pairs))]
            if sum(one.size for one in every) < ENOUGH_CELLS:
                break
            if sum(int(np.sum(one > ODD)) for one in every) <= FEW:
                return shift
        return SHIFTS[-1]

    def surprise(
        self, at: int, cells: npt.NDArray[np.int64] | None = None, shift: float = SHIFTS[-1]
    ) -> Surprise:
        """Pair ``at``'s cells with at least eight rows (of ``cells``, where given)."""
        a, b = self.pairs[at]
        table = self.both[at]
        wanted: npt.NDArray[np.int64] = np.arange(table.shape[1]) if cells is None else cells
        first: npt.NDArray[np.int64] = wanted // self.sizes[b]
        second: npt.NDArray[np.int64] = wanted % self.sizes[b]
        enough = (table[0, wanted] >= LEAST_ROWS) & (first > 0) & (second > 0)
        wanted, first, second = wanted[enough], first[enough], second[enough]
        here, one, other = table[:, wanted], self.alone[a][:, first], self.alone[b][:, second]
        return Surprise(at, wanted, here[0], *_ratios(here, one, other, self.targets, shift))


class Surprise:
    """Cells of one pair of columns, by target (targets, cells): seen, expected, the log-likelihood
    ``ratio``, and the ``most`` that it would be had all rows of the cell the target."""

    def __init__(
        self,
        pair: int,
        cells: npt.NDArray[np.int64],
        rows: npt.NDArray[np.float64],
        seen: npt.NDArray[np.float64],
        expected: npt.NDArray[np.float64],
        ratio: npt.NDArray[np.float64],
        most: npt.NDArray[np.float64],
    ) -> None:
        self.pair, self.cells, self.rows = pair, cells, rows
        self.seen, self.expected, self.ratio, self.most = seen, expected, ratio, most


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
    targets: int,
    beyond: float,
) -> tuple[npt.NDArray[np.float64], ...]:
    rows = here[0]
    seen, blind = here[1 : 1 + targets], here[1 + targets :]
    if targets == 1:  # two labels: the second is counted, the first is the rest
        seen, blind = np.stack([rows - seen[0], seen[0]]), np.stack([rows - blind[0], blind[0]])
    rate = np.clip(blind / rows, FLOOR, 1 - 1e-6)
    shift = np.zeros_like(rate)
    for alone in (one, other):
        shift += np.maximum(0.0, _effect(here, alone, seen, blind, targets))
    expected = _sigmoid(_logit(rate) + shift)
    bound = _sigmoid(_logit(expected) + beyond)
    ratio = rows * _divergence(seen / rows, bound)
    open_ = expected < USUAL
    most = np.where(open_, -rows * np.log(bound), 0.0)
    return seen, expected * rows, np.where(open_ & (seen / rows > bound), ratio, 0.0), most


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
    return _logit(has) - _logit(would)


def _divergence(q: npt.NDArray[np.float64], p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Kullback-Leibler, in nats: exp(-rows * this) bounds the tail (Chernoff, Hoeffding 1956)."""
    q = np.clip(q, 1e-12, 1 - 1e-12)
    return q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))


def _logit(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def _sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))
