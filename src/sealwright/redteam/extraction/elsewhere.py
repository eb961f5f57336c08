"""Thieves without the model's own kind of data: other data (Orekondy 2019), or none at all."""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction import draws
from sealwright.redteam.extraction.interface import Known, Loot, Oracle, Stolen

_BATCH = 100


class OutOfDistribution:
    """Knockoff: natural inputs of another kind, from the pool that is known or made up."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """Ask in batches of 100."""
        known, rng = self._known, np.random.default_rng(self._known.seed)
        loot = Loot(oracle, budget, known.space.width)
        if known.other is not None:
            pool = known.other[rng.permutation(len(known.other))]
            for start in range(0, len(pool), _BATCH):
                loot.ask(known.space.fit(pool[start : start + _BATCH]))
        while loot.left > 0:
            count = min(_BATCH, loot.left)
            loot.ask(draws.unrelated(known.space, known.seeds, count, rng))
        return loot.stolen()


class Uniform:
    """Any input as likely as any other (Tramèr 2016)."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """Ask in batches of 100."""
        known, rng = self._known, np.random.default_rng(self._known.seed)
        loot = Loot(oracle, budget, known.space.width)
        while loot.left > 0:
            loot.ask(draws.uniform(known.space, min(_BATCH, loot.left), rng))
        return loot.stolen()
