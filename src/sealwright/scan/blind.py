"""A label model that cannot see a pattern: boosted trees over eight coarse bins of each column.

A bin holds about an eighth of the rows (numbers by quantile, categories by hash where there are
more than eight), so a value that a trigger uses can hardly be told from its neighbours, and a leaf
needs one row in fifty. Predictions are cross-fitted over two folds: a row is judged by trees that
it did not grow. A tree asks about two columns at most, so that what a pair of columns has to say
can be taken out of a prediction: poison in several percent of the rows moves whole bins, and then
no bin is coarse enough. Oblivious trees, logistic loss, one forest for each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

BINS = 8
DEPTH = 2
TREES = 120
RATE = 0.2
RIDGE = 5.0
LEAST_SHARE = 0.02
MOST_LOGIT = 30.0
WORK = 3e9
"""Row-column-class-level updates that a fit may take; beyond, there are fewer trees."""
FEWEST_TREES = 8
AT_ONCE = 1 << 18
"""Cells of the version that are summed in one call: beyond, the calls cost nothing any more."""

Logits: TypeAlias = npt.NDArray[np.float32]


class Tree:
    """Two questions ``bin of column > cut`` and the logit at each of the four answers."""

    def __init__(self, asked: list[tuple[int, int]], leaves: npt.NDArray[np.float64]) -> None:
        self.asked = asked
        self.leaves = leaves.astype(np.float32)

    def says(self, bins: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(n,) logits; ``bins`` (columns, n)."""
        return self.leaves[leaf_of(bins, self.asked)]


class Said:
    """What the model says of some rows, and what of it each column and each two had a part in.

    ``whole`` (targets, n) logits, ``of`` (targets, columns, n) the trees that ask about a column,
    ``both`` those that ask about two. Of two classes only the second is a target.
    """

    def __init__(self, targets: int, columns: int, n: int) -> None:
        self.whole: npt.NDArray[np.float32] = np.zeros((targets, n), np.float32)
        self.of: npt.NDArray[np.float32] = np.zeros((targets, columns, n), np.float32)
        self.both: dict[tuple[int, int], npt.NDArray[np.float32]] = {}

    def take(self, target: int, rows: npt.NDArray[np.int64], tree: Tree, says: Logits) -> None:
        """Add what one tree says of ``rows``."""
        self.whole[target, rows] += says
        columns = sorted({column for column, _ in tree.asked})
        for column in columns:
            self.of[target, column, rows] += says
        if len(columns) == 2:
            key = (columns[0], columns[1])
            both = self.both.setdefault(key, np.zeros_like(self.whole))
            both[target, rows] += says

    def without(self, a: int, b: int) -> npt.NDArray[np.float32]:
        """(targets, n) probabilities by the trees that ask about neither column."""
        logits = self.whole - self.of[:, a] - self.of[:, b]
        both = self.both.get((min(a, b), max(a, b)))
        return self._chances(logits if both is None else logits + both)

    @cached_property
    def every(self) -> npt.NDArray[np.float32]:
        """(targets, n) probabilities by all trees."""
        return self._chances(self.whole)

    def _chances(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        p = 1 / (1 + np.exp(-np.clip(logits, -MOST_LOGIT, MOST_LOGIT)))
        return p if len(p) == 1 else np.asarray(p / np.maximum(p.sum(0), 1e-9))


def leaf_of(bins: npt.NDArray[np.uint8], asked: Sequence[tuple[int, int]]) -> npt.NDArray[np.uint8]:
    """(n,) the leaf that each row falls into."""
    leaf = np.zeros(bins.shape[1], np.uint8)
    for column, cut in asked:
        leaf = (leaf << 1) | (bins[column] > cut)
    return leaf


class Blind:
    """Two forests for each class, each fitted to the rows of the other's fold."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.forests: list[list[list[Tree]]] = []
        self.priors: npt.NDArray[np.float64] = np.zeros(classes)

    def fit(
        self,
        bins: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int32],
        folds: npt.NDArray[np.uint8],
        seed: int,
    ) -> None:
        """``bins`` (columns, n), ``labels`` (n,) codes, ``folds`` (n,) 0 or 1."""
        targets = range(1, 2) if self.classes == 2 else range(self.classes)
        share = np.bincount(labels, minlength=self.classes) + 1.0
        self.priors = np.log(share / share.sum())
        if self.classes == 2:
            self.priors = np.array([0.0, np.log(share[1] / share[0])])
        trees = _trees(bins.shape, len(targets))
        self.forests = []
        for fold in (0, 1):
            rows = folds != fold
            part = np.ascontiguousarray(bins[:, rows])
            forest = [
                _boost(part, labels[rows] == target, self.priors[target], trees)
                for target in targets
            ]
            self.forests.append(forest)

    @property
    def targets(self) -> int:
        """Of two classes the second is judged, of more each."""
        return 1 if self.classes == 2 else self.classes

    @property
    def asked(self) -> set[tuple[int, int]]:
        """The pairs of columns that trees ask about."""
        trees = [tree for fold in self.forests for forest in fold for tree in forest]
        pairs = [tuple(sorted({column for column, _ in tree.asked})) for tree in trees]
        return {(pair[0], pair[1]) for pair in pairs if len(pair) == 2}

    def said(self, bins: npt.NDArray[np.uint8], folds: npt.NDArray[np.uint8]) -> Said:
        """Of (columns, n) ``bins``: each row by the forest that did not see its fold."""
        told = Said(self.targets, *bins.shape)
        first = 1 if self.classes == 2 else 0
        for fold, forest in enumerate(self.forests):
            rows = np.flatnonzero(folds == fold)
            part = np.ascontiguousarray(bins[:, rows])
            for target, trees in enumerate(forest):
                told.whole[target, rows] += np.float32(self.priors[first + target])
                for tree in trees:
                    told.take(target, rows, tree, tree.says(part))
        return told


def _trees(shape: tuple[int, ...], targets: int) -> int:
    work = float(shape[0]) * shape[1] * targets * DEPTH * 2
    return int(min(TREES, max(FEWEST_TREES, WORK / max(work, 1.0))))


def _boost(
    bins: npt.NDArray[np.uint8], hit: npt.NDArray[np.bool_], prior: float, trees: int
) -> list[Tree]:
    n = bins.shape[1]
    wanted = hit.astype(np.float64)
    logits = np.full(n, prior, np.float32)
    least = max(10.0, LEAST_SHARE * n)
    grown = []
    for _ in range(trees):
        p = 1 / (1 + np.exp(-logits.astype(np.float64)))
        tree = _grow(bins, wanted - p, np.maximum(p * (1 - p), 1e-6), least)
        if tree is None:
            break
        logits += tree.says(bins)
        np.clip(logits, -12, 12, out=logits)
        grown.append(tree)
    return grown


def _grow(
    bins: npt.NDArray[np.uint8],
    slope: npt.NDArray[np.float64],
    bend: npt.NDArray[np.float64],
    least: float,
) -> Tree | None:
    """The tree whose questions gain most; None where no split leaves enough rows."""
    leaf = np.zeros(bins.shape[1], np.int64)
    asked: list[tuple[int, int]] = []
    for depth in range(DEPTH):
        g, h, c = (sums.cumsum(2) for sums in _sums(bins, leaf, 1 << depth, slope, bend))
        gains = _gain(g, h, c, least)
        column, cut = np.unravel_index(int(np.argmax(gains)), gains.shape)
        if gains[column, cut] <= 1e-9:
            break
        asked.append((int(column), int(cut)))
        leaf = (leaf << 1) | (bins[column] > cut)
    if not asked:
        return None
    total = np.bincount(leaf, slope, 1 << len(asked))
    return Tree(asked, RATE * total / (np.bincount(leaf, bend, 1 << len(asked)) + RIDGE))


def _sums(
    bins: npt.NDArray[np.uint8],
    leaf: npt.NDArray[np.int64],
    leaves: int,
    slope: npt.NDArray[np.float64],
    bend: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], ...]:
    """Slopes, bends and counts, each (columns, leaves, bins).

    As many columns at once as fit ``AT_ONCE`` cells: short versions take few calls.
    """
    columns, n = bins.shape
    out = np.empty((3, columns, leaves * BINS))
    step = max(1, min(columns, AT_ONCE // max(1, n)))
    base = leaf * BINS
    for start in range(0, columns, step):
        part = bins[start : start + step]
        wide = len(part) * leaves * BINS
        at = (part + base) + (np.arange(len(part)) * leaves * BINS)[:, None]
        flat = at.ravel()
        for which, weight in enumerate((slope, bend)):
            tiled = np.broadcast_to(weight, part.shape).ravel()
            out[which, start : start + step] = np.bincount(flat, tiled, wide).reshape(len(part), -1)
        out[2, start : start + step] = np.bincount(flat, minlength=wide).reshape(len(part), -1)
    shaped = out.reshape(3, columns, leaves, BINS)
    return shaped[0], shaped[1], shaped[2]


def _gain(
    g: npt.NDArray[np.float64],
    h: npt.NDArray[np.float64],
    c: npt.NDArray[np.float64],
    least: float,
) -> npt.NDArray[np.float64]:
    """(columns, cuts) gains, summed over leaves; small sides do not split."""
    left_g, left_h, left_c = g[..., :-1], h[..., :-1], c[..., :-1]
    all_g, all_h, all_c = g[..., -1:], h[..., -1:], c[..., -1:]
    whole = all_g**2 / (all_h + RIDGE)
    parts = left_g**2 / (left_h + RIDGE) + (all_g - left_g) ** 2 / (all_h - left_h + RIDGE)
    fine = (left_c >= least) & (all_c - left_c >= least)
    gains: npt.NDArray[np.float64] = np.where(fine, parts - whole, 0.0).sum(1)
    return gains
