"""Whom their questions link: honest users by mistake, and thieves who split over accounts.

All of a data set's 240 test users and every thief's accounts ask one model; sketches say who shares
rare queries with whom. The threshold was set looking at calibration users, who share no row with
these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sealwright.app.bench import Ask, Row, measure
from sealwright.app.bench.guard.detect import evenly, sight
from sealwright.app.bench.guard.served import victim
from sealwright.app.bench.guard.streams import pure
from sealwright.app.bench.guard.users import SETS, USERS, Rows, user
from sealwright.app.bench.poison.data import Absent
from sealwright.app.bench.poison.trial import spread
from sealwright.kit.intervals import interval
from sealwright.serve.coverage import Frame
from sealwright.serve.linking import ENOUGH, Link
from sealwright.serve.sketches import Sketches

REFERENCE = 2_000
EACH = 200
"""Queries of one account."""

SPLITS = {
    "half of their questions in common": ("in-distribution", 2),
    "boundary, in turn": ("boundary", 5),
    "jacobian, in turn": ("jacobian", 5),
}
"""What a thief asks, and over how many accounts."""


class Plan(NamedTuple):
    """One set: honest users, thieves of each kind."""

    name: str
    honest: int
    thieves: int


class Town(NamedTuple):
    """Every link that one set showed."""

    plan: Plan
    links: tuple[Link, ...]


def rows(ask: Ask) -> list[Row]:
    """Honest users linked by mistake, and split thieves' accounts linked."""
    plans = [Plan(name, USERS["test"], 6) for name in SETS]
    if ask.quick:
        plans = [Plan("digits", 60, 2)]
    lacking, towns = [], list[Town]()
    for found in spread(plans, look, ask.jobs):
        if isinstance(found, str):
            lacking.append(found)
        else:
            towns.append(found)
    towns.sort(key=lambda one: list(SETS).index(one.plan.name))
    if not towns:
        return [Row("honest users linked", None, "%", note="; ".join(lacking))]
    return [*_honest(towns, lacking), *_thieves(towns)]


def look(plan: Plan) -> Town | str:
    """Every link in one set; why not, where its data is absent."""
    try:
        served = victim(plan.name)
        reference = evenly(sight(served, served.space.train.rows), REFERENCE).features
        frame = Frame.fit(reference, 11)
        sketches = Sketches(reference, frame, np.random.default_rng(11).bytes(32))
        for who, asked in _everybody(plan):
            sketches.add(who, sight(served, asked).features)
        return Town(plan, sketches.links())
    except Absent as absent:
        return f"{plan.name}: {absent}"


def _everybody(plan: Plan) -> Iterator[tuple[str, Rows]]:
    for number in range(plan.honest):
        yield f"honest {number}", user(plan.name, "test", number).rows
    for kind, (family, accounts) in SPLITS.items():
        for seed in range(plan.thieves):
            asked = pure(plan.name, family, seed, EACH * accounts)
            for number in range(accounts):
                part = asked[number::accounts]
                if accounts == 2:
                    part = asked[number * EACH // 2 : number * EACH // 2 + EACH]
                yield f"{kind}/{seed}/{number}", part


def _honest(towns: Sequence[Town], lacking: Sequence[str]) -> Iterator[Row]:
    for what, least in (("linked", ENOUGH), ("suggested, below what links", 1)):
        wrong = {
            (town.plan.name, who): max(
                link.score for link in town.links if who in (link.one, link.other)
            )
            for town in towns
            for link in town.links
            for who in (link.one, link.other)
            if who.startswith("honest ")
        }
        hit = {name_who for name_who, score in wrong.items() if score >= least}
        count = sum(town.plan.honest for town in towns)
        _, high = interval(len(hit), count)
        by_set = ", ".join(
            f"{town.plan.name} {sum(name == town.plan.name for name, _ in hit)}" for town in towns
        )
        most = max(wrong.values(), default=0)
        yield measure(
            f"honest test users {what}, of {count}: upper bound",
            100 * high,
            "%",
            target=2.0 if least == ENOUGH else None,
            better="lower",
            note="; ".join([f"{len(hit)} ({by_set}); highest score {most} of {ENOUGH}", *lacking]),
        )


def _thieves(towns: Sequence[Town]) -> Iterator[Row]:
    for kind, (_, accounts) in SPLITS.items():
        possible = sum(town.plan.thieves for town in towns) * accounts
        linked = set[tuple[str, str]]()
        hinted = set[tuple[str, str]]()
        for town in towns:
            for link in town.links:
                one, other = link.one.rpartition("/")[0], link.other.rpartition("/")[0]
                if one != other or not one.startswith(kind):
                    continue
                both = {(town.plan.name, link.one), (town.plan.name, link.other)}
                hinted |= both
                linked |= both if link.score >= ENOUGH else set()
        by_set = ", ".join(
            f"{town.plan.name} {sum(name == town.plan.name for name, _ in linked)}"
            for town in towns
        )
        yield measure(
            f"thief's accounts linked, {kind}",
            100 * len(linked) / possible,
            "%",
            note=f"{len(linked)} of {possible} ({by_set}); suggested {len(hinted)}",
        )
