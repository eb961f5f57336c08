"""What a thief knows, what it may ask, and what it comes away with.

Inputs are float64 (n, d) in the thief's own :class:`~.space.Space`; an account is a number from 0.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.redteam.extraction.space import Space

Array: TypeAlias = npt.NDArray[Any]


class Released(msgspec.Struct, frozen=True):
    """What left the house for the rows ``at`` (m,) of a batch; the others were refused.

    ``labels`` (m,); ``top`` (m,) the probability of the label, where it is released; ``scores``
    (m, K) where all of them are.
    """

    at: Array
    labels: Array
    top: Array | None = None
    scores: Array | None = None

    def targets(self, classes: int) -> Array:
        """Rows of K that sum to 1: the most likely answer behind what was released."""
        rows = np.arange(len(self.labels))
        if self.scores is not None:
            kept = np.maximum(self.scores, 0) + 1e-9
            return np.asarray(kept / kept.sum(axis=1, keepdims=True))
        top = np.ones(len(rows)) if self.top is None else np.clip(self.top, 1 / classes, 1)
        rest = (1 - top) / max(1, classes - 1)
        out = np.repeat(rest[:, None], classes, axis=1)
        out[rows, self.labels] = top
        return out


class Reading(msgspec.Struct, frozen=True):
    """The ledger of everybody together: rows answered, millibits released, cells touched."""

    queries: int
    mbits: int
    cells: int


class Oracle(Protocol):
    """The served model as a caller meets it."""

    @property
    def classes(self) -> int:
        """K."""
        ...

    def ask(self, inputs: Array, account: int = 0) -> Released:
        """Ask n rows at once. Fewer answers than rows: the account is stopped."""
        ...

    def readings(self) -> tuple[Reading, ...]:
        """The ledger after each answered row, in their order."""
        ...


class Known(msgspec.Struct, frozen=True):
    """What is public: the form of inputs, some (``seeds``, of the model's own kind; ``labels``
    by their truth, which anybody can look up), and perhaps a pool of something else entirely."""

    space: Space
    classes: int
    seeds: Array
    labels: Array
    other: Array | None = None
    seed: int = 0


class Stolen(msgspec.Struct, frozen=True):
    """Questions (n, d) and targets (n, K), in the order of the oracle's readings."""

    inputs: Array
    targets: Array
    accounts: int = 1

    def first(self, count: int) -> Stolen:
        """What it had after ``count`` answers."""
        return Stolen(self.inputs[:count], self.targets[:count], self.accounts)


class Thief(Protocol):
    """One way to choose questions. Made of what is known; the same seed asks the same."""

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """Ask at most ``budget`` rows, or until the accounts are stopped."""
        ...


class Loot:
    """Questions and answers so far, and how many questions are left."""

    def __init__(self, oracle: Oracle, budget: int, width: int) -> None:
        self.left = budget
        self._oracle = oracle
        self._inputs: list[Array] = [np.zeros((0, width))]
        self._targets: list[Array] = [np.zeros((0, oracle.classes))]

    def ask(self, inputs: Array) -> Array:
        """Targets of the answered rows; fewer than asked: stop, nothing more will come."""
        asked = inputs[: max(0, self.left)]
        if not len(asked):
            return self._targets[0]
        released = self._oracle.ask(asked)
        targets = released.targets(self._oracle.classes)
        self._inputs.append(asked[released.at])
        self._targets.append(targets)
        self.left = 0 if len(targets) < len(asked) else self.left - len(asked)
        return targets

    @property
    def inputs(self) -> Array:
        """Every answered question (n, d)."""
        return np.concatenate(self._inputs)

    @property
    def targets(self) -> Array:
        """Their answers (n, K)."""
        return np.concatenate(self._targets)

    def stolen(self) -> Stolen:
        """All of it."""
        return Stolen(self.inputs, self.targets)
