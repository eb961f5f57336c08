"""The thief who has read this program: it knows what the guard counts, and asks around it.

It knows that cells of a feature space are counted, each what lies nearest to a reference row, not
which rows. So it builds cells of its own copy, takes the heaviest first, and asks in a cell it has
paid for again where its copies are unsure; a third of its questions are plain honest-looking
cover. Its accounts (:mod:`.accounts`) each get a share that looks like the next one's.
"""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction import draws, surrogate
from sealwright.redteam.extraction.coding import Coding
from sealwright.redteam.extraction.interface import Array, Known, Loot, Oracle, Stolen
from sealwright.redteam.extraction.nets import Net

_FIRST, _BATCH, _POOL = 60, 40, 600
_COVER, _SITES = 0.3, 256
_SMALL, _LARGE = 0.04, 0.15


class Adaptive:
    """Greedy over cells of its own, under cover."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def queries(self, budget: int, oracle: Oracle) -> Stolen:
        """Seeds, then batches of 40: cover, the heaviest new cell, and doubt in paid ones."""
        known, rng = self._known, np.random.default_rng(self._known.seed)
        coding = Coding(known.space, known.seeds)
        loot = Loot(oracle, budget, known.space.width)
        own = known.seeds[rng.permutation(len(known.seeds))]
        loot.ask(own[: min(_FIRST, max(1, budget // 3))])
        own = own[_FIRST:]
        while loot.left > 0 and len(loot.inputs):
            coded = coding.encode(loot.inputs)
            copies = [surrogate.net(coded, loot.targets, known.seed + at) for at in (1, 2)]
            pool = self._pool(loot.inputs, own, rng)
            chosen = _chosen(copies, coding.encode(pool), coded, rng)
            own = np.delete(own, chosen[chosen < len(own)], axis=0)
            loot.ask(pool[chosen][: loot.left])
        return loot.stolen()

    def _pool(self, asked: Array, own: Array, rng: draws.Rng) -> Array:
        """Seeds not asked yet, then small changes of what was asked, then larger ones of seeds."""
        space, seeds = self._known.space, self._known.seeds
        small = draws.near(space, asked, _POOL // 2, rng, _SMALL)
        return np.concatenate([own, small, draws.near(space, seeds, _POOL // 2, rng, _LARGE)])


def _chosen(copies: list[Net], pool: Array, asked: Array, rng: draws.Rng) -> Array:
    """Rows of the pool, in a mixed order."""
    one, two = (copy.probabilities(pool) for copy in copies)
    doubt = np.abs(one - two).sum(axis=1) - (one + two).max(axis=1) / 2
    features = copies[0].features(pool)
    spread = features.std(axis=0) + 1e-6
    sites = features[rng.permutation(len(features))[:_SITES]] / spread
    paid = set(_cells(copies[0].features(asked) / spread, sites).tolist())
    cells, weights = _cells(features / spread, sites), dict[int, int]()
    for cell in cells.tolist():
        weights[cell] = weights.get(cell, 0) + 1
    old = np.array([cell in paid for cell in cells.tolist()])
    heavy = np.array([weights[cell] for cell in cells.tolist()])
    cover = np.arange(len(pool))[: int(_COVER * _BATCH)]
    count = _BATCH - len(cover)
    new = np.lexsort((-doubt, -heavy, old))[: count // 3]
    again = np.lexsort((-doubt, ~old))[: count - len(new)]
    return rng.permutation(np.unique(np.concatenate([cover, new, again])))


def _cells(features: Array, sites: Array) -> Array:
    """(n,) the nearest site of each row."""
    return np.asarray((features @ sites.T - (sites**2).sum(axis=1) / 2).argmax(axis=1))
