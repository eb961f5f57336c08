"""Thieves' queries as the served models of this bench get them, alone or inside honest cover."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from sealwright.app.bench.guard.served import Array, Victim, victim
from sealwright.app.bench.guard.users import NUMBERS, Rows, user
from sealwright.app.bench.poison.data import Absent, cifar, sms
from sealwright.redteam.extraction.interface import Known, Reading, Released
from sealwright.redteam.extraction.space import Space, of_columns, of_numbers, of_texts
from sealwright.redteam.extraction.thieves import thief

TUNED = ("out-of-distribution", "random", "jacobian")
"""Families that monitors were tuned against."""

OPENED = ("boundary", "data-free", "adaptive")
"""Families that were held out until monitors were first finished, and known after."""

SHARE = 0.3
MIXED_WITHIN = 400
_SEEDS = 150
_FIRST = {30: 120, 100: 400}
"""Records that a Jacobian thief asks before its first own question, by its budget."""


class Form(NamedTuple):
    """A thief's own picture of a model's inputs, and the way back to rows."""

    space: Space
    seeds: Array
    labels: Array
    other: Array | None
    rows: Callable[[Array], Rows]


class Listening:
    """An oracle without a budget that releases the label and its probability."""

    def __init__(self, served: Victim, rows: Callable[[Array], Rows]) -> None:
        self._served, self._rows = served, rows

    @property
    def classes(self) -> int:
        """K."""
        return len(self._served.space.classes)

    def ask(self, inputs: Array, account: int = 0) -> Released:
        """Everything is answered."""
        scores, _ = self._served.answer(self._rows(inputs))
        return Released(np.arange(len(inputs)), scores.argmax(axis=1), scores.max(axis=1))

    def readings(self) -> tuple[Reading, ...]:
        """Nothing is counted here."""
        return ()


def pure(name: str, family: str, seed: int, budget: int) -> Rows:
    """The rows, in order, that one thief of a family asks the model of a data set."""
    served = victim(name)
    natural = _natural(name, family, seed, budget)
    if natural is not None:
        return natural
    own = form(name, seed)
    other = own.other if family == "out-of-distribution" else None
    known = Known(own.space, len(served.space.classes), own.seeds, own.labels, other, seed)
    stolen = thief(family, known).queries(budget, Listening(served, own.rows))
    return own.rows(stolen.inputs)[:budget]


def jacobian(name: str, seed: int, records: int, own: int) -> Rows:
    """A Jacobian thief who asks 30 or 100 records first, then ``own`` questions of its own."""
    return pure(name, "jacobian", seed, _FIRST[records])[: records + own]


def mixed(name: str, attack: Rows, seed: int) -> Rows:
    """An honest test user's first 400 queries, each replaced by the thief's next one with
    probability 0.3."""
    rng = np.random.default_rng([7, seed])
    number = seed
    cover = user(name, "test", number)
    while len(cover.rows) < MIXED_WITHIN:
        number += 1
        cover = user(name, "test", number)
    rows = cover.rows[:MIXED_WITHIN].copy()
    places = np.flatnonzero(rng.random(MIXED_WITHIN) < SHARE)[: len(attack)]
    rows[places] = attack[: len(places)]
    return rows


def _natural(name: str, family: str, seed: int, budget: int) -> Rows | None:
    """Texts that are asked as they were written: their thieves need not make any up."""
    rng = np.random.default_rng([3, seed])
    if name == "sst2" and family == "in-distribution":
        pool = victim(name).space.spare.rows
        return pool[rng.permutation(len(pool))[:budget]]
    if name == "sst2" and family == "out-of-distribution":
        texts = np.array(sms().train, object)
        return texts[rng.permutation(len(texts))[:budget]]
    return None


def form(name: str, seed: int) -> Form:
    """What a thief has who knows the form of a data set's rows, and 150 spare ones."""
    spare = victim(name).space.spare
    rng = np.random.default_rng([5, seed])
    at = rng.choice(len(spare.labels), min(_SEEDS, len(spare.labels)), replace=False)
    rows, labels = spare.rows[at], spare.labels[at]
    if name == "digits":
        seeds = rows.reshape(len(rows), -1).astype(np.float64)
        return Form(of_numbers(seeds, (8, 8)), seeds, labels, _patches(seed), _pictures)
    if name == "adult":
        return _columns(rows, labels, spare.rows)
    space = of_texts(rows.tolist())

    def render(inputs: Array) -> Rows:
        return np.asarray(space.render(inputs)).astype(object)

    return Form(space, space.counts(rows.tolist()), labels, None, render)


def _pictures(inputs: Array) -> Rows:
    return inputs.reshape(-1, 8, 8).astype(np.float32)


def _columns(rows: Rows, labels: Array, every: Rows) -> Form:
    values = {
        at: tuple(sorted({str(cell) for cell in every[:, at]}))
        for at in range(every.shape[1])
        if at not in NUMBERS
    }

    def code(at: int, cell: Any) -> float:
        return float(values[at].index(str(cell)) if at in values else cell)

    def back(inputs: Array) -> Rows:
        out: Rows = np.empty(inputs.shape, object)
        for at in range(inputs.shape[1]):
            if words := values.get(at):
                named = [words[int(code)] for code in inputs[:, at]]
                out[:, at] = [None if one == "None" else one for one in named]
            else:
                out[:, at] = inputs[:, at].tolist()
        return out

    seeds = np.array([[code(at, cell) for at, cell in enumerate(row)] for row in rows])
    return Form(of_columns(seeds, values), seeds, labels, None, back)


@cache
def _natural_pictures() -> Array | None:
    try:
        return np.asarray(cifar().train[:3_000].mean(axis=3) / 255)
    except Absent:
        return None


def _patches(seed: int) -> Array | None:
    """Parts of photographs, 8 by 8, each over the whole range; None where there are none."""
    photographs = _natural_pictures()
    if photographs is None:
        return None
    rng = np.random.default_rng([4, seed])
    down, right = rng.integers(0, 9, 2)
    some = photographs[rng.permutation(len(photographs))[:1_500]]
    small = some[:, down : down + 24, right : right + 24].reshape(-1, 8, 3, 8, 3).mean(axis=(2, 4))
    low = small.min(axis=(1, 2), keepdims=True)
    span = np.maximum(small.max(axis=(1, 2), keepdims=True) - low, 1e-6)
    return np.asarray(((small - low) / span).reshape(len(small), -1))
