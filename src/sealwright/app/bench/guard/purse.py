"""What an account of the bench may have, sized by honest users so that new ones are left alone.

The shape of the pace is that of one half of the calibration users; its level is a tolerance limit
of the other half, who had no part in the shape: with 95 % confidence 97.5 % of new users stay
below. A plain cap on questions gets the same rule. Test users only say what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sealwright.kit.intervals import tolerance_rank
from sealwright.redteam.extraction.interface import Array

HONEST = 0.975
"""Of honest users are never stopped."""

KNOTS = (25, 50, 100, 200, 400, 800, 1_600)
"""Answers after which the shape of a pace is told."""

_SHAPE = 0.95
"""The quantile of honest users, at each knot, that is the shape of the pace."""

_FEW = 8
"""Users who asked so much, below whom a knot's quantile is the one before it, grown as before."""

Touched = Sequence[tuple[int, ...]]
"""For each question in order, the cells that it touches."""


class Purse(NamedTuple):
    """``most`` (cap,): cells that may be touched once so many answers were had; ``cap`` answers.

    ``cells`` and ``plain`` are the yardsticks: a level of cells alone, and a cap on questions.
    """

    most: Array
    cells: int
    plain: int

    @property
    def cap(self) -> int:
        """Answers."""
        return len(self.most)

    def stop(self, touched: Touched) -> int:
        """Answers until the next one would go beyond; all where none does."""
        seen = seen_by(touched)[: self.cap]
        beyond = np.flatnonzero(seen > self.most[: len(seen)])
        return int(beyond[0]) if len(beyond) else len(seen)

    def patient(self, touched: Touched) -> int:
        """The same of somebody who knows the pace and, where the next answer would go beyond it,
        asks what was answered before until it does not: that touches nothing."""
        spent = 0
        for count, seen in enumerate(seen_by(touched).tolist()):
            room = int(np.searchsorted(self.most, seen)) + 1  # answers by which so many may be seen
            spent = max(spent + 1, room)
            if spent > self.cap:
                return count
        return len(touched)

    def stop_by_cells(self, touched: Touched) -> int:
        """Answers until a level of cells alone would end it."""
        beyond = np.flatnonzero(seen_by(touched) > self.cells)
        return int(beyond[0]) if len(beyond) else len(touched)


def purse(users: Sequence[Touched]) -> Purse:
    """From honest calibration users. Raises: ValueError (too few for a tolerance limit)."""
    curves = [seen_by(one) for one in users]
    shape = _shape(curves[::2])
    rest = curves[1::2]
    level = _limit([float(np.max(one / shape[: len(one)])) for one in rest])
    most: Array = np.maximum(1, np.floor(level * shape + 1e-9)).astype(np.int64)
    plain = round(_limit([float(len(one)) for one in curves]))
    cells = round(_limit([float(one[-1]) for one in curves]))
    return Purse(np.minimum(most, 1_024)[:plain], cells, plain)


def seen_by(touched: Touched) -> Array:
    """(n,) distinct cells after each question."""
    known = set[int]()
    counts = []
    for cells in touched:
        known.update(cells)
        counts.append(len(known))
    return np.array(counts, np.int64)


def _shape(curves: Sequence[Array]) -> Array:
    """(longest knot,) cells after each answer: the quantile at each knot of those who asked as
    much, straight between."""
    answers, cells = [0], [0.0]
    for knot in KNOTS:
        there = [one[min(knot, len(one)) - 1] for one in curves if len(one) >= 0.9 * knot]
        if len(there) < _FEW:
            break
        answers.append(knot)
        cells.append(max(cells[-1] + 1e-6, float(np.quantile(there, _SHAPE))))
    steps = np.arange(1, KNOTS[-1] + 1)
    return np.asarray(np.interp(steps, answers, cells))


def _limit(values: Sequence[float]) -> float:
    """The tolerance limit of ``HONEST``; the largest where there are too few for any."""
    order = sorted(values)
    rank = tolerance_rank(len(order), HONEST)
    return order[(rank or len(order)) - 1]
