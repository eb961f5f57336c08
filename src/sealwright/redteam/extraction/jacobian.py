"""Jacobian-based data set augmentation (Papernot 2017; Juuti 2019, PRADA's T-rnd and N FGSM)."""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction import surrogate
from sealwright.redteam.extraction.coding import Coding
from sealwright.redteam.extraction.interface import Known, Loot, Oracle, Stolen

_FIRST, _STEP = 100, 0.1


class Jacobian:
    """A few seeds; then, round by round, every input so far moved along its label's gradient."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """Rounds double what is known, and turn the step's sign each time."""
        known, rng = self._known, np.random.default_rng(self._known.seed)
        coding = Coding(known.space, known.seeds)
        loot = Loot(oracle, budget, known.space.width)
        first = min(_FIRST, max(1, budget // 4), len(known.seeds))
        loot.ask(known.seeds[rng.permutation(len(known.seeds))[:first]])
        sign = 1.0
        while loot.left > 0 and len(loot.inputs):
            inputs, targets = loot.inputs, loot.targets
            copy = surrogate.net(coding.encode(inputs), targets, known.seed)
            rows = rng.permutation(len(inputs))[: loot.left]
            slope = copy.slope(coding.encode(inputs[rows]), targets[rows].argmax(axis=1))
            loot.ask(coding.step(inputs[rows], sign * slope, _STEP))
            sign = -sign
        return loot.stolen()
