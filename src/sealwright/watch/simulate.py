"""Who reads what, made up: the events that detection is measured on.

Heavy tails on purpose: rates and sizes are log-normal with Pareto spikes, weeks have
weekends, a tenth of the people read ten times as much, some start in the middle, services run
at night. Attackers copy in bulk: in a burst, as a drip over a day, as one export, or at their
ordinary pace when they should be asleep. Half of them take what they always read, half what
they never touched. This file is frozen: its digest was recorded in
``docs/benchmarks-watch.md`` before any rule was tuned, and a test compares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from random import Random
from typing import Literal

import msgspec

from sealwright.watch.events import DAY_S, HOUR_S, Access, weekday

PRINCIPALS = 200
DAYS = 30
START = (date(2026, 1, 5) - date(1970, 1, 1)).days * DAY_S
"""A Monday."""

KINDS = ("burst", "drip", "export", "off-hours")
ATTACKS_PER_KIND = 10
MB, GB = 10**6, 10**9

Kind = Literal["burst", "drip", "export", "off-hours"]


class Person(msgspec.Struct, frozen=True):
    """One principal's habits: ``first``/``last`` hour of work, reads a day, bytes a read.

    ``allowed`` is the policy window ``(from, to)`` in hours, None where any hour is allowed.
    """

    name: str
    role: Literal["person", "heavy", "service", "starter"]
    reads: float
    size: float
    first: int
    last: int
    allowed: tuple[int, int] | None
    starts: int
    artifacts: tuple[str, ...]


class Attack(msgspec.Struct, frozen=True):
    """What an attacker did, and in which seconds: ``[start, end)``."""

    kind: Kind
    principal: str
    start: int
    end: int


class World(msgspec.Struct, frozen=True):
    """Everything a seed gives. ``events`` are in order of time."""

    people: tuple[Person, ...]
    attacks: tuple[Attack, ...]
    events: tuple[Access, ...]


def world(seed: int) -> World:
    """200 principals over 30 days, 40 of them attackers once. Equal seeds, equal worlds."""
    dice = Random(f"sealwright watch {seed}")  # noqa: S311 - a simulation, not a secret
    people = tuple(_person(number, dice) for number in range(PRINCIPALS))
    events = [event for person in people for event in _habits(person, dice)]
    attacks = []
    chosen = dice.sample(people, ATTACKS_PER_KIND * len(KINDS))
    for number, person in enumerate(chosen):
        kind: Kind = KINDS[number % len(KINDS)]  # type: ignore[assignment]
        made = list(_attack(kind, person, dice))
        events += made
        attacks.append(Attack(kind, person.name, made[0].time, made[-1].time + 1))
    events.sort(key=lambda event: event.time)
    return World(people, tuple(attacks), tuple(events))


def _person(number: int, dice: Random) -> Person:
    draw = dice.random()
    role: Literal["person", "heavy", "service", "starter"] = (
        "heavy"
        if draw < 0.1
        else "service"
        if draw < 0.2
        else "starter"
        if draw < 0.27
        else "person"
    )
    reads = dice.lognormvariate(math.log(20), 1.0) * (10 if role == "heavy" else 1)
    shift = 22 if role == "service" else dice.choice((6, 7, 8, 8, 9, 9, 10, 11))
    hours = 5 if role == "service" else dice.choice((8, 9, 9, 10, 11))
    margin = 1 if role == "service" else 3
    allowed = ((shift - margin) % 24, (shift + hours + margin) % 24)
    pool = dice.randint(2, 12) * (3 if role == "heavy" else 1)
    return Person(
        f"p{number:03}",
        role,
        reads,
        dice.lognormvariate(math.log(1 * MB), 1.0),
        shift,
        shift + hours,
        None if dice.random() < 0.02 else allowed,
        dice.randint(1, 20) if role == "starter" else 0,
        tuple(f"data:{dice.randint(0, 399)}" for _ in range(pool)),
    )


def _habits(person: Person, dice: Random) -> Iterator[Access]:
    known = list(person.artifacts[:2]) if person.role == "starter" else list(person.artifacts)
    for day in range(person.starts, DAYS):
        begin = START + day * DAY_S
        if weekday(begin) > 4 and person.role != "service" and dice.random() > 0.08:
            continue
        wish = person.reads * dice.lognormvariate(0, 0.7)
        if dice.random() < 0.02:
            wish *= min(1 + dice.paretovariate(1.5), 30)  # a training set read anew
        if dice.random() < (0.5 if day - person.starts < 7 and person.starts else 0.05):
            known.append(f"data:{dice.randint(0, 399)}")
        yield from _day(person, begin, wish, known, dice)
        if dice.random() < 0.005:
            size = int(min(dice.lognormvariate(math.log(300 * MB), 1.0), 40 * GB))
            hour = dice.randint(person.first, person.last - 1)
            yield Access(
                person.name, "export", dice.choice(known), size, begin + hour * HOUR_S + 600
            )
        if dice.random() < 0.0004 and person.allowed:  # somebody who could not sleep
            hour = (person.allowed[1] + 2) % 24
            yield Access(
                person.name, "read", dice.choice(known), int(person.size), begin + hour * HOUR_S
            )


def _day(
    person: Person, begin: int, wish: float, known: list[str], dice: Random
) -> Iterator[Access]:
    hours = range(person.first, person.last)
    weights = [dice.expovariate(1) for _ in hours]
    total = sum(weights)
    for hour, weight in zip(hours, weights, strict=True):
        count = int(wish * weight / total + dice.random())
        if not count:
            continue
        artifact = dice.choice(known)
        size = person.size * dice.lognormvariate(0, 0.8)
        if dice.random() < 0.01:
            size *= min(dice.paretovariate(1.2), 100)
        moment = begin + hour * HOUR_S + dice.randint(0, HOUR_S - 1)
        yield Access(person.name, "read", artifact, int(count * size), moment, count)


def _attack(kind: Kind, person: Person, dice: Random) -> Iterator[Access]:
    day = dice.randint(max(2, person.starts), DAYS - 3)
    begin = START + day * DAY_S
    work = dice.randint(person.first, person.last - 2)
    size = math.exp(dice.uniform(math.log(20 * GB), math.log(200 * GB)))
    loot = (
        [dice.choice(person.artifacts) for _ in range(3)]
        if dice.random() < 0.5
        else [f"data:{dice.randint(0, 399)}" for _ in range(dice.randint(10, 60))]
    )
    if kind == "burst":
        yield from _spread(person, begin + work * HOUR_S, dice.randint(10, 120) * 60, size, loot)
    elif kind == "drip":
        yield from _spread(person, begin + work * HOUR_S, DAY_S, size, loot)
    elif kind == "export":
        yield Access(person.name, "export", loot[0], int(size), begin + work * HOUR_S + 300)
    else:
        until = person.allowed[1] if person.allowed else person.last % 24
        pace = max(1.0, person.reads / (person.last - person.first))
        small = 3 * pace * person.size
        start = begin + ((until + 1) % 24) * HOUR_S
        yield from _spread(person, start, 3 * HOUR_S, small, loot, int(3 * pace) + 1)


def _spread(
    person: Person, start: int, span_s: int, size: float, loot: list[str], reads: int = 0
) -> Iterator[Access]:
    """``size`` bytes from ``start`` on, evenly, in steps of at most five minutes."""
    reads = reads or max(60, int(size / (50 * MB)))
    steps = min(max(2, span_s // 300), reads)
    for step in range(steps):
        yield Access(
            person.name,
            "read",
            loot[step % len(loot)],
            int(size / steps),
            start + step * span_s // steps,
            max(1, reads // steps),
        )
