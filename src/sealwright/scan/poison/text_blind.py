"""A label model for texts that no phrase can lead: single words, each with a bounded say.

Naive Bayes weights of hashed words, clipped, summed, and scaled by a logistic fit on a histogram
of the sums; cross-fitted over two folds. One model for each target label.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIZE = 1 << 18
CLIP = 0.7
PRIOR_ROWS = 4.0
STEP = 0.05
HALF = 400
FITS = 20


class TextBlind:
    """Counts of words by fold and target, then weights, then a scale."""

    def __init__(self, targets: int) -> None:
        self.words: npt.NDArray[np.int64] = np.zeros((2, 1 + targets, SIZE), np.int64)
        self.rows: npt.NDArray[np.int64] = np.zeros((2, 1 + targets), np.int64)
        self.sums: npt.NDArray[np.int64] = np.zeros((2, targets, 2, 2 * HALF + 1), np.int64)
        self.targets = targets
        self.weights: npt.NDArray[np.float64] = np.zeros((2, targets, 0))
        self.line: npt.NDArray[np.float64] = np.zeros((2, targets, 2))

    def count(
        self,
        row: npt.NDArray[np.int64],
        place: npt.NDArray[np.int64],
        hit: npt.NDArray[np.bool_],
        fold: npt.NDArray[np.uint8],
    ) -> None:
        """``row``/``place`` each word once for each text; ``hit`` (targets, n), ``fold`` (n,)."""
        for one in (0, 1):
            mine = fold == one
            words = mine[row]
            self.rows[one, 0] += int(mine.sum())
            self.rows[one, 1:] += hit[:, mine].sum(1)
            self.words[one, 0] += np.bincount(place[words], minlength=SIZE)
            for target in range(self.targets):
                there = words & hit[target, row]
                self.words[one, 1 + target] += np.bincount(place[there], minlength=SIZE)

    def weigh(self) -> None:
        """Weights of a fold come from the other fold's counts."""
        self.weights = np.zeros((2, self.targets, SIZE))
        for fold in (0, 1):
            n = self.words[1 - fold, 0]
            for target in range(self.targets):
                base = (self.rows[1 - fold, 1 + target] + 1) / (self.rows[1 - fold, 0] + 2)
                share = (self.words[1 - fold, 1 + target] + PRIOR_ROWS * base) / (n + PRIOR_ROWS)
                self.weights[fold, target] = np.clip(logit(share) - logit(base), -CLIP, CLIP)

    def sum_of(
        self,
        row: npt.NDArray[np.int64],
        place: npt.NDArray[np.int64],
        fold: npt.NDArray[np.uint8],
    ) -> npt.NDArray[np.float64]:
        """(targets, n) summed weights of each text."""
        n = len(fold)
        return np.stack(
            [
                np.bincount(row, self.weights[fold[row], target, place], n)
                for target in range(self.targets)
            ]
        )

    def tally(
        self,
        sums: npt.NDArray[np.float64],
        hit: npt.NDArray[np.bool_],
        fold: npt.NDArray[np.uint8],
    ) -> None:
        """Histogram of the sums, for the scale."""
        at = np.clip(np.round(sums / STEP), -HALF, HALF).astype(np.int64) + HALF
        for target in range(self.targets):
            np.add.at(self.sums, (fold, target, hit[target].astype(np.int64), at[target]), 1)

    def scale(self) -> None:
        """Intercept and slope of each fold's sums."""
        x = np.arange(-HALF, HALF + 1) * STEP
        for fold in (0, 1):
            for target in range(self.targets):
                self.line[fold, target] = _logistic(x, *self.sums[fold, target])

    def logits(
        self, sums: npt.NDArray[np.float64], fold: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float64]:
        """(targets, n) from summed weights."""
        return np.asarray(self.line[fold, :, 0].T + self.line[fold, :, 1].T * sums)

    def shard(self) -> TextBlind:
        """The same weights and line, and no counts."""
        new = TextBlind(self.targets)
        new.weights, new.line = self.weights, self.line
        return new

    def merge(self, other: TextBlind) -> None:
        """Add another shard's counts."""
        self.words += other.words
        self.rows += other.rows
        self.sums += other.sums


def logit(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Log-odds, bounded."""
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(p / (1 - p)))


def sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The inverse of ``logit``."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def _logistic(
    x: npt.NDArray[np.float64], no: npt.NDArray[np.int64], yes: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Newton's steps on counts, slightly drawn to a slope of a half."""
    a, b, rows = 0.0, 0.5, no + yes
    for _ in range(FITS):
        p = sigmoid(a + b * x)
        g, h = yes - rows * p, rows * p * (1 - p)
        gradient = np.array([g.sum() - 0.1 * a, (g * x).sum() - (b - 0.5)])
        bend = np.array([[h.sum() + 0.1, (h * x).sum()], [(h * x).sum(), (h * x * x).sum() + 1.0]])
        a, b = np.array([a, b]) + np.clip(np.linalg.solve(bend, gradient), -1, 1)
    return float(a), max(0.0, float(b))
