"""Thieves against the guard: what their copies are worth with it off and on, and beside a cap.

Guard on: an account ends at the coverage that 97.5 % of honest users stay below (calibration users
set it, test users are counted). Where an account is ended, the thief opens a new one that nobody
links. The yardstick is a plain cap on queries that stops the same share of honest users. Whom the
monitors accuse is ended too: slowed, and asked anew who it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sealwright.app.bench import Answer, Ask, Plate, Row, measure
from sealwright.app.bench.guard import robberies
from sealwright.app.bench.guard.robberies import Robbery
from sealwright.app.bench.guard.users import HORIZON, SETS
from sealwright.app.bench.poison.data import Absent
from sealwright.app.bench.poison.trial import spread
from sealwright.app.curves import Line, chart
from sealwright.core.errors import MissingExtra
from sealwright.redteam.extraction.thieves import THIEVES

HONEST = 0.975
"""Of honest users are never stopped."""

FAR = ("jacobian", "out-of-distribution", "random", "boundary", "data-free")
"""Synthetic and out-of-distribution thieves: each new account buys them little."""

_GOAL = 1000
"""Questions, unhindered, whose copy is what a thief wants."""

_POINTS = (30, 100, 300, 1000)
_DRAWS = 2000
_SPLIT, _ACCOUNTS = ("in-distribution", "adaptive"), 10


class Size(NamedTuple):
    """How much of everything."""

    sets: tuple[str, ...]
    thieves: tuple[str, ...]
    principals: int
    honest: int
    budget: int
    monitors: bool


FULL = Size(tuple(SETS), tuple(THIEVES), 3, 240, HORIZON, True)
QUICK = Size(("digits",), ("in-distribution", "jacobian", "random"), 1, 20, 300, False)


class Town(NamedTuple):
    """Everything measured on one data set."""

    name: str
    runs: dict[str, list[Robbery]]
    cells: int
    cap: int
    stopped: tuple[int, int]
    capped: int
    nothing: float
    alarms: dict[tuple[str, int], int]

    def at(self, name: str, count_of: Callable[[Robbery], int]) -> list[float]:
        """Agreement of each principal's copy at a count of answers."""
        return [robberies.agreement(self.name, run, count_of(run)) for run in self.runs[name]]

    @property
    def accused(self) -> set[tuple[str, int]]:
        """Those whom the monitors ended before the budget would have."""
        return {
            (run.name, run.seed)
            for each in self.runs.values()
            for run in each
            if self.stop(run) < robberies.stop_of(run.cells, self.cells)
        }

    def stop(self, run: Robbery) -> int:
        """Answers until the guard ends the account."""
        budget = robberies.stop_of(run.cells, self.cells)
        return min(budget, self.alarms.get((run.name, run.seed), budget))


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
    before = np.array(robberies.honest(name, "calibration", size.honest))
    after = np.array(robberies.honest(name, "test", size.honest))
    cells = robberies.quantile(before[:, 1], HONEST) + 1
    cap = robberies.quantile(before[:, 0], HONEST)
    runs: dict[str, list[Robbery]] = {}
    for thief in size.thieves:
        note(f"  {name}: {thief} ...")
        runs[thief] = [
            robberies.rob(thief, name, 1 + seed, size.budget)[1] for seed in range(size.principals)
        ]
    stopped, capped = int(np.sum(after[:, 1] >= cells)), int(np.sum(after[:, 0] > cap))
    nothing = robberies.nothing(name)
    alarms = {
        (run.name, run.seed): robberies.alarm_of(name, run.inputs, size.honest)
        for each in runs.values()
        for run in each
        if size.monitors
    }
    return Town(name, runs, cells, cap, (stopped, len(after)), capped, nothing, alarms)


def _rows(town: Town, size: Size) -> list[Row]:
    on = {name: town.at(name, town.stop) for name in town.runs}
    off = {name: town.at(name, lambda _: town.cap) for name in town.runs}
    best_on = max(on, key=lambda name: float(np.mean(on[name])))
    best_off = max(off, key=lambda name: float(np.mean(off[name])))
    held, lost = float(np.mean(on[best_on])), float(np.mean(off[best_off]))
    share = [max(0.0, held - town.nothing), max(1e-9, lost - town.nothing)]
    stopped, tried = town.stopped
    out = [
        measure(
            f"{town.name}: honest users never stopped by the budget",
            100 * (1 - stopped / tried),
            "%",
            target=100 * HONEST,
            yardsticks={"plain cap": 100 * (1 - town.capped / tried)},
            note=f"{stopped} of {tried}; budget {town.cells:,} cells, plain cap {town.cap:,}",
        ),
        Row(
            f"{town.name}: best thief's agreement at the budget",
            100 * held,
            "%",
            yardsticks={
                f"plain cap ({best_off})": 100 * lost,
                "without a question": 100 * town.nothing,
            },
            note=f"{best_on}; {_words(on[best_on])}",
        ),
        measure(
            f"{town.name}: best thief's gain over no questions, share of the plain cap's",
            share[0] / share[1],
            "",
            target=0.5,
            better="lower",
            yardsticks={"gain at the plain cap, points": 100 * (lost - town.nothing)},
            note=f"{100 * (held - town.nothing):.1f} points at the budget",
        ),
    ]
    out += [_split(town, name) for name in _SPLIT if name in town.runs]
    return [*out, *(_cost(town, name, size) for name in town.runs)]


def _split(town: Town, name: str) -> Row:
    """The same questions in turn over accounts that nobody linked, and over linked ones."""
    held = []
    for run in town.runs[name]:
        stops = [robberies.stop_of(run.cells[at::_ACCOUNTS], town.cells) for at in range(_ACCOUNTS)]
        held.append(robberies.agreement(town.name, run, sum(stops)))
    return Row(
        f"{town.name}: {name} over {_ACCOUNTS} accounts that nobody linked",
        100 * float(np.mean(held)),
        "%",
        yardsticks={"linked": 100 * float(np.mean(town.at(name, town.stop)))},
        note=f"{_words(held)}; at most {town.runs[name][0].asked:,} answers",
    )


def _cost(town: Town, name: str, size: Size) -> Row:
    """New accounts for the copy that enough questions unhindered would make."""
    goal = min(_GOAL, size.budget)
    stops = [town.stop(run) for run in town.runs[name]]
    accounts = float(np.mean([math.ceil(goal / stop) for stop in stops]))
    points = [at for at in _POINTS if at <= size.budget]
    curve = ", ".join(f"{at}: {100 * np.mean(town.at(name, _just(at))):.1f} %" for at in points)
    runs = town.runs[name]
    accused = sum((name, run.seed) in town.accused for run in runs)
    note = (
        f"unhindered {curve}; ended at {np.mean(stops):,.0f} ({accused} of {len(runs)} accused):"
        f" {_words(town.at(name, town.stop))}"
    )
    what = f"{town.name}: accounts that {name} needs for {goal:,} answers"
    plain = {"plain cap": float(math.ceil(goal / town.cap))}
    if name in FAR:
        return measure(what, accounts, "accounts", target=20, yardsticks=plain, note=note)
    return Row(what, accounts, "accounts", yardsticks=plain, note=note)


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
    lines = []
    for name in town.runs:
        asked = town.runs[name][0].asked
        points = [at for at in (*_POINTS, asked) if at <= asked]
        curve = tuple((float(at), float(np.mean(town.at(name, _just(at))))) for at in points)
        lines.append(Line(name, curve))
        stop = float(np.mean([town.stop(run) for run in town.runs[name]]))
        held = float(np.mean(town.at(name, town.stop)))
        lines.append(Line(name, ((stop, held),), end=True))
    drawn = chart(lines, "answers to one account", [("without a question", town.nothing)])
    return Plate(
        f"{town.name}: agreement of thieves' copies",
        f"Curves: no guard. Dots: where the coverage budget of {town.cells:,} cells, or "
        f"an accusation, ends an account. Means of {len(next(iter(town.runs.values())))} "
        "principals. The dots lie on the curves: a budget shortens a theft, and changes nothing "
        "about what the answers given are worth.",
        charts=(drawn,),
    )
