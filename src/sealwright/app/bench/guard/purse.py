"""What an account of the bench may have: the pace that the product would tell, and a cap.

Calibration users set both by the same rule (:mod:`sealwright.serve.pace`); test users only say
what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sealwright.redteam.extraction.interface import Array
from sealwright.serve import pace
from sealwright.serve.pace import Counts

Touched = Sequence[tuple[int, ...]]
"""For each question in order, the cells that it touches."""


def seen_by(touched: Iterable[Iterable[int]]) -> Counts:
    """(n,) distinct cells after each answer, of the cells that each touched."""
    known = set[int]()
    counts = []
    for cells in touched:
        known.update(cells)
        counts.append(len(known))
    return np.array(counts, np.int64)


class Purse(NamedTuple):
    """``most`` (cap,): cells that may be touched once so many answers were had; ``cap`` answers.

    ``cells`` and ``plain`` are the yardsticks: a level of cells alone, and a cap on questions.
    """

    most: Array
    cells: int
    plain: int

    @property
    def cap(self) -> int:
        """Answers."""
        return len(self.most)

    def stop(self, touched: Touched) -> int:
        """Answers until the next one would go beyond; all where none does."""
        seen = seen_by(touched)[: self.cap]
        beyond = np.flatnonzero(seen > self.most[: len(seen)])
        return int(beyond[0]) if len(beyond) else len(seen)

    def patient(self, touched: Touched) -> int:
        """The same of somebody who knows the pace and, where the next answer would go beyond it,
        asks what was answered before until it does not: that touches nothing."""
        spent = 0
        for count, seen in enumerate(seen_by(touched).tolist()):
            room = int(np.searchsorted(self.most, seen)) + 1  # answers by which so many may be seen
            spent = max(spent + 1, room)
            if spent > self.cap:
                return count
        return len(touched)

    def stop_by_cells(self, touched: Touched) -> int:
        """Answers until a level of cells alone would end it."""
        beyond = np.flatnonzero(seen_by(touched) > self.cells)
        return int(beyond[0]) if len(beyond) else len(touched)


def purse(users: Sequence[Touched]) -> Purse:
    """From honest calibration users; those of a quick run are too few, and are counted again."""
    curves = [seen_by(one) for one in users]
    plain = round(pace.limit([float(len(one)) for one in curves]))
    cells = round(pace.limit([float(one[-1]) for one in curves]))
    enough = curves * -(-pace.CALLERS // len(curves))
    return Purse(pace.fitted(enough)[:plain], cells, plain)
