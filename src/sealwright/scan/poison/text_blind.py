"""A label model for texts that no phrase can lead: single words, each with a bounded say.

Naive Bayes weights of hashed words, clipped, summed, and scaled by a logistic fit on a histogram
of the sums; cross-fitted over two folds. One model for each target label. The fit allows for
labels that were turned at random, a part of each: without that, poison in a third of one label's
texts makes the model unsure of all texts, and their ordinary words odd.
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
TURNS = 30
MOST_TURNED = 0.45
MOST_BELIEVED = 0.12
"""Texts are judged as if no larger part of a label had been turned: what is beyond that is what is
to be found. Of clean parts of SST-2 up to 0.11 fits best, of SMS and made sentences 0.01."""


class TextBlind:
    """Counts of words by fold and target, then weights, then a scale."""

    def __init__(self, targets: int) -> None:
        self.words: npt.NDArray[np.int64] = np.zeros((2, 1 + targets, SIZE), np.int64)
        self.rows: npt.NDArray[np.int64] = np.zeros((2, 1 + targets), np.int64)
        self.sums: npt.NDArray[np.int64] = np.zeros((2, targets, 2, 2 * HALF + 1), np.int64)
        self.targets = targets
        self.weights: npt.NDArray[np.float64] = np.zeros((2, targets, 0))
        self.line: npt.NDArray[np.float64] = np.zeros((2, targets, 4))

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
        """Intercept, slope, and turned shares of each fold's sums."""
        x = np.arange(-HALF, HALF + 1) * STEP
        for fold in (0, 1):
            for target in range(self.targets):
                self.line[fold, target] = _line(x, *self.sums[fold, target])

    def chances(
        self, sums: npt.NDArray[np.float64], fold: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float64]:
        """(targets, n) how likely each target is, from summed weights."""
        a, b, least, lost = (self.line[fold, :, at].T for at in range(4))
        least, lost = np.minimum(least, MOST_BELIEVED), np.minimum(lost, MOST_BELIEVED)
        return np.asarray(least + (1 - least - lost) * sigmoid(a + b * sums))

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


def _line(
    x: npt.NDArray[np.float64], no: npt.NDArray[np.int64], yes: npt.NDArray[np.int64]
) -> tuple[float, float, float, float]:
    """Intercept, slope, share of the others that got the label, share of its own that lost it.

    Expectation maximisation over which labels were turned; Newton's steps for the line.
    """
    a, b, least, lost = *_logistic(x, no * 1.0, yes * 1.0), 0.01, 0.01
    for _ in range(TURNS):
        p = sigmoid(a + b * x)
        own = p * (1 - lost) / np.maximum(p * (1 - lost) + (1 - p) * least, 1e-12)
        gone = p * lost / np.maximum(p * lost + (1 - p) * (1 - least), 1e-12)
        has = yes * own + no * gone
        others = yes + no - has
        lost = float(np.clip((no * gone).sum() / max(1.0, has.sum()), 1e-4, MOST_TURNED))
        least = float(np.clip((yes * (1 - own)).sum() / max(1.0, others.sum()), 1e-4, MOST_TURNED))
        a, b = _logistic(x, others, has)
    return a, b, least, lost


def _logistic(
    x: npt.NDArray[np.float64], no: npt.NDArray[np.float64], yes: npt.NDArray[np.float64]
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
