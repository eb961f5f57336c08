"""Does a pattern belong to one label? Scores put on one scale per class, and a binomial tail."""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
import numpy.typing as npt


def standard(
    scores: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """(n,) scores less their class's median, in its robust standard deviations."""
    out = np.zeros(len(scores))
    for code in np.unique(labels):
        own = labels == code
        middle = np.median(scores[own])
        spread = 1.4826 * np.median(np.abs(scores[own] - middle))
        out[own] = (scores[own] - middle) / max(float(spread), 1e-6)
    return out


def p_value(count: int, seen: int, expected: float) -> float:
    """Chernoff bound of P(seen or more of count), where ``expected`` would have the label.

    Holds for unequal chances too (Hoeffding 1956): the bound of a Poisson binomial.
    """
    if count <= 0 or seen <= expected:
        return 1.0
    share, usual = seen / count, min(1 - 1e-12, max(1e-12, expected / count))
    rest = (1 - share) * log((1 - share) / (1 - usual)) if share < 1 else 0.0
    return exp(-count * (share * log(share / usual) + rest))
