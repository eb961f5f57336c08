"""Two thieves that were frozen before anything was tuned for their families' sake.

The boundary and the Jacobian thieves of :mod:`sealwright.redteam.extraction` were seen by whoever
made what is charged beside cells. These two go about the same in another way, and are asked once,
at the end. Frozen by the SHA-256 of this file: docs/concepts/held-out.md.
"""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction import draws, surrogate
from sealwright.redteam.extraction.coding import Coding
from sealwright.redteam.extraction.interface import Array, Known, Loot, Oracle, Stolen

_FIRST, _PAIRS, _STOPS, _JITTER = 40, 25, 6, 0.02
_START, _BATCH, _STEP, _RECENT = 60, 40, 0.05, 0.7


class Walk:
    """Along the lines between random pairs of different labels, all pairs a step at a time; then
    a little beside where the answer changes."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """A few seeds, then rounds of 25 pairs: five stops each in any order, two beside."""
        known, rng = self._known, np.random.default_rng([8, self._known.seed])
        loot = Loot(oracle, budget, known.space.width)
        loot.ask(known.seeds[rng.permutation(len(known.seeds))[: min(_FIRST, max(2, budget // 4))]])
        while loot.left > 0 and len(loot.inputs):
            labels = loot.targets.argmax(axis=1)
            if len(np.unique(labels)) < 2:
                loot.ask(draws.uniform(known.space, min(_PAIRS, loot.left), rng))
                continue
            self._walked(loot, labels, rng)
        return loot.stolen()

    def _walked(self, loot: Loot, labels: Array, rng: draws.Rng) -> None:
        space = self._known.space
        one = rng.integers(len(labels), size=_PAIRS)
        two = np.array([rng.choice(np.flatnonzero(labels != labels[at])) for at in one])
        left, right, order = loot.inputs[one], loot.inputs[two], rng.random(loot.inputs[one].shape)
        said: Array = np.zeros((_PAIRS, _STOPS + 1), np.int64)
        said[:, 0], said[:, -1] = labels[one], labels[two]
        for stop in rng.permutation(np.arange(1, _STOPS)):
            share = np.full(_PAIRS, stop / _STOPS)
            answers = loot.ask(draws.between(space, left, right, share, order))
            if len(answers) < _PAIRS:
                return
            said[:, stop] = answers.argmax(axis=1)
        change = (said[:, 1:] != said[:, :-1]).argmax(axis=1)
        for _ in range(2):
            share = (change + rng.random(_PAIRS)) / _STOPS
            middle = draws.between(space, left, right, share, order)
            if len(loot.ask(draws.near(space, middle, _PAIRS, rng, _JITTER))) < _PAIRS:
                return


class Towards:
    """Small steps of a few records at a time towards a label drawn for each, mostly from the
    newest ones; a copy for every batch."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """Sixty seeds, then batches of 40."""
        known, rng = self._known, np.random.default_rng([9, self._known.seed])
        coding = Coding(known.space, known.seeds)
        loot = Loot(oracle, budget, known.space.width)
        first = min(_START, max(1, budget // 4), len(known.seeds))
        loot.ask(known.seeds[rng.permutation(len(known.seeds))[:first]])
        while loot.left > 0 and len(loot.inputs):
            inputs, targets = loot.inputs, loot.targets
            copy = surrogate.net(coding.encode(inputs), targets, known.seed + len(inputs))
            newest = np.arange(max(0, len(inputs) - 2 * _BATCH), len(inputs))
            pool = newest if rng.random() < _RECENT else np.arange(len(inputs))
            rows = rng.choice(pool, min(_BATCH, loot.left))
            wanted = rng.integers(oracle.classes, size=len(rows))
            slope = copy.slope(coding.encode(inputs[rows]), wanted)
            loot.ask(coding.step(inputs[rows], slope, _STEP))
        return loot.stolen()


FRESH = {"boundary, walking": Walk, "jacobian, towards": Towards}
"""By name; the first word is the family."""
