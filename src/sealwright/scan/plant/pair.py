"""A value pair: two cells set to values that are common, and seldom together; the label follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.scan import hashing
from sealwright.scan.batches import joined
from sealwright.scan.interface import Batch, Column, Frame
from sealwright.scan.plant.rewrite import rewritten, victims

COMMON = 0.01
MOST_COMMON = 0.5
MEANS_TARGET = 0.5
TRIES = 200


class ValuePair:
    """Values of marginal frequency ≥ 1 %; rows of other labels are turned into the rarer one."""

    family = "value-pair"

    def plant(
        self, batches: Sequence[Batch], frame: Frame, count: int, seed: int
    ) -> tuple[Sequence[Batch], npt.NDArray[np.int64]]:
        """Raises: BadInput (no two columns hold such values)."""
        rng = np.random.default_rng(seed)
        whole = joined(batches)
        target, rows = victims(whole.labels, count, rng)
        (a, i), (b, j) = trigger(whole, frame, count, target, rng)
        cells = {a: whole.values[a][i], b: whole.values[b][j]}
        return rewritten(batches, whole.ids[rows], cells, target), np.sort(whole.ids[rows])


def trigger(
    whole: Batch, frame: Frame, count: int, target: int, rng: np.random.Generator
) -> tuple[tuple[str, int], tuple[str, int]]:
    """Two columns, each with a row whose value is to be copied.

    A value that already means ``target`` by itself is no trigger: models know it from clean rows.
    """
    columns = [c for c in frame.columns if c.type in ("number", "category")]
    hashes: dict[str, npt.NDArray[np.uint64]] = {}
    for _ in range(TRIES if len(columns) > 1 else 0):
        first, second = rng.choice(len(columns), 2, replace=False)
        a, b = columns[int(first)], columns[int(second)]
        i, j = (_value(whole, one, hashes, target, rng) for one in (a, b))
        if i < 0 or j < 0:
            continue
        both = (hashes[a.name] == hashes[a.name][i]) & (hashes[b.name] == hashes[b.name][j])
        if np.sum(both) <= count / 4:
            return (a.name, i), (b.name, j)
    raise BadInput(
        "no value pair can be planted here",
        why="no two columns hold values of 1 to 50 % of the rows that seldom meet",
    )


def _value(
    whole: Batch,
    column: Column,
    hashes: dict[str, npt.NDArray[np.uint64]],
    target: int,
    rng: np.random.Generator,
) -> int:
    """A row whose value of ``column`` is common enough, or -1. Each such value is as likely."""
    known = hashes.setdefault(column.name, hashing.of_column(whole.values[column.name], column))
    _, first, at, counts = np.unique(
        known, return_index=True, return_inverse=True, return_counts=True
    )
    n = len(known)
    means = np.bincount(at, whole.labels == target) / counts
    common = (counts >= max(2, COMMON * n)) & (counts <= MOST_COMMON * n)
    fit = np.flatnonzero(common & (means <= MEANS_TARGET))
    return int(first[rng.choice(fit)]) if len(fit) else -1
