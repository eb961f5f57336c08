"""How large a group of copies nature makes, judged by this version's own smaller groups.

Sizes of natural groups have either a light tail (geometric: chance) or a heavy one (Pareto: form
letters, defaults). Both are fitted to the groups that are less than half as large as the one in
question, so that several floods cannot vouch for each other (unless large groups hold most of
the version: then they are its nature), and weighed by how well they fit; the heavy tail never
weighs less than its prior. Parameters are integrated out under their priors.
"""

from __future__ import annotations

from math import exp, lgamma, log

import numpy as np
import numpy.typing as npt

SMALLEST = 10
"""Fewer copies than this are never a flood."""
HEAVY_PRIOR = 0.1
SHAPE, RATE = 8.0, 1.6
"""Gamma prior of the Pareto exponent: mean 5, thirty groups outweigh it."""
RARER = 8.0
"""Beta(1, 8) prior of the geometric ratio: a copy of a copy is rarer than a copy."""
START = 1.5
"""Groups of copies start at two; the continuous tail starts halfway below."""


def p_value(size: int, sizes: npt.NDArray[np.int64], rows: int, weight: float = 1.0) -> float:
    """That nature makes one group of ``size`` or more, over all groups of copies it makes.

    ``sizes`` are those of all groups of two or more (or one in ``weight`` of them).
    """
    if size < SMALLEST:
        return 1.0
    body = _body(size, sizes, rows).astype(np.float64)
    groups = max(1.0, len(body) * weight)
    light, light_fit = _geometric(size, body)
    heavy, heavy_fit = _pareto(size, body)
    odds = exp(min(50.0, max(-50.0, heavy_fit - light_fit))) * HEAVY_PRIOR / (1 - HEAVY_PRIOR)
    share = max(HEAVY_PRIOR, odds / (1 + odds))
    return float(min(1.0, groups * (share * heavy + (1 - share) * light)))


def _body(size: int, sizes: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
    large = sizes >= max(3.0, size / 2)
    if np.sum(sizes[large]) - size > rows / 2:
        return np.delete(sizes, int(np.argmax(sizes == size)))
    return sizes[~large]


def _geometric(size: int, body: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Predictive tail and log marginal likelihood, under the Beta prior of the ratio."""
    more, groups = float(np.sum(body - 2)), float(len(body))
    fit = _beta(more + 1, groups + RARER)
    tail = exp(_beta(more + size - 1, groups + RARER) - fit)
    return tail, fit - _beta(1, RARER)


def _pareto(size: int, body: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The same for a Pareto tail with a Gamma prior of the exponent (Lomax predictive)."""
    logs = float(np.sum(np.log(body / START)))
    shape, rate = SHAPE + len(body), RATE + logs
    tail = exp(shape * (log(rate) - log(rate + log((size - 0.5) / START))))
    fit = SHAPE * log(RATE) - lgamma(SHAPE) + lgamma(shape) - shape * log(rate)
    return tail, fit - float(np.sum(np.log(body)))


def _beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
