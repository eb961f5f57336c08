"""The rows of a few cells by their log-odds, so that each cell can be judged row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sealwright.scan.poison import unequal
from sealwright.scan.poison.table_cells import sigmoid

STEP = 0.125
HALF = 64


class Tails:
    """``rows`` (cells, 2, bins): rows without and with the target, by their log-odds of it.

    Log-odds are rounded up to the next step, so that the bound holds, and sums are exact.
    """

    def __init__(self, cells: int) -> None:
        self.rows: npt.NDArray[np.int64] = np.zeros((cells, 2, 2 * HALF + 1), np.int64)

    def add(
        self, cell: int, odds: npt.NDArray[np.float64], hit: npt.NDArray[np.bool_], sign: int = 1
    ) -> None:
        """``odds`` (n,) log-odds of the target, ``hit`` (n,) has it."""
        at = np.clip(np.ceil(odds / STEP), -HALF, HALF).astype(np.int64) + HALF
        wide = 2 * HALF + 1
        counts = np.bincount(hit * wide + at, minlength=2 * wide)
        self.rows[cell] += sign * counts.reshape(2, wide)

    def merge(self, other: Tails) -> None:
        """Add another shard's counts."""
        self.rows += other.rows

    def ratio(self, cell: int, shift: float, floor: float) -> float:
        """Nats by which so many rows with the target are beyond what ``shift`` more explains."""
        count = self.rows[cell].sum(0)
        seen = float(self.rows[cell, 1].sum())
        there = np.flatnonzero(count)
        odds = np.maximum((there - HALF) * STEP, np.log(floor / (1 - floor)))
        return unequal.ratio(sigmoid(odds + shift), count[there].astype(np.float64), seen)
