"""Which unit of the ledger follows what is stolen: coverage, beside the plain count of queries.

Beside both, what no ledger could keep: how near a principal's queries come to reference rows; and
a unit that is not charged, the cells that were touched from near, class by class.

Of every principal, honest or not, two copies are trained from each prefix of what they asked, and
judged by their mean agreement with the model on rows that nobody asked. How far the two are from
each other bounds what any unit can come to: nothing correlates with a noisy measure by more than
the square root of its reliability (Spearman 1904, 1910).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sealwright.app.bench import Ask, Row, measure
from sealwright.app.bench.guard.served import Array, Victim, victim
from sealwright.app.bench.guard.streams import TUNED, pure
from sealwright.app.bench.guard.users import SETS, USERS, Rows, user
from sealwright.app.bench.poison.data import Absent
from sealwright.app.bench.poison.trial import spread
from sealwright.redteam.extraction import surrogate
from sealwright.redteam.extraction.interface import Released
from sealwright.serve import coverage
from sealwright.serve.coverage import Frame

PREFIXES = (100, 200, 400, 1_000)
HONEST = 24
THIEVES = 4
FAMILIES = ("in-distribution", *TUNED)
_SEED = 11
_REFERENCE = 600
_NEAREST = "distance of reference rows to the nearest query"
_CLOSE = "cells from near, by class"
_MOST = "the most that any unit could"
_NEAR = 1.5


class Plan(NamedTuple):
    """What is measured of one set: honest principals, thieves of each family."""

    name: str
    honest: int
    thieves: int


class Point(NamedTuple):
    """One prefix of one principal's queries, and what a copy made of it is worth."""

    family: str
    queries: int
    cells: int
    close: float
    nearness: float
    copies: tuple[float, float]

    @property
    def agreement(self) -> float:
        """The mean of the copies'."""
        return sum(self.copies) / len(self.copies)


def rows(ask: Ask) -> list[Row]:
    """Rank correlations of both units with agreement, for each set."""
    plans = [Plan("digits", 4, 1)] if ask.quick else [Plan(name, HONEST, THIEVES) for name in SETS]
    found = dict(spread(plans, look, ask.jobs))
    return [row for plan in plans for row in found[plan.name]]


def look(plan: Plan) -> tuple[str, list[Row]]:
    """The rows of one set."""
    try:
        return plan.name, list(_rows(plan.name, measured(*plan)))
    except Absent as absent:
        return plan.name, [Row(f"{plan.name}: cells and agreement", None, "", note=str(absent))]


def measured(name: str, honest: int, thieves: int) -> list[Point]:
    """Every prefix of every principal."""
    served = victim(name)
    scores, features = served.answer(served.space.calibration.rows)
    reference = coverage.finite(features)
    rulers = _Rulers(
        Frame.fit(reference, _SEED),
        _Close(reference, scores.argmax(axis=1)),
        _Nearness(reference),
    )
    judge = _judge(served)
    found = list[Point]()
    for family, asked in _principals(name, honest, thieves):
        found += _points(served, rulers, judge, family, asked)
    return found


def _principals(name: str, honest: int, thieves: int) -> Iterator[tuple[str, Rows]]:
    taken = 0
    for number in range(USERS["test"]):
        asked = user(name, "test", number).rows
        if len(asked) >= PREFIXES[-1] and taken < honest:
            taken += 1
            yield "honest", asked[: PREFIXES[-1]]
    for family in FAMILIES:
        for seed in range(thieves):
            yield family, pure(name, family, seed, PREFIXES[-1])


def _judge(served: Victim) -> tuple[Array, Array]:
    """Held rows and one query of each of 100 other honest users, encoded, and the answers."""
    others = [user(served.space.name, "calibration", at).rows[-1:] for at in range(100)]
    coded = served.encode(np.concatenate([served.space.held.rows[:700], *others]))
    return coded, served.forward(coded)[0].argmax(axis=1)


class _Rulers(NamedTuple):
    """The units."""

    frame: Frame
    close: _Close
    near: _Nearness


def _points(
    served: Victim, rulers: _Rulers, judge: tuple[Array, Array], family: str, asked: Rows
) -> Iterator[Point]:
    coded = served.encode(asked)
    scores, features = served.forward(coded)
    cells = rulers.frame.cells(features)
    known = Released(np.arange(len(asked)), scores.argmax(axis=1), scores.max(axis=1))
    targets = known.targets(scores.shape[1])
    for count in PREFIXES:
        if count > len(asked):
            return
        copies = [
            surrogate.net(coded[:count], targets[:count], seed).probabilities(judge[0])
            for seed in (1, 2)
        ]
        one, two = (float(np.mean(said.argmax(axis=1) == judge[1])) for said in copies)
        units = rulers.close(features[:count]), rulers.near(features[:count])
        yield Point(family, count, len(set(cells[:count])), *units, (one, two))


class _Close:
    """Cells touched from near: log(1 + n) of each class, summed.

    Near is within 1.5 of the usual distance between sites. Chosen on calibration users and
    families that were opened; what is asked far from everybody teaches little, and a tenth cell of
    one class less than the first of another.
    """

    def __init__(self, reference: Array, labels: Array) -> None:
        self._axes = coverage.whitening(reference)
        order = np.random.default_rng(_SEED).permutation(len(reference))[: coverage.CELLS]
        self._sites, self._labels = reference[order] @ self._axes.T, labels[order]
        apart = np.sort(_squares(self._sites[:400], self._sites[:400]), axis=1)[:, 1]
        self._reach = _NEAR * float(np.median(np.sqrt(apart)))

    def __call__(self, features: Array) -> float:
        squares = _squares(coverage.finite(features) @ self._axes.T, self._sites)
        near = np.sqrt(squares.min(axis=1)) <= self._reach
        touched = np.unique(squares.argmin(axis=1)[near])
        return float(np.log1p(np.bincount(self._labels[touched])).sum())


def _squares(rows: Array, sites: Array) -> Array:
    """(n, m) squared distances."""
    squares = (rows**2).sum(axis=1)[:, None] + (sites**2).sum(axis=1)[None] - 2 * rows @ sites.T
    return np.asarray(np.maximum(squares, 0))


class _Nearness:
    """Minus the mean distance of reference rows, whitened, to the nearest of some queries."""

    def __init__(self, reference: Array) -> None:
        self._axes = coverage.whitening(reference[:_REFERENCE])
        self._rows = reference[:_REFERENCE] @ self._axes.T

    def __call__(self, features: Array) -> float:
        placed = coverage.finite(features) @ self._axes.T
        return -float(np.sqrt(_squares(self._rows, placed).min(axis=1)).mean())


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation, ties at their mean rank; 0 where one of them does not vary."""
    left, right = _ranks(one), _ranks(other)
    if np.std(left) == 0 or np.std(right) == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: Sequence[float]) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def ceiling(points: Sequence[Point]) -> float:
    """The most that a unit can correlate with the mean of two copies: the square root of its
    reliability, stepped up from one copy to two (Spearman 1910, Brown 1910)."""
    one = spearman([each.copies[0] for each in points], [each.copies[1] for each in points])
    return float(np.sqrt(max(0.0, 2 * one / (1 + one)))) if one > -1 else 0.0


def _each(points: Sequence[Point]) -> dict[str, float]:
    """Each unit's rank correlation with agreement."""
    true = [one.agreement for one in points]
    units: dict[str, Sequence[float]] = {
        "cells": [one.cells for one in points],
        "query count": [one.queries for one in points],
        _CLOSE: [one.close for one in points],
        _NEAREST: [one.nearness for one in points],
    }
    return {name: spearman(unit, true) for name, unit in units.items()} | {_MOST: ceiling(points)}


def _rows(name: str, points: Sequence[Point]) -> Iterator[Row]:
    families = list(dict.fromkeys(one.family for one in points))
    within = {family: _each([one for one in points if one.family == family]) for family in families}
    means = {
        unit: float(np.mean([one[unit] for one in within.values()])) for unit in within[families[0]]
    }
    yield measure(
        f"{name}: cells against stolen agreement, prefixes within a family, mean of "
        f"{len(families)} families",
        means.pop("cells"),
        "Spearman",
        target=0.8,
        yardsticks=means,
        note=", ".join(f"{family} {one['cells']:.2f}" for family, one in within.items()),
    )
    most = max(one.queries for one in points)
    fixed = [one for one in points if one.queries == most]
    honest = _each([one for one in fixed if one.family == "honest"])
    told = {
        family: np.mean([one.agreement for one in fixed if one.family == family])
        for family in dict.fromkeys(one.family for one in fixed)
    }
    found = _each(fixed)
    yield measure(
        f"{name}: cells against stolen agreement, at {most:,} queries, all principals",
        found.pop("cells"),
        "Spearman",
        target=0.8,
        yardsticks=found,
        note=f"{len(fixed)} principals; honest ones alone {honest['cells']:.2f}, "
        f"by {_CLOSE} {honest[_CLOSE]:.2f}; agreement "
        + ", ".join(f"{family} {mean:.2f}" for family, mean in told.items()),
    )
