"""One theft: questions asked, copies trained on ever more of the answers, each held to the model.

Agreement is the share of held-out inputs of the model's own kind on which the copy says what the
model says. The gain is over somebody who asked nothing and trained on what is public.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from sealwright.core.errors import BadInput
from sealwright.redteam.extraction import surrogate
from sealwright.redteam.extraction.coding import Coding
from sealwright.redteam.extraction.interface import Array, Known, Oracle, Reading, Stolen
from sealwright.redteam.extraction.thieves import thief

CHECKPOINTS = (30, 60, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000)


class Exam(msgspec.Struct, frozen=True):
    """Held-out inputs (n, d) and what the model says of them (n,), asked by its owner."""

    inputs: Array
    labels: Array

    def agreed(self, copy: surrogate.Surrogate) -> int:
        """How many it answers alike."""
        return int(np.sum(copy.labels(self.inputs) == self.labels))


class Point(msgspec.Struct, frozen=True):
    """A copy trained on the first answers: the ledger then, and on how many inputs it agreed."""

    reading: Reading
    agreed: int


class Curve(msgspec.Struct, frozen=True):
    """A thief's copies in order; ``accounts`` it used, ``of`` held-out inputs it was held to."""

    thief: str
    points: tuple[Point, ...]
    accounts: int
    of: int
    seed: int

    @property
    def best(self) -> Point | None:
        """The copy that agreed most; the earliest of equals."""
        return max(self.points, key=lambda point: point.agreed, default=None)


def rob(name: str, known: Known, oracle: Oracle, budget: int, exam: Exam) -> Curve:
    """Let one thief ask at most ``budget`` rows. Raises: BadInput (no such thief; no exam)."""
    curve, _ = stolen(name, known, oracle, budget, exam)
    return curve


def stolen(
    name: str, known: Known, oracle: Oracle, budget: int, exam: Exam, at: Sequence[int] = ()
) -> tuple[Curve, Stolen]:
    """The same, with what it holds; copies are trained ``at`` those counts too."""
    if not len(exam.labels):
        raise BadInput("nothing is held out to compare copies on")
    loot = thief(name, known).queries(budget, oracle)
    readings = oracle.readings()[: len(loot.inputs)]
    counts = sorted({n for n in (*CHECKPOINTS, *at) if n < len(readings)} | {len(readings)} - {0})
    points = [
        Point(readings[count - 1], exam.agreed(copied(known, loot.first(count))))
        for count in counts
    ]
    return Curve(name, tuple(points), loot.accounts, len(exam.labels), known.seed), loot


def copied(known: Known, loot: Stolen) -> surrogate.Surrogate:
    """The best copy of what a thief holds. What is public helps it read columns, no more."""
    return surrogate.train(Coding(known.space, known.seeds), loot.inputs, loot.targets, known.seed)


def without_questions(known: Known, exam: Exam) -> int:
    """On how many inputs somebody agrees who asked nothing, and trained on what is public."""
    truth = np.eye(known.classes)[known.labels] if len(known.labels) else None
    if truth is None or len(np.unique(known.labels)) < 2:
        shares = np.bincount(exam.labels, minlength=known.classes)
        return int(shares.max())  # the one label they would guess, at its luckiest
    return exam.agreed(copied(known, Stolen(known.seeds[: len(truth)], truth)))
