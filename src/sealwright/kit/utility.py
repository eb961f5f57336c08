"""What a column is worth to a model: accuracy lost without it, cross-validated, cheaply.

Each column is cut into at most 16 cells (quantiles of a number, the most frequent categories)
and a ridge classifier is fitted on their indicators; its normal equations are summed once for
each fold, so that leaving a column out means leaving out a block. It ranks columns; a better
model may use one that this finds worthless, which is why nothing is dropped unasked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

CELLS = 16
FOLDS = 4
RIDGE = 1.0
MOST_ROWS = 20_000


class Worth(msgspec.Struct, frozen=True):
    """``cost`` is the accuracy lost when ``column`` goes after those before it in the list;
    ``total`` that of all columns up to it."""

    column: str
    cost: float
    total: float


class Utility(msgspec.Struct, frozen=True):
    """``accuracy`` with every column, ``baseline`` of the most frequent label alone. ``order``
    is every column, the least missed first."""

    rows: int
    accuracy: float
    baseline: float
    order: tuple[Worth, ...]


def measure(
    columns: Mapping[str, Sequence[object]], labels: Sequence[object], seed: int = 0
) -> Utility:
    """Backward elimination over ``columns``. At least two labels and 8 rows are wanted."""
    names = list(columns)
    blocks = [cells(columns[name]) for name in names]
    known, codes = np.unique([str(each) for each in labels], return_inverse=True)
    targets = np.eye(len(known))[codes]
    fits = _Fits(blocks, targets, codes, seed)
    left, order = list(range(len(names))), []
    whole = current = fits.accuracy(left)
    while len(left) > 1:
        scores = [(fits.accuracy([c for c in left if c != out]), out) for out in left]
        best, out = max(scores)
        left.remove(out)
        order.append(Worth(names[out], current - best, whole - best))
        current = best
    baseline = float(np.bincount(codes).max() / len(codes))
    order += [Worth(names[c], current - baseline, whole - baseline) for c in left]
    return Utility(len(codes), whole, baseline, tuple(order))


def cells(values: Sequence[object]) -> npt.NDArray[np.int64]:
    """Codes from 0: quantile bins where most values are numbers, else the frequent categories."""
    texts = np.array(["" if each is None else str(each) for each in values])
    numbers = np.array([_number(each) for each in values])
    finite = np.isfinite(numbers)
    if finite.mean() >= 0.9 and len(np.unique(numbers[finite])) > CELLS:
        edges = np.unique(np.quantile(numbers[finite], np.linspace(0, 1, CELLS)[1:-1]))
        return np.where(finite, 1 + np.searchsorted(edges, numbers, side="right"), 0).astype(
            np.int64
        )
    names, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    rank: npt.NDArray[np.int64] = np.empty(len(names), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names))
    return np.minimum(rank[codes], CELLS - 1)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


class _Fits:
    """Normal equations for each fold over every column's indicators and an intercept."""

    def __init__(
        self,
        blocks: Sequence[npt.NDArray[np.int64]],
        targets: npt.NDArray[np.float64],
        codes: npt.NDArray[np.int64],
        seed: int,
    ) -> None:
        widths = [int(block.max()) + 1 for block in blocks]
        self.places = np.split(np.arange(sum(widths)) + 1, np.cumsum(widths)[:-1])
        inputs = np.concatenate(
            [
                np.ones((len(codes), 1)),
                *(np.eye(w)[b] for w, b in zip(widths, blocks, strict=True)),
            ],
            axis=1,
        )
        fold = np.random.default_rng(seed).permutation(len(codes)) % FOLDS
        self.held = [(inputs[fold == k], codes[fold == k]) for k in range(FOLDS)]
        each = [
            (inputs[fold == k].T @ inputs[fold == k], inputs[fold == k].T @ targets[fold == k])
            for k in range(FOLDS)
        ]
        whole = [sum(part) for part in zip(*each, strict=True)]
        self.sums = [(whole[0] - gram, whole[1] - moment) for gram, moment in each]

    def accuracy(self, columns: Sequence[int]) -> float:
        """Held-out accuracy with only these columns."""
        at = np.concatenate([[0], *(self.places[c] for c in sorted(columns))]).astype(np.int64)
        right = total = 0
        for (gram, moment), (inputs, codes) in zip(self.sums, self.held, strict=True):
            weights = np.linalg.solve(gram[np.ix_(at, at)] + RIDGE * np.eye(len(at)), moment[at])
            right += int(np.sum(np.argmax(inputs[:, at] @ weights, axis=1) == codes))
            total += len(codes)
        return right / total
