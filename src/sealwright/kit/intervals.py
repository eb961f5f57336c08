"""How sure a share of tries is: exact intervals of a proportion."""

from __future__ import annotations

import math
from collections.abc import Callable


def interval(hits: int, tries: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson (1934): the exact interval of a proportion."""
    if tries == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: at_least(hits, tries, p), tail)
    high = 1.0 if hits == tries else _solve(lambda p: at_least(hits + 1, tries, p), 1 - tail)
    return low, high


def tolerance_rank(count: int, share: float, confidence: float = 0.95) -> int:
    """Which of ``count`` values, from the smallest (1), is an upper tolerance limit: with
    ``confidence`` a ``share`` of new ones is not above it. 0: ``count`` are too few for any.

    Wilks 1941; Hahn and Meeker 1991. It assumes nothing but that new ones come as those did.
    """
    for rank in range(1, count + 1):
        if 1 - at_least(rank, count, share) >= confidence:
            return rank
    return 0


def at_least(hits: int, tries: int, chance: float) -> float:
    """The probability of ``hits`` or more out of ``tries``, summed from the smaller tail."""
    if hits <= 0 or chance >= 1:
        return 1.0
    if chance <= 0:
        return 0.0
    if hits > tries * chance:
        return min(1.0, _sum(hits, tries, tries, chance))
    return max(0.0, 1.0 - _sum(0, hits - 1, tries, chance))


def _sum(first: int, last: int, tries: int, chance: float) -> float:
    """Probabilities of ``first`` to ``last`` hits, from the largest on until they vanish."""
    mode = min(max(round(tries * chance), first), last)
    peak = math.exp(
        math.lgamma(tries + 1)
        - math.lgamma(mode + 1)
        - math.lgamma(tries - mode + 1)
        + mode * math.log(chance)
        + (tries - mode) * math.log1p(-chance)
    )
    total, odds = peak, chance / (1 - chance)
    for step in (1, -1):
        term, at = peak, mode
        while term > peak * 1e-18 and first <= at + step <= last:
            term *= odds * (tries - at) / (at + 1) if step == 1 else at / (odds * (tries - at + 1))
            at += step
            total += term
    return total


def _solve(curve: Callable[[float], float], target: float) -> float:
    """Where a rising ``curve`` on [0, 1] reaches ``target``, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if curve(middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
