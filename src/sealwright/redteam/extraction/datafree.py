"""Without data: inputs bred until two copies disagree on them (Rosenthal 2023, DisGUIDE's idea).

The generator is a population that is mutated and selected, a zeroth-order search: it needs no
gradient of the victim (Truong 2021, Kariyappa 2021), and no question to score a candidate.
"""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction import draws, surrogate
from sealwright.redteam.extraction.coding import Coding
from sealwright.redteam.extraction.interface import Array, Known, Loot, Oracle, Stolen
from sealwright.redteam.extraction.nets import Net

_BATCH, _POOL, _GENERATIONS = 50, 200, 3


class DataFree:
    """It knows the form of an input and nothing else; the seeds it is given stay unread."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """Start at random; then ask where two copies disagree most, label by label."""
        known, rng = self._known, np.random.default_rng(self._known.seed)
        start = draws.uniform(known.space, 200, rng)
        coding = Coding(known.space, start)
        loot = Loot(oracle, budget, known.space.width)
        loot.ask(start[: min(_BATCH, budget)])
        while loot.left > 0 and len(loot.inputs):
            coded = coding.encode(loot.inputs)
            copies = [surrogate.net(coded, loot.targets, known.seed + at) for at in (1, 2)]
            loot.ask(self._bred(copies, coding, loot.inputs, rng)[: loot.left])
        return loot.stolen()

    def _bred(self, copies: list[Net], coding: Coding, asked: Array, rng: draws.Rng) -> Array:
        space = self._known.space
        pool = np.concatenate(
            [
                draws.uniform(space, _POOL // 2, rng),
                asked[rng.integers(len(asked), size=_POOL // 2)],
            ]
        )
        for _ in range(_GENERATIONS):
            young = draws.near(space, pool, _POOL, rng, 0.3)
            pool = np.concatenate([pool, young])
            pool = pool[_varied(copies, coding.encode(pool), _POOL)]
        return pool[_varied(copies, coding.encode(pool), _BATCH)]


def _varied(copies: list[Net], coded: Array, count: int) -> Array:
    """The most disputed rows of each label in turn: a generator must not collapse to one."""
    one, two = (copy.probabilities(coded) for copy in copies)
    dispute = np.abs(one - two).sum(axis=1)
    labels = (one + two).argmax(axis=1)
    rank: Array = np.zeros(len(coded), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rank[rows[np.argsort(-dispute[rows], kind="stable")]] = np.arange(len(rows))
    return np.lexsort((-dispute, rank))[:count]
