"""Thieves against the guard: what their copies are worth with it off and on, and beside a cap.

Guard on: an account ends at its purse, a pace of coverage and a cap on questions that new honest
users stay within (calibration users set it, test users are counted). Where an account is ended,
the thief goes on from there with a new one that nobody links. The yardstick is a plain cap on
questions by the same rule. Whom the monitors accuse is ended too: slowed, and asked anew who it
is. One more thief knows the pace, and waits for it by asking what was answered before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sealwright.app.bench import Answer, Ask, Plate, Row, measure
from sealwright.app.bench.guard import purse as purses
from sealwright.app.bench.guard import robberies
from sealwright.app.bench.guard.fresh import FRESH
from sealwright.app.bench.guard.purse import Purse, seen_by
from sealwright.app.bench.guard.robberies import Robbery
from sealwright.app.bench.guard.users import HORIZON, SETS, USERS
from sealwright.app.bench.poison.data import Absent
from sealwright.app.bench.poison.trial import spread
from sealwright.app.curves import Line, chart
from sealwright.core.errors import MissingExtra
from sealwright.redteam.extraction.thieves import THIEVES
from sealwright.serve.pace import HONEST, KNOTS

FAR = ("jacobian", "out-of-distribution", "random", "boundary", "data-free", *FRESH)
"""Synthetic and out-of-distribution thieves: each new account buys them little."""

PATIENT = ("in-distribution", "adaptive")
"""Who is tried once more as somebody who knows the pace and waits for it."""

_GOAL = 1000
"""Questions, unhindered, whose copy is what a thief wants."""

_POINTS = (30, 100, 300, 1000)
_DRAWS = 2000
_SPLIT, _ACCOUNTS = ("in-distribution", "adaptive"), 10
_HEAVIEST = 24
_FIRST_LOOK = 128


class Size(NamedTuple):
    """How much of everything."""

    sets: tuple[str, ...]
    thieves: tuple[str, ...]
    principals: int
    honest: int
    budget: int
    monitors: bool


FULL = Size(tuple(SETS), (*THIEVES, *FRESH), 3, 240, HORIZON, True)
QUICK = Size(("digits",), ("in-distribution", "boundary", "random"), 1, 20, 300, False)


class Town(NamedTuple):
    """Everything measured on one data set. ``stopped``: of ``tried`` test users, by the purse, by
    cells alone, by the plain cap; ``steps`` of walks that each asked. ``copies``: agreement of
    copies of the heaviest test users."""

    name: str
    size: Size
    runs: dict[str, list[Robbery]]
    purse: Purse
    stopped: tuple[int, int, int]
    tried: int
    steps: list[int]
    nothing: float
    alarms: dict[tuple[str, int], int]
    copies: list[float]

    def at(self, name: str, count_of: Callable[[Robbery], int]) -> list[float]:
        """Agreement of each principal's copy at a count of answers."""
        return [robberies.agreement(self.name, run, count_of(run)) for run in self.runs[name]]

    @property
    def accused(self) -> set[tuple[str, int]]:
        """Those whom the monitors ended before the purse would have."""
        return {
            (run.name, run.seed)
            for each in self.runs.values()
            for run in each
            if self.stop(run) < self.purse.stop(run.touched)
        }

    def stop(self, run: Robbery) -> int:
        """Answers until the guard ends the account."""
        return self._or_accused(run, self.purse.stop(run.touched))

    def patient(self, run: Robbery) -> int:
        """The same where the thief waits for the pace."""
        return self._or_accused(run, self.purse.patient(run.touched))

    def _or_accused(self, run: Robbery, stop: int) -> int:
        return min(stop, self.alarms.get((run.name, run.seed), stop))

    def accounts(self, run: Robbery, goal: int) -> list[int]:
        """Answers that each of the accounts gets that the thief needs, one after another."""
        had = list[int]()
        while sum(had) < goal:
            had.append(max(1, self._account(run, sum(had), goal)))
        return had

    def _account(self, run: Robbery, start: int, goal: int) -> int:
        """Answers to a new account that goes on at question ``start``."""
        here, look = robberies.town(self.name), _FIRST_LOOK
        while True:
            rows = run.rows[start : min(start + look, goal)]
            stop = self.purse.stop(here.touched(rows))
            if self.size.monitors:
                stop = min(stop, robberies.alarm_of(self.name, rows, self.size.honest))
            if stop < len(rows) or start + len(rows) >= goal:
                return stop
            look *= 4


class Plan(NamedTuple):
    """One data set, robbed in a process of its own."""

    name: str
    size: Size
    note: Callable[[str], None]


def answer(ask: Ask) -> Answer:
    """The section: ``--draws N`` takes N principals of each thief, ``--jobs N`` as many sets at
    once."""
    size = QUICK if ask.quick else FULL
    if ask.draws:
        size = size._replace(principals=ask.draws)
    note = ask.note if ask.jobs <= 1 else _quiet
    plans = [Plan(name, size, note) for name in size.sets]
    found = dict(spread(plans, _robbed, ask.jobs))
    return Answer(
        [row for name in size.sets for row in found[name].rows],
        [plate for name in size.sets for plate in found[name].plates],
    )


def _quiet(_: str) -> None:
    """What other processes say is not shown."""


def _robbed(plan: Plan) -> tuple[str, Answer]:
    """Every thief against one set's model; why not, where something is absent."""
    try:
        town = _town(plan.name, plan.size, plan.note)
        return plan.name, Answer(_rows(town, plan.size), [_plate(town)])
    except (Absent, MissingExtra) as error:
        return plan.name, Answer([Row(f"thieves, {plan.name}", None, "", note=str(error))], [])


def _town(name: str, size: Size, note: Callable[[str], None]) -> Town:
    purse = purses.purse(robberies.honest(name, "calibration", size.honest))
    tested = robberies.honest(name, "test", size.honest)
    stopped = (
        sum(purse.stop(one) < len(one) for one in tested),
        sum(purse.stop_by_cells(one) < len(one) for one in tested),
        sum(len(one) > purse.plain for one in tested),
    )
    note(f"  {name}: copies of honest users ...")
    copies = _copies(name, tested, 2 if size.honest < USERS["test"] else _HEAVIEST)
    runs: dict[str, list[Robbery]] = {}
    for thief in size.thieves:
        note(f"  {name}: {thief} ...")
        runs[thief] = [
            robberies.rob(thief, name, 1 + seed, size.budget)[1] for seed in range(size.principals)
        ]
    alarms = {
        (run.name, run.seed): robberies.alarm_of(name, run.rows, size.honest)
        for each in runs.values()
        for run in each
        if size.monitors
    }
    nothing = robberies.nothing(name)
    steps = [sum(len(cells) > 1 for cells in one) for one in tested]
    return Town(name, size, runs, purse, stopped, len(tested), steps, nothing, alarms, copies)


def _copies(name: str, tested: Sequence[purses.Touched], count: int) -> list[float]:
    """Agreement of copies of the users who touched most, best first."""
    by_cells = sorted(range(len(tested)), key=lambda at: -int(seen_by(tested[at])[-1]))
    return sorted((robberies.copied(name, at) for at in by_cells[:count]), reverse=True)


def _rows(town: Town, size: Size) -> list[Row]:
    purse = town.purse
    on = {name: town.at(name, town.stop) for name in town.runs if name not in FRESH}
    waiting = {f"{name}, waiting": town.at(name, town.patient) for name in PATIENT if name in on}
    off = {name: town.at(name, _just(purse.plain)) for name in on}
    plain, best = _best(on), _best({**on, **waiting})
    best_off = _best(off)
    held, lost = (float(np.mean({**on, **waiting}[best])), float(np.mean(off[best_off])))
    gained = max(1e-9, lost - town.nothing)
    paced = ", ".join(f"{purse.most[min(at, purse.cap) - 1]} in {at}" for at in KNOTS)
    stopped, by_cells, by_cap = town.stopped
    out = [
        measure(
            f"{town.name}: honest users never stopped by the budget",
            100 * (1 - stopped / town.tried),
            "%",
            target=100 * HONEST,
            yardsticks={
                "plain cap": 100 * (1 - by_cap / town.tried),
                "cells alone": 100 * (1 - by_cells / town.tried),
            },
            note=f"{stopped} of {town.tried}; pace in cells: {paced}; "
            f"cells alone {purse.cells:,}, plain cap {purse.plain:,}; steps of walks of one user: "
            f"{np.mean(town.steps):.2g} in the mean, {max(town.steps)} at most",
        ),
        Row(
            f"{town.name}: best thief's agreement at the budget",
            100 * held,
            "%",
            yardsticks={
                f"plain cap ({best_off})": 100 * lost,
                "without a question": 100 * town.nothing,
                f"who does not wait ({plain})": 100 * float(np.mean(on[plain])),
            },
            note=f"{best}; {_words({**on, **waiting}[best])}",
        ),
        measure(
            f"{town.name}: best thief's gain over no questions, share of the plain cap's",
            max(0.0, held - town.nothing) / gained,
            "",
            target=0.5,
            better="lower",
            yardsticks={
                "of who does not wait": max(0.0, float(np.mean(on[plain])) - town.nothing) / gained,
                "no guard can have less: an honest user's own": _floor(town) / gained,
            },
            note=f"{100 * (held - town.nothing):.1f} points at the budget, "
            f"{100 * (lost - town.nothing):.1f} at the plain cap; {_floored(town)}",
        ),
    ]
    out += [_split(town, name) for name in _SPLIT if name in town.runs]
    return [*out, *(_cost(town, name, size) for name in town.runs)]


def _best(some: dict[str, list[float]]) -> str:
    return max(some, key=lambda name: float(np.mean(some[name])))


def _spared(town: Town) -> int:
    """How many of the test users any guard may stop that leaves 97.5 % of them alone."""
    return math.floor((1 - HONEST) * town.tried + 1e-9)


def _floor(town: Town) -> float:
    """The gain of the best honest user's copy that such a guard must let through."""
    held = town.copies[min(_spared(town), len(town.copies) - 1)]
    return max(0.0, held - town.nothing)


def _floored(town: Town) -> str:
    best, spared = town.copies, _spared(town)
    return (
        f"copies of the {len(best)} test users who touched most: best {100 * best[0]:.1f} %, "
        f"number {spared + 1} {100 * best[min(spared, len(best) - 1)]:.1f} %, and {spared} of "
        f"{town.tried} may be stopped"
    )


def _split(town: Town, name: str) -> Row:
    """The same questions in turn over accounts that nobody linked, and over linked ones."""
    here, held = robberies.town(town.name), []
    for run in town.runs[name]:
        turns = [here.touched(run.rows[at::_ACCOUNTS]) for at in range(_ACCOUNTS)]
        held.append(robberies.agreement(town.name, run, sum(map(town.purse.stop, turns))))
    return Row(
        f"{town.name}: {name} over {_ACCOUNTS} accounts that nobody linked",
        100 * float(np.mean(held)),
        "%",
        yardsticks={"linked": 100 * float(np.mean(town.at(name, town.stop)))},
        note=f"{_words(held)}; at most {town.runs[name][0].asked:,} answers",
    )


def _cost(town: Town, name: str, size: Size) -> Row:
    """New accounts, one after another, for the copy that enough questions would make."""
    goal, runs = min(_GOAL, size.budget), town.runs[name]
    had = [town.accounts(run, goal) for run in runs]
    stops = [town.stop(run) for run in runs]
    points = [at for at in _POINTS if at <= size.budget]
    curve = ", ".join(f"{at}: {100 * np.mean(town.at(name, _just(at))):.1f} %" for at in points)
    accused = sum((name, run.seed) in town.accused for run in runs)
    note = (
        f"unhindered {curve}; the first ended at {np.mean(stops):,.0f} "
        f"({accused} of {len(runs)} accused): {_words(town.at(name, town.stop))}; "
        f"accounts {', '.join(str(len(one)) for one in had)}"
    )
    if name in FRESH:
        note = f"frozen before, asked once; {note}"
    yardsticks = {
        "plain cap": float(math.ceil(goal / town.purse.plain)),
        "if each ended as the first": float(np.mean([math.ceil(goal / stop) for stop in stops])),
        "cells alone": float(np.mean([len(_by_cells(town, run, goal)) for run in runs])),
    }
    if name in PATIENT:
        waits = [math.ceil(goal / max(1, town.patient(run))) for run in runs]
        yardsticks["who waits for the pace"] = float(np.mean(waits))
    what = f"{town.name}: accounts that {name} needs for {goal:,} answers"
    value = float(np.mean([len(one) for one in had]))
    if name in FAR:
        return measure(what, value, "accounts", target=20, yardsticks=yardsticks, note=note)
    return Row(what, value, "accounts", yardsticks=yardsticks, note=note)


def _by_cells(town: Town, run: Robbery, goal: int) -> list[int]:
    """The same where cells alone end an account, and nobody is accused."""
    had = list[int]()
    while sum(had) < goal:
        cells = [one[:1] for one in run.touched[sum(had) : goal]]
        had.append(max(1, town.purse.stop_by_cells(cells)))
    return had


def _just(count: int) -> Callable[[Robbery], int]:
    return lambda _: count


def _words(values: Sequence[float]) -> str:
    """A mean with its 95 % bootstrap interval over principals."""
    if len(values) < 2:
        return f"{100 * values[0]:.1f} %, one principal"
    rng = np.random.default_rng(robberies.SEED)
    draws = rng.choice(values, (_DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    mean = float(np.mean(values))
    return f"{100 * mean:.1f} % ({100 * low:.1f} to {100 * high:.1f}, {len(values)} principals)"


def _plate(town: Town) -> Plate:
    lines = list(_lines(town))
    drawn = chart(lines, "answers to one account", [("without a question", town.nothing)])
    return Plate(
        f"{town.name}: agreement of thieves' copies",
        "Curves: no guard. Dots: where the budget, or an accusation, ends an account; "
        '"waiting" knows the pace, and asks what was answered before until it may go on '
        f"(its answers to new questions are shown). Means of {town.size.principals} principals. "
        "The dots lie on the curves: a budget shortens a theft, and changes nothing about what "
        "the answers given are worth.",
        charts=(drawn,),
    )


def _lines(town: Town) -> Iterator[Line]:
    for name, runs in town.runs.items():
        asked = runs[0].asked
        points = [at for at in (*_POINTS, asked) if at <= asked]
        yield Line(
            name, tuple((float(at), float(np.mean(town.at(name, _just(at))))) for at in points)
        )
        yield Line(name, (_dot(town, name, town.stop),), end=True)
    for name in PATIENT:
        if name in town.runs:
            yield Line(f"{name}, waiting", (_dot(town, name, town.patient),), end=True)


def _dot(town: Town, name: str, stop: Callable[[Robbery], int]) -> tuple[float, float]:
    answers = float(np.mean([stop(run) for run in town.runs[name]]))
    return answers, float(np.mean(town.at(name, stop)))
