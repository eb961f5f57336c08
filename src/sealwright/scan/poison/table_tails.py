"""How unlikely the labels of a few cells are, row by row: what a mean over a cell hides.

A cell in which half of the rows have the target for good reasons and the others against all of
them has an even mean; taken row by row, those others are impossible. Chernoff's bound of a sum of
unequal chances, which for a cell's mean is Hoeffding's (1956) and never larger.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.table_cells import sigmoid

STEP = 0.125
HALF = 64
FITS = 50
MOST = 30.0


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
        p, n = sigmoid(odds + shift), count[there].astype(np.float64)
        if seen <= float(n @ p):
            return 0.0
        low, high = 0.0, MOST
        for _ in range(FITS):
            tilt = (low + high) / 2
            raised = p * np.exp(tilt)
            if float(n @ (raised / (1 - p + raised))) < seen:
                low = tilt
            else:
                high = tilt
        return max(0.0, low * seen - float(n @ np.log1p(p * np.expm1(low))))
