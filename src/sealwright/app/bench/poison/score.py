"""Rates with their bounds, and one score a row out of what the detectors said."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.scan.ensemble import Screening

Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]


class Rate(NamedTuple):
    """``hit`` of ``tried``; ``low`` and ``high`` are the Clopper-Pearson 95 % bounds."""

    hit: int
    tried: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """As observed; 0 where nothing was tried."""
        return self.hit / self.tried if self.tried else 0.0

    def words(self) -> str:
        """For a row's note."""
        return (
            f"{self.hit:,} of {self.tried:,}, 95 %: {100 * self.low:.3g} to {100 * self.high:.3g}"
        )


def rate(hit: int, tried: int, confidence: float = 0.95) -> Rate:
    """The exact two-sided interval (Clopper and Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = 0.0 if hit == 0 else _solve(lambda p: 1 - _at_most(hit - 1, tried, p), tail, True)
    high = 1.0 if hit == tried else _solve(lambda p: _at_most(hit, tried, p), tail, False)
    return Rate(hit, tried, low, high)


def _solve(tail_at: Callable[[float], float], wanted: float, rising: bool) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        above = tail_at(middle) > wanted
        if above == rising:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def _at_most(hit: int, tried: int, p: float) -> float:
    """P(X <= hit) for X binomial(tried, p), summed in logarithms from the shorter side."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return 1.0 if hit >= tried else 0.0
    if hit > tried // 2:
        return 1 - _at_most(tried - hit - 1, tried, 1 - p)
    steps = np.arange(1, hit + 1)
    choose = np.concatenate([[0.0], np.cumsum(np.log(tried - steps + 1) - np.log(steps))])
    counts = np.arange(hit + 1)
    logs = choose + counts * np.log(p) + (tried - counts) * np.log1p(-p)
    return float(min(1.0, np.exp(logs).sum()))


def row_scores(screening: Screening) -> Floats:
    """(rows,) how strongly each row was pointed at: groups above ranks, ranks above the rest.

    A carrier of a significant group has -log10 of its best adjusted p-value, and one; what is not
    significant and what is only ranked lies between 0 and 1.
    """
    scores = np.zeros(screening.frame.rows)
    for verdict in screening.verdicts:
        if verdict.result is None:
            continue
        ranks = sorted(verdict.result.ranks, key=lambda rank: rank.score)
        for place, rank in enumerate(ranks, 1):
            scores[rank.record] = max(scores[rank.record], place / (len(ranks) + 1))
        for group in verdict.result.groups if verdict.spec.kind == "group" else ():
            strength = max(0.0, 1 - group.p_value)
            if group.p_value <= verdict.alpha:
                strength = 1 - np.log10(max(group.p_value, 1e-300))
            np.maximum.at(scores, group.carriers, strength)
    return scores


def auroc(scores: Floats, truth: Mask) -> float:
    """Area under the ROC curve; ties count half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    hits, misses = int(truth.sum()), int((~truth).sum())
    if not hits or not misses:
        return float("nan")
    return float((ranks[truth].sum() - hits * (hits + 1) / 2) / (hits * misses))


def found_at(scores: Floats, truth: Mask, false_share: float) -> int:
    """Planted rows above the lowest threshold that flags at most ``false_share`` of the others."""
    clean = np.sort(scores[~truth])[::-1]
    allowed = int(false_share * len(clean))
    bar = clean[allowed] if allowed < len(clean) else -np.inf
    return int((scores[truth] > bar).sum())
