"""The rows of a few cells by their log-odds, so that each cell can be judged row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sealwright.scan.poison import unequal
from sealwright.scan.poison.table_cells import floor_of, logit, sigmoid

STEP = 0.125
HALF = 64
DECIDES = 0.5
"""A pair of which no more rows than this have the label does not decide it."""
LIKE = 0.8
"""Nats a row by which rows look like their label, from which on a pair is taken for natural. What
decides a protocol or a service in NSL-KDD: 0.9 to 2.7; planted pairs mostly -3 to 0.3. Of four
values together at 5 % the judge has learnt from the other two: 0.67."""


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

    def ratio(self, cell: int, shift: float, share: float) -> float:
        """Nats by which so many rows with the target are beyond what ``shift`` more explains.

        ``share`` of all rows have the target. 0 where most of the rows do not, or those that do
        look like it.
        """
        count = self.rows[cell].sum(0)
        seen = float(self.rows[cell, 1].sum())
        if seen <= DECIDES * count.sum() or self.likeness(cell, share) > LIKE * seen:
            return 0.0
        there = np.flatnonzero(count)
        odds = np.maximum((there - HALF) * STEP, logit(floor_of(np.array(share))))
        return unequal.ratio(sigmoid(odds + shift), count[there].astype(np.float64), seen)

    def likeness(self, cell: int, share: float) -> float:
        """Nats by which the rows with the target look like rows of that label elsewhere, rather
        than like those of others: what each one's odds are beyond those of all rows.

        Rows that were relabelled look like what they were. Where two values decide a label by
        nature, or seem to because other rows that have them were poisoned, they look like it.
        """
        odds = (np.arange(-HALF, HALF + 1) - 0.5) * STEP
        most = -float(logit(floor_of(np.array(share))))
        beyond = np.clip(odds, -most, most) - float(logit(np.array(share)))
        return float(self.rows[cell, 1] @ beyond)
