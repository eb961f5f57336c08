"""Which unit of the ledger follows what is stolen: coverage, beside the plain count of queries.

Beside both, what no ledger could keep: how near a principal's queries come to reference rows.

Of every principal, honest or not, a copy is trained from each prefix of what they asked, and judged
by its agreement with the model on rows that nobody asked.
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
    nearness: float
    agreement: float


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
    reference = coverage.finite(served.answer(served.space.calibration.rows)[1])
    frame = Frame.fit(reference, _SEED)
    near = _Nearness(reference)
    judge = _judge(served)
    found = list[Point]()
    for family, asked in _principals(name, honest, thieves):
        found += _points(served, frame, near, judge, family, asked)
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


def _points(
    served: Victim,
    frame: Frame,
    near: _Nearness,
    judge: tuple[Array, Array],
    family: str,
    asked: Rows,
) -> Iterator[Point]:
    coded = served.encode(asked)
    scores, features = served.forward(coded)
    cells = frame.cells(features)
    known = Released(np.arange(len(asked)), scores.argmax(axis=1), scores.max(axis=1))
    targets = known.targets(scores.shape[1])
    for count in PREFIXES:
        if count > len(asked):
            return
        copy = surrogate.net(coded[:count], targets[:count], seed=1)
        said = copy.probabilities(judge[0]).argmax(axis=1)
        agreement = float(np.mean(said == judge[1]))
        yield Point(family, count, len(set(cells[:count])), near(features[:count]), agreement)


class _Nearness:
    """Minus the mean distance of reference rows, whitened, to the nearest of some queries."""

    def __init__(self, reference: Array) -> None:
        self._axes = coverage.whitening(reference[:_REFERENCE])
        self._rows = reference[:_REFERENCE] @ self._axes.T

    def __call__(self, features: Array) -> float:
        placed = coverage.finite(features) @ self._axes.T
        squares = (self._rows**2).sum(axis=1)[:, None] + (placed**2).sum(axis=1)[None]
        squares -= 2 * self._rows @ placed.T
        return -float(np.sqrt(np.maximum(squares.min(axis=1), 0)).mean())


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation, ties at their mean rank; 0 where one of them does not vary."""
    left, right = _ranks(one), _ranks(other)
    if np.std(left) == 0 or np.std(right) == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: Sequence[float]) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def _rows(name: str, points: Sequence[Point]) -> Iterator[Row]:
    def each(some: Sequence[Point]) -> tuple[float, float, float]:
        true = [one.agreement for one in some]
        return (
            spearman([one.cells for one in some], true),
            spearman([one.queries for one in some], true),
            spearman([one.nearness for one in some], true),
        )

    families = dict.fromkeys(one.family for one in points)
    within = {family: each([one for one in points if one.family == family]) for family in families}
    yield measure(
        f"{name}: cells against stolen agreement, prefixes within a family, mean of "
        f"{len(families)} families",
        float(np.mean([one[0] for one in within.values()])),
        "Spearman",
        target=0.8,
        yardsticks={
            "query count": float(np.mean([one[1] for one in within.values()])),
            _NEAREST: float(np.mean([one[2] for one in within.values()])),
        },
        note=", ".join(f"{family} {one[0]:.2f}" for family, one in within.items()),
    )
    most = max(one.queries for one in points)
    fixed = [one for one in points if one.queries == most]
    honest = [one for one in fixed if one.family == "honest"]
    told = {
        family: np.mean([one.agreement for one in fixed if one.family == family])
        for family in dict.fromkeys(one.family for one in fixed)
    }
    yield measure(
        f"{name}: cells against stolen agreement, at {most:,} queries, all principals",
        each(fixed)[0],
        "Spearman",
        target=0.8,
        yardsticks={"query count": each(fixed)[1], _NEAREST: each(fixed)[2]},
        note=f"{len(fixed)} principals; honest ones alone {each(honest)[0]:.2f}; agreement "
        + ", ".join(f"{family} {mean:.2f}" for family, mean in told.items()),
    )
