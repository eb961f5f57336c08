"""One robbery of the guard's bench: a thief against a served model, and where the guard stops it.

A thief does not know when it will be stopped, so one unhindered run is both: what it holds at the
guard's stop is what it holds with the guard on.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from sealwright.app.bench.guard import detect, users
from sealwright.app.bench.guard import served as serving
from sealwright.app.bench.guard.served import Victim
from sealwright.app.bench.guard.users import NUMBERS, Part, Rows
from sealwright.app.stealing import released
from sealwright.redteam.extraction import heist
from sealwright.redteam.extraction import space as spaces
from sealwright.redteam.extraction.heist import Exam
from sealwright.redteam.extraction.interface import Array, Known
from sealwright.redteam.extraction.oracle import MeteredOracle, Served
from sealwright.redteam.extraction.space import Space
from sealwright.redteam.extraction.thieves import accounts_of, thief
from sealwright.serve import outputs
from sealwright.serve.coverage import Frame
from sealwright.serve.outputs import Shape

SEED = 20_260_105
LABELLED = 100
"""Public records whose truth is public too: what somebody without questions trains on."""


class Town(NamedTuple):
    """A served model and what is known around it. ``rows`` turns inputs into its own rows."""

    victim: Victim
    space: Space
    known: Known
    exam: Exam
    frame: Frame
    served: Served

    def rows(self, inputs: Array) -> Rows:
        """(n, d) of the thieves' space as the model is asked."""
        return rows_of(self.space, inputs)


class Robbery(NamedTuple):
    """One run: cells (n,) of each question in order, agreement by how many answers were kept."""

    name: str
    seed: int
    cells: Array
    inputs: Array
    agreed: dict[int, float]
    accounts: int

    @property
    def asked(self) -> int:
        """Questions answered."""
        return len(self.cells)


@cache
def town(name: str, seeds: int = 400) -> Town:
    """The model of a data set, its thieves' records and its exam. Raises: Absent, MissingExtra."""
    victim = serving.victim(name)
    whole = victim.space
    pool = whole.spare.rows[:seeds]
    space, inputs = _space(whole.kind, pool)
    held = _inputs(space, whole.held.rows[:600])
    exam_rows = rows_of(space, held)
    exam = Exam(held, victim.answer(exam_rows)[0].argmax(axis=1))
    frame = Frame.fit(victim.answer(whole.train.rows)[1], SEED)
    classes = len(whole.classes)
    shape = Shape("binary" if classes == 2 else "multiclass", classes)
    served = Served(
        classes,
        lambda asked: victim.answer(rows_of(space, asked)),
        lambda scores: released(shape, "top1", scores),
        outputs.ceiling_mbits(shape, "top1", 1),
        frame.cells,
    )
    known = Known(space, classes, inputs, whole.spare.labels[: min(seeds, LABELLED)])
    return Town(victim, space, known, exam, frame, served)


def rob(name: str, set_name: str, seed: int, budget: int) -> tuple[Town, Robbery]:
    """One thief's questions, unhindered; agreement is worked out later, where it is wanted."""
    here = town(set_name)
    known = Known(here.space, here.known.classes, here.known.seeds, here.known.labels, seed=seed)
    oracle = MeteredOracle(here.served)
    stolen = thief(name, known).queries(budget, oracle)
    _, features = here.victim.answer(here.rows(stolen.inputs))
    cells = np.array(here.frame.cells(features), np.int64)
    kept = Robbery(name, seed, cells, stolen.inputs, {}, accounts_of(name))
    _HELD[(name, set_name, seed)] = known, stolen
    return here, kept


_HELD: dict[tuple[str, str, int], Any] = {}


def agreement(set_name: str, robbery: Robbery, count: int) -> float:
    """Of the copy trained on the first ``count`` answers with the exam; 0 answers are no copy."""
    count = min(count, robbery.asked)
    if count not in robbery.agreed:
        here = town(set_name)
        known, stolen = _HELD[(robbery.name, set_name, robbery.seed)]
        copy = heist.copied(known, stolen.first(count))
        robbery.agreed[count] = here.exam.agreed(copy) / len(here.exam.labels)
    return robbery.agreed[count]


def nothing(set_name: str) -> float:
    """Agreement of somebody who asked nothing."""
    here = town(set_name)
    return heist.without_questions(here.known, here.exam) / len(here.exam.labels)


def stop_of(cells: Array, most: int) -> int:
    """Answers until ``most`` cells are touched; all where they never are."""
    first = np.sort(np.unique(cells, return_index=True)[1])
    return int(first[most - 1]) + 1 if len(first) >= most else len(cells)


@cache
def honest(set_name: str, part: Part, count: int) -> tuple[tuple[int, int], ...]:
    """(questions, cells touched) of each honest user."""
    here, out = town(set_name), []
    for user in users.users(set_name, part, count):
        touched = here.frame.cells(here.victim.answer(user.rows)[1])
        out.append((len(user.rows), len(set(touched))))
    return tuple(out)


@cache
def watch(set_name: str, count: int) -> detect.Watch:
    """The monitors of a set's model, calibrated on ``count`` calibration users."""
    return detect.watch(set_name, count)


def alarm_of(set_name: str, inputs: Array, count: int) -> int:
    """Answers until the monitors accuse an account of them; 2**31 where they never do."""
    return watch(set_name, count).alarm(town(set_name).rows(inputs)) or 2**31


def quantile(values: Array, share: float) -> int:
    """The conformal quantile: a new user exceeds it with probability at most 1 - ``share``."""
    order = np.sort(values)
    place = int(np.ceil((len(order) + 1) * share)) - 1
    return int(order[min(place, len(order) - 1)])


def _space(kind: str, rows: Rows) -> tuple[Space, Array]:
    if kind == "text":
        space = spaces.of_texts([str(row) for row in rows])
        return space, space.counts([str(row) for row in rows])
    if kind == "image":
        flat = rows.reshape(len(rows), -1).astype(np.float64)
        return spaces.of_numbers(flat, rows.shape[1:]), flat
    values = {
        at: tuple(sorted({_word(cell) for cell in rows[:, at]}))
        for at in range(rows.shape[1])
        if at not in NUMBERS
    }
    space = Space("table", np.zeros(0), np.zeros(0), np.zeros(0, bool), values=values)
    coded = _coded(space, rows)
    return spaces.of_columns(coded, values), coded


def _inputs(space: Space, rows: Rows) -> Array:
    """The model's own rows in the thieves' space; what they have no word for is dropped."""
    if space.form == "text":
        return space.counts([str(row) for row in rows])
    if space.form == "image":
        return rows.reshape(len(rows), -1).astype(np.float64)
    return _coded(space, rows)


def _coded(space: Space, rows: Rows) -> Array:
    out = np.zeros(rows.shape)
    for at in range(rows.shape[1]):
        if names := space.values.get(at):
            place = {name: code for code, name in enumerate(names)}
            out[:, at] = [place.get(_word(cell), 0) for cell in rows[:, at]]
        else:
            out[:, at] = [0.0 if cell is None else float(cell) for cell in rows[:, at]]
    return out


def rows_of(space: Space, inputs: Array) -> Rows:
    """(n, 8, 8) pictures, (n, 14) cells, (n,) texts: as ``users`` has them."""
    if space.form == "image":
        return inputs.reshape(len(inputs), *space.shape).astype(np.float32)
    if space.form == "text":
        return space.render(inputs).astype(object)
    out: Rows = np.empty(inputs.shape, object)
    for at in range(inputs.shape[1]):
        if names := space.values.get(at):
            out[:, at] = [names[int(code)] or None for code in inputs[:, at]]
        else:
            out[:, at] = inputs[:, at]
    return out


def _word(cell: object) -> str:
    return "" if cell is None else str(cell)
