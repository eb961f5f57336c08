"""How much an account may touch by when, sized by honest callers so that new ones are left alone.

The shape is that of one half of them; the level a tolerance limit of the other half, who had no
part in the shape: with 95 % confidence 97.5 % of new callers stay within (Wilks 1941; Hahn and
Meeker 1991). It holds for callers who come as those did, and says nothing about others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.kit.intervals import tolerance_rank
from sealwright.serve.coverage import CELLS

HONEST = 0.975
"""Of new callers who are like those seen stay within."""

KNOTS = (25, 50, 100, 200, 400, 800, 1_600)
"""Answers after which the shape is told; beyond the last nothing more may be touched."""

CALLERS = 238
"""The fewest that a pace is told from: 119 are needed for a tolerance limit."""

_SHAPE = 0.95
"""The quantile of honest callers, at each knot, that is the shape."""

_FEW = 8
"""Callers who asked so much, below whom a knot is left out."""

Counts: TypeAlias = npt.NDArray[np.int64]


def fitted(curves: Sequence[Counts]) -> Counts:
    """(1,600,) the cells that may be touched after each answer, of honest callers' own counts.

    Raises: BadInput (too few callers).
    """
    if len(curves) < CALLERS:
        raise BadInput(f"{len(curves)} callers are too few for a pace", why=f"at least {CALLERS}")
    shape = _shape(curves[::2])
    level = limit([float(np.max(one[: len(shape)] / shape[: len(one)])) for one in curves[1::2]])
    cells: Counts = np.floor(level * shape + 1e-9).astype(np.int64)
    return np.clip(cells, 1, CELLS)


def limit(values: Sequence[float]) -> float:
    """The tolerance limit of ``HONEST``; the largest where there are too few for any."""
    order = sorted(values)
    return order[(tolerance_rank(len(order), HONEST) or len(order)) - 1]


def _shape(curves: Sequence[Counts]) -> npt.NDArray[np.float64]:
    """(last knot,) cells after each answer: the quantile at each knot of those who asked about as
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
