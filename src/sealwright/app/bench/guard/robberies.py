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
from sealwright.app.bench.guard.fresh import FRESH
from sealwright.app.bench.guard.served import Victim
from sealwright.app.bench.guard.users import NUMBERS, Part, Rows
from sealwright.app.stealing import released
from sealwright.redteam.extraction import heist
from sealwright.redteam.extraction import space as spaces
from sealwright.redteam.extraction.heist import Exam
from sealwright.redteam.extraction.interface import Array, Known, Stolen
from sealwright.redteam.extraction.oracle import MeteredOracle, Served
from sealwright.redteam.extraction.space import Space
from sealwright.redteam.extraction.thieves import thief
from sealwright.serve import outputs
from sealwright.serve.coverage import Frame
from sealwright.serve.outputs import Shape
from sealwright.serve.walks import Walks

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
    walks: Walks

    def rows(self, inputs: Array) -> Rows:
        """(n, d) of the thieves' space as the model is asked."""
        return rows_of(self.space, inputs)

    def touched(self, rows: Rows) -> list[tuple[int, ...]]:
        """The cells that one account touches with each of its rows, in their order."""
        scores, features = self.victim.answer(rows)
        steps, _ = self.walks.look(rows, scores.argmax(axis=1), self.walks.blank())
        cells = self.frame.cells(features)
        return [(cell, *more) for cell, more in zip(cells, steps, strict=True)]


class Robbery(NamedTuple):
    """One run: rows (n,) and the cells that each touches, were all asked by one account; agreement
    by how many answers were kept."""

    name: str
    seed: int
    rows: Rows
    touched: list[tuple[int, ...]]
    agreed: dict[int, float]

    @property
    def asked(self) -> int:
        """Questions answered."""
        return len(self.touched)


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
    return Town(victim, space, known, exam, frame, served, Walks(whole.train.rows))


def rob(name: str, set_name: str, seed: int, budget: int) -> tuple[Town, Robbery]:
    """One thief's questions, unhindered; agreement is worked out later, where it is wanted."""
    here = town(set_name)
    known = Known(here.space, here.known.classes, here.known.seeds, here.known.labels, seed=seed)
    oracle = MeteredOracle(here.served)
    kind: Any = FRESH.get(name)
    stolen = (kind(known) if kind else thief(name, known)).queries(budget, oracle)
    rows = here.rows(stolen.inputs)
    kept = Robbery(name, seed, rows, here.touched(rows), {})
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


@cache
def honest(set_name: str, part: Part, count: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """The cells that each honest user's questions touch, in order."""
    here = town(set_name)
    return tuple(tuple(here.touched(user.rows)) for user in users.users(set_name, part, count))


def copied(set_name: str, number: int) -> float:
    """Agreement of a copy made of one honest test user's own questions."""
    here, rows = town(set_name), users.user(set_name, "test", number).rows
    scores, _ = here.victim.answer(rows)
    targets = here.served.release(scores).targets(here.served.classes)
    copy = heist.copied(here.known, Stolen(_inputs(here.space, rows), targets))
    return here.exam.agreed(copy) / len(here.exam.labels)


@cache
def watch(set_name: str, count: int) -> detect.Watch:
    """The monitors of a set's model, calibrated on ``count`` calibration users."""
    return detect.watch(set_name, count)


def alarm_of(set_name: str, rows: Rows, count: int) -> int:
    """Answers until the monitors accuse an account of them; 2**31 where they never do."""
    return watch(set_name, count).alarm(rows) or 2**31


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
