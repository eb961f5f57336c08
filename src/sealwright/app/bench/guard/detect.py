"""Who is accused: thieves alone, thieves inside honest cover, and honest users.

Monitors are calibrated on each set's calibration users and judged on its test users, who share no
row with them. Beside them PRADA at its published threshold, on the same streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sealwright.app.bench import Ask, Row, measure
from sealwright.app.bench.guard import prada, variants
from sealwright.app.bench.guard.served import Victim, victim
from sealwright.app.bench.guard.streams import (
    MIXED_WITHIN,
    OPENED,
    TUNED,
    jacobian,
    mixed,
    pure,
)
from sealwright.app.bench.guard.users import SETS, USERS, Rows, User, user
from sealwright.app.bench.poison.data import Absent
from sealwright.app.bench.poison.trial import spread
from sealwright.kit.intervals import interval
from sealwright.serve.calibrate import Calibration, calibrated
from sealwright.serve.monitors.interface import Sight
from sealwright.serve.monitors.novelty import FROM_EACH
from sealwright.serve.monitors.panel import Panel

PURE_WITHIN = 100
STREAMS = 12
_YARDSTICKED = 40
_MIXED = int(0.4 * MIXED_WITHIN)
_RECORDS = {"sweep": 40, "ring": 40}
"""What a fresh thief asks before its first own question; that is where counting begins."""


class Watch(NamedTuple):
    """The monitors of one model, ready."""

    served: Victim
    panel: Panel
    calibration: Calibration

    def alarm(self, rows: Rows) -> int | None:
        """After which row a threshold is reached first; None if never."""
        look, _ = self.panel.look(sight(self.served, rows), self.panel.blank())
        start = np.zeros(len(self.calibration.channels))
        reached = np.flatnonzero(self.calibration.levels(start, look).max(axis=1) >= 1)
        return int(reached[0]) + 1 if len(reached) else None


class Stream(NamedTuple):
    """How one stream went: our alarm, and PRADA's; None is none, -1 not asked."""

    name: str
    family: str
    ours: int | None
    theirs: int | None


def sight(served: Victim, rows: Rows) -> Sight:
    """What the monitors see of rows."""
    scores, features = served.answer(rows)
    return Sight(rows, features, scores)


def watch(name: str, count: int) -> Watch:
    """Calibrated on ``count`` calibration users: training rows say what inputs look like, rows of
    the users too how far apart ordinary ones lie."""
    served = victim(name)
    seen = [sight(served, user(name, "calibration", at).rows) for at in range(count)]
    trained = sight(served, served.space.train.rows)
    near = joined([evenly(trained, 600), *(evenly(one, FROM_EACH) for one in seen)])
    panel = Panel(trained, near)
    traces = {str(at): panel.look(one, panel.blank())[0] for at, one in enumerate(seen)}
    return Watch(served, panel, calibrated(panel.channels, traces))


def evenly(whole: Sight, count: int) -> Sight:
    """At most ``count`` rows, evenly over all."""
    return whole.take(np.unique(np.linspace(0, len(whole) - 1, count).astype(int)))


def joined(parts: Sequence[Sight]) -> Sight:
    """All rows of several."""
    return Sight(
        np.concatenate([one.inputs for one in parts]),
        np.concatenate([one.features for one in parts]),
        np.concatenate([one.scores for one in parts]),
    )


class Plan(NamedTuple):
    """What is measured of one set: calibration users, test users, streams of each kind."""

    name: str
    calibration: int
    test: int
    streams: int


def rows(ask: Ask) -> list[Row]:
    """Honest users accused, streams caught, by family; PRADA beside."""
    plans = [Plan(name, USERS["calibration"], USERS["test"], STREAMS) for name in SETS]
    if ask.quick:
        plans = [Plan("digits", 60, 20, 2)]
    lacking, found = [], list[Stream]()
    for one in spread(plans, look, ask.jobs):
        if isinstance(one, str):
            lacking.append(one)
        else:
            found += one
    found.sort(key=lambda one: list(SETS).index(one.name))
    honest = [one for one in found if one.family == "honest"]
    return [*_accused(honest, lacking), *_caught(found)]


def look(plan: Plan) -> list[Stream] | str:
    """Every stream of one set; why not, where its data is absent."""
    try:
        one = watch(plan.name, plan.calibration)
        people = (user(plan.name, "test", at) for at in range(plan.test))
        return [*_honest(one, plan.name, people), *_streams(one, plan.name, plan.streams)]
    except Absent as absent:
        return f"{plan.name}: {absent}"


def _honest(one: Watch, name: str, people: Iterator[User]) -> Iterator[Stream]:
    for number, who in enumerate(people):
        theirs = _prada(one, who.rows) if number < _YARDSTICKED else -1
        yield Stream(name, "honest", one.alarm(who.rows), theirs)


def _streams(one: Watch, name: str, count: int) -> Iterator[Stream]:
    for family in (*TUNED, "in-distribution", *OPENED):
        for seed in range(count):
            attack = pure(name, family, seed, PURE_WITHIN)
            yield _asked(one, name, family, attack)
            hidden = mixed(name, pure(name, family, seed, _MIXED), seed)
            yield _asked(one, name, f"{family}, mixed", hidden)
    for seed in range(count):
        for records, own in ((30, PURE_WITHIN - 30), (100, PURE_WITHIN)):
            attack = jacobian(name, seed, records, own)
            yield _asked(one, name, f"jacobian, {records} records first", attack)
    for family, sets in variants.FAMILIES.items():
        for seed in range(count if name in sets else 0):
            attack = variants.queries(name, family, seed, PURE_WITHIN + _RECORDS.get(family, 0))
            yield _asked(one, name, family, attack)
            hidden = mixed(name, variants.queries(name, family, seed, _MIXED), seed)
            yield _asked(one, name, f"{family}, mixed", hidden)


def _asked(one: Watch, name: str, family: str, attack: Rows) -> Stream:
    return Stream(name, family, one.alarm(attack), _prada(one, attack))


def _prada(one: Watch, asked: Rows) -> int | None:
    scores, _ = one.served.answer(asked)
    return prada.alarm(one.served.encode(asked), scores.argmax(axis=1))


def _accused(honest: Sequence[Stream], lacking: Sequence[str]) -> Iterator[Row]:
    if not honest:
        yield Row("honest users accused", None, "%", note="; ".join(lacking))
        return
    accused = sum(one.ours is not None for one in honest)
    low, high = interval(accused, len(honest))
    asked = [one for one in honest if one.theirs != -1]
    prada_share = 100 * sum(one.theirs is not None for one in asked) / len(asked)
    by_set = ", ".join(
        f"{name} {sum(one.ours is not None for one in honest if one.name == name)}"
        for name in dict.fromkeys(one.name for one in honest)
    )
    yield measure(
        f"honest test users accused, of {len(honest)}: upper bound",
        100 * high,
        "%",
        target=2.0,
        better="lower",
        yardsticks={f"PRADA, as observed on {len(asked)} of them": prada_share},
        note="; ".join(
            [f"{accused} accused ({by_set}); 95 %: {100 * low:.2g} to {100 * high:.2g}", *lacking]
        ),
    )


def _caught(found: Sequence[Stream]) -> Iterator[Row]:
    for kind, within in (("", PURE_WITHIN), (", mixed", MIXED_WITHIN)):
        what = f"caught within {within} queries"
        tuned = [one for one in found if one.family in {f"{name}{kind}" for name in TUNED}]
        if tuned:
            yield _share(f"thieves{kind or ' alone'} {what}, three families", tuned, 95.0)
        for family in (*TUNED, "in-distribution", *OPENED, *variants.FAMILIES):
            some = [one for one in found if one.family == f"{family}{kind}"]
            if some:
                yield _share(f"{family}{kind}{_NOTED.get(family, '')}: {what}", some, None)
    for records, count in ((30, "queries"), (100, "queries of its own")):
        some = [one for one in found if one.family == f"jacobian, {records} records first"]
        if some:
            yield _share(
                f"jacobian, {records} records first: caught within {PURE_WITHIN} {count}",
                some,
                None,
            )


_NOTED = {
    **dict.fromkeys(OPENED, " (after it was opened)"),
    **dict.fromkeys(variants.FAMILIES, " (fresh)"),
    **dict.fromkeys(("sweep", "ring"), " (fresh), after 40 records"),
}


def _share(what: str, some: Sequence[Stream], target: float | None) -> Row:
    caught = sorted(one.ours for one in some if one.ours is not None)
    theirs = 100 * sum(one.theirs is not None for one in some) / len(some)
    low, high = interval(len(caught), len(some))
    median = f"median alarm after {caught[len(caught) // 2]}" if caught else "no alarm"
    by_set = ", ".join(
        f"{name} {sum(one.ours is not None for one in some if one.name == name)} of "
        f"{sum(one.name == name for one in some)}"
        for name in dict.fromkeys(one.name for one in some)
    )
    return measure(
        what,
        100 * len(caught) / len(some),
        "%",
        target=target,
        yardsticks={"PRADA": theirs},
        note=f"{by_set}; {median}; 95 %: {100 * low:.3g} to {100 * high:.3g}",
    )
