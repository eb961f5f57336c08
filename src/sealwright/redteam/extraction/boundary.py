"""Line search for the decision boundary (Lowd and Meek 2005; Tramèr 2016)."""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction import draws
from sealwright.redteam.extraction.interface import Array, Known, Loot, Oracle, Stolen

_FIRST, _PAIRS, _HALVINGS = 60, 16, 6


class Boundary:
    """Pairs with different labels, halved until both sides of the boundary are near."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """A few seeds, then six halvings for each of 16 pairs at a time."""
        known, rng = self._known, np.random.default_rng(self._known.seed)
        loot = Loot(oracle, budget, known.space.width)
        first = min(_FIRST, max(2, budget // 4))
        loot.ask(known.seeds[rng.permutation(len(known.seeds))[:first]])
        while loot.left > 0 and len(loot.inputs):
            labels = loot.targets.argmax(axis=1)
            if len(np.unique(labels)) < 2:
                # one label so far: no boundary between what was asked; look further away
                loot.ask(draws.uniform(known.space, min(_PAIRS, loot.left), rng))
                continue
            self._halved(loot, labels, rng)
        return loot.stolen()

    def _halved(self, loot: Loot, labels: Array, rng: draws.Rng) -> None:
        one = rng.integers(len(labels), size=_PAIRS)
        two = np.array([rng.choice(np.flatnonzero(labels != labels[at])) for at in one])
        left, right = loot.inputs[one], loot.inputs[two]
        from_, to = np.zeros(_PAIRS), np.ones(_PAIRS)
        order = rng.random(left.shape)
        for _ in range(_HALVINGS):
            middle = (from_ + to) / 2
            answers = loot.ask(draws.between(self._known.space, left, right, middle, order))
            if len(answers) < _PAIRS:
                return
            same = answers.argmax(axis=1) == labels[one]
            from_, to = np.where(same, middle, from_), np.where(same, to, middle)
