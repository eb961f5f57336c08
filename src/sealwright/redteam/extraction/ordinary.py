"""The thief who looks like everybody: inputs of the model's own kind, and more made of them."""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction import draws
from sealwright.redteam.extraction.interface import Known, Loot, Oracle, Stolen

_BATCH = 100


class InDistribution:
    """First the seeds themselves, then neighbours of them."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """Ask in batches of 100."""
        known, rng = self._known, np.random.default_rng(self._known.seed)
        loot = Loot(oracle, budget, known.space.width)
        own = known.seeds[rng.permutation(len(known.seeds))]
        for start in range(0, len(own), _BATCH):
            loot.ask(own[start : start + _BATCH])
        while loot.left > 0:
            loot.ask(draws.near(known.space, known.seeds, min(_BATCH, loot.left), rng))
        return loot.stolen()
