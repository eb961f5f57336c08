"""A sample of rows that does not depend on their order: those whose hashed ids are smallest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.scan import hashing
from sealwright.scan.interface import Batch, Frame

MOST_ROWS = 1 << 16
MOST_CELLS = 1 << 23


def ranks_of(ids: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.uint64]:
    """(n,) a pseudo-random rank of each record, the same wherever it is met."""
    return np.asarray(hashing.mix(ids.astype(np.uint64) + np.uint64((seed * 2 + 1) * 0x9E3779B9)))


class Sample:
    """Up to ``size`` rows: ranks, ids, labels, hashed cells, and numbers where there are any."""

    def __init__(self, frame: Frame) -> None:
        self.seed = frame.seed
        self.columns = tuple(c for c in frame.columns if c.type in ("number", "time", "category"))
        self.size = int(min(MOST_ROWS, MOST_CELLS // max(1, len(self.columns))))
        self.parts: list[dict[str, npt.NDArray[Any]]] = []
        self.held = 0
        self.limit = np.iinfo(np.uint64).max

    def add(self, batch: Batch) -> None:
        """Take in the rows of ``batch`` that are labelled and rank low enough."""
        ranks = ranks_of(batch.ids, self.seed)
        rows = np.flatnonzero((ranks <= self.limit) & (batch.labels >= 0))
        part = {"rank": ranks[rows], "label": batch.labels[rows], "id": batch.ids[rows]}
        for at, column in enumerate(self.columns):
            cells = batch.values[column.name][rows]
            part[f"h{at}"] = hashing.of_column(cells, column)
            if column.type != "category":
                part[f"x{at}"] = np.asarray(cells, np.float64)
        self._take(part)

    def merge(self, other: Sample) -> None:
        """The sample of both shards' rows."""
        for part in other.parts:
            self._take(part)

    def rows(self) -> dict[str, npt.NDArray[Any]]:
        """The sample in the order of its ranks."""
        self._compact()
        return self.parts[0] if self.parts else {}

    def _take(self, part: dict[str, npt.NDArray[Any]]) -> None:
        self.parts.append(part)
        self.held += len(part["rank"])
        if self.held > 2 * self.size:
            self._compact()

    def _compact(self) -> None:
        if not self.parts:
            return
        whole = {name: np.concatenate([p[name] for p in self.parts]) for name in self.parts[0]}
        order = np.argsort(whole["rank"], kind="stable")[: self.size]
        self.parts = [{name: column[order] for name, column in whole.items()}]
        self.held = len(order)
        if self.held == self.size:
            self.limit = whole["rank"][order[-1]]
