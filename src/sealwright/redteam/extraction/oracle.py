"""A served model as thieves meet it, with the ledger that counts what they get.

How a row is answered, what of it is released and which cell it touches are passed in: the same
oracle stands before a model in its worker and before the bench's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import numpy as np

from sealwright.core.errors import BadInput
from sealwright.redteam.extraction.interface import Array, Reading, Released

NO_CAP = 2**62


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an account is stopped. ``model_queries`` caps everybody together."""

    queries: int = NO_CAP
    mbits: int = NO_CAP
    cells: int = NO_CAP
    model_queries: int = NO_CAP


class Watch(Protocol):
    """A monitor beside the ledger: how many of an account's rows are answered before a block."""

    def __call__(self, account: int, inputs: Array, features: Array, scores: Array) -> int:
        """From 0 to n; fewer than n blocks the account."""
        ...


class Steps(Protocol):
    """Steps of walks, as a guard finds them behind its answers."""

    def __call__(self, account: int, inputs: Array, scores: Array) -> Sequence[Sequence[int]]:
        """For each of n answered rows the cells that it touches beyond its own."""
        ...


class Served(msgspec.Struct, frozen=True):
    """``answer``: inputs (n, d) to scores (n, K) and features (n, f). ``release``: scores to what
    leaves, of ``mbits`` a row at most. ``cells``: features to the cell of each row."""

    classes: int
    answer: Callable[[Array], tuple[Array, Array]]
    release: Callable[[Array], Released]
    mbits: int
    cells: Callable[[Array], Sequence[int]]


class Account:
    """What one account, and whoever it is linked with, has had."""

    def __init__(self) -> None:
        self.queries, self.mbits, self.stopped = 0, 0, False
        self.cells: set[int] = set()


class MeteredOracle:
    """An oracle that charges before it answers. ``group`` names whom an account shares with.

    ``room``: how many cells may be touched once so many millibits were spent. Thieves know it and
    wait: where a row would go beyond, one that was answered before is asked again until it does
    not, which touches nothing and is charged. ``steps`` are charged after each batch.
    """

    def __init__(
        self,
        served: Served,
        limits: Limits | None = None,
        *,
        group: Callable[[int], int] = lambda account: account,
        watch: Watch | None = None,
        room: Callable[[int], int] | None = None,
        steps: Steps | None = None,
    ) -> None:
        self._served, self._limits = served, limits or Limits()
        self._group, self._watch = group, watch
        self._paced, self._steps = room, steps
        self._queries = self._mbits = 0
        self.accounts: dict[int, Account] = {}
        self._seen: set[int] = set()
        self._readings: list[Reading] = []

    @property
    def classes(self) -> int:
        """K."""
        return self._served.classes

    def readings(self) -> tuple[Reading, ...]:
        """After each answered row, of everybody together."""
        return tuple(self._readings)

    def ask(self, inputs: Array, account: int = 0) -> Released:
        """Answer until the account, or the model, is stopped. Raises: BadInput (nonsense)."""
        account = self._group(account)
        held = self.accounts.setdefault(account, Account())
        room = self._room(held)
        if held.stopped or room <= 0:
            return self._released(np.zeros((0, self.classes)))
        asked = inputs[:room]
        scores, features = self._served.answer(asked)
        checked(scores, len(asked), self.classes)
        count = len(asked)
        if self._watch is not None:
            count = self._watch(account, asked, features, scores)
            held.stopped = count < len(asked)
        count = self._charge(held, list(self._served.cells(features))[:count])
        if self._steps is not None and count:
            self._walked(held, self._steps(account, asked[:count], scores[:count]))
        return self._released(scores[:count])

    def _released(self, scores: Array) -> Released:
        return self._served.release(scores)

    def _room(self, held: Account) -> int:
        return min(
            self._limits.queries - held.queries,
            (self._limits.mbits - held.mbits) // max(1, self._served.mbits),
            self._limits.model_queries - self._queries,
        )

    def _charge(self, held: Account, cells: Sequence[int]) -> int:
        """Rows answered: the one that fills the cells is the last."""
        for count, cell in enumerate(cells, 1):
            if not self._waited(held, cell):
                held.stopped = True
                return count - 1
            self._count(held)
            held.cells.add(cell)
            self._seen.add(cell)
            self._readings.append(Reading(self._queries, self._mbits, len(self._seen)))
            if len(held.cells) >= self._limits.cells:
                held.stopped = True
                return count
        held.stopped = held.stopped or self._room(held) <= 0
        return len(cells)

    def _count(self, held: Account) -> None:
        """One more answer."""
        held.queries += 1
        held.mbits += self._served.mbits
        self._queries += 1
        self._mbits += self._served.mbits

    def _waited(self, held: Account, cell: int) -> bool:
        """Whether a row of this cell can be had now, after waiting for it."""
        left = self._room(held)
        if self._paced is None or cell in held.cells:
            return left > 0
        wanted, row = len(held.cells) + 1, self._served.mbits
        if self._paced(held.mbits + left * row) < wanted:
            return False  # nor ever: there is no use in waiting
        while left > 0 and self._paced(held.mbits + row) < wanted:
            self._count(held)
            left = self._room(held)
        return left > 0

    def _walked(self, held: Account, steps: Sequence[Sequence[int]]) -> None:
        """Whatever the cap: from there on there is less room, or none."""
        for cells in steps:
            held.cells.update(cells)
            self._seen.update(cells)
        held.stopped = held.stopped or len(held.cells) >= self._limits.cells


def checked(scores: Array, rows: int, classes: int) -> Array:
    """``scores`` if they are probabilities (rows, classes). Raises: BadInput."""
    if scores.shape != (rows, classes):
        raise BadInput(
            "the model answers in another shape than it did",
            why=f"{(rows, classes)} wanted, {scores.shape} found",
        )
    if not np.isfinite(scores).all():
        raise BadInput("the model answers with numbers that are none", why="NaN or infinite")
    return scores
