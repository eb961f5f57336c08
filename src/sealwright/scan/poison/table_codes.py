"""Cells as small integers: eight coarse bins for the blind model, exact values for the miner."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.scan import hashing
from sealwright.scan.blind import BINS
from sealwright.scan.interface import Batch, Column

LEAST = 8
"""A value that fewer sampled rows hold is not mined: no trigger hides in it."""
MOST_VALUES = 1023


class Book:
    """How one column's cells become bins and codes; code 0 is any value that is not mined."""

    def __init__(self, column: Column, cells: npt.NDArray[Any], hashes: npt.NDArray[Any]) -> None:
        self.column = column
        values, counts = np.unique(hashes, return_counts=True)
        often = np.argsort(-counts, kind="stable")[:MOST_VALUES]
        often = often[counts[often] >= LEAST]
        self.values = np.sort(values[often])
        self.distinct = len(values)
        self.cuts = _cuts(cells) if column.type != "category" else np.empty(0)
        few = column.type == "category" and len(values) <= BINS
        self.names = values if few else np.empty(0, np.uint64)

    @property
    def size(self) -> int:
        """Codes are below this."""
        return len(self.values) + 1

    def codes(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """(n,) exact values, 0 where not mined."""
        return _place(self.values, hashes) + 1

    def bins(
        self, cells: npt.NDArray[Any], hashes: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.uint8]:
        """(n,) coarse bins: quantiles of numbers, hash groups of many categories."""
        if self.column.type != "category":
            return np.searchsorted(self.cuts, np.asarray(cells, np.float64)).astype(np.uint8)
        if len(self.names):
            return np.maximum(_place(self.names, hashes), 0).astype(np.uint8)
        return (hashes % np.uint64(BINS)).astype(np.uint8)


def books(columns: tuple[Column, ...], sample: dict[str, npt.NDArray[Any]]) -> list[Book]:
    """One for each column of a sample."""
    none = np.empty(0)
    return [Book(c, sample.get(f"x{at}", none), sample[f"h{at}"]) for at, c in enumerate(columns)]


def coded(
    batch: Batch, kept: list[Book], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Bins (columns, n) and exact codes (columns, n) of some rows of a batch."""
    bins: npt.NDArray[np.uint8] = np.empty((len(kept), len(rows)), np.uint8)
    codes: npt.NDArray[np.int64] = np.empty((len(kept), len(rows)), np.int64)
    for at, book in enumerate(kept):
        cells = batch.values[book.column.name][rows]
        hashes = hashing.of_column(cells, book.column)
        bins[at] = book.bins(cells, hashes)
        codes[at] = book.codes(hashes)
    return bins, codes


def _place(sorted_values: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Where each is, -1 where it is not."""
    if not len(sorted_values):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return np.where(sorted_values[at] == wanted, at, -1)


def _cuts(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Up to seven cuts at quantiles; where one value is most of them, at quantiles of the rest."""
    there = cells[~np.isnan(cells)]
    if not len(there):
        return np.empty(0)
    cuts = np.unique(_quantiles(there, BINS))
    rest = there[there > cuts[-1]] if len(cuts) else there
    if len(cuts) < BINS - 1 and len(rest):
        cuts = np.unique(np.append(cuts, _quantiles(rest, BINS - len(cuts))))
    return cuts[: BINS - 1]


def _quantiles(values: npt.NDArray[np.float64], parts: int) -> npt.NDArray[np.float64]:
    return np.quantile(values, np.arange(1, parts) / parts, method="lower")
