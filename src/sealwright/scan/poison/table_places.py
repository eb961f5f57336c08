"""Rows of a table as compact codes: a hash of every cell, and of a number its place in its column.

A place is the middle rank among a sample of the column, 0 to 254, so that equal numbers have
one and numbers that differ slightly have near ones; 255 is missing.
"""

from __future__ import annotations

from typing import Any, Self, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan import hashing
from sealwright.scan.interface import Batch, Column, Frame
from sealwright.scan.poison.near import usual
from sealwright.scan.sample import ranks_of

SAMPLED = 8_192
MOST_COLUMNS = 64
"""The columns whose cells differ most; the others say little about which record it is."""
LAST = 254
MISSING = 255
NEAR = 5
"""Places that are no further apart count as equal: a fiftieth of the rows lies between them."""

Numbers: TypeAlias = npt.NDArray[np.float64]


class Table(msgspec.Struct, frozen=True):
    """``codes`` (n, c) uint32, and ``places`` (n, q) uint8 of the first q columns, the numbers."""

    codes: npt.NDArray[np.uint32]
    places: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, at: npt.NDArray[Any]) -> Table:
        """Some rows."""
        return Table(self.codes[at], self.places[at])

    def differing(self, one: npt.NDArray[Any], two: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """(len(one),) in how many columns row ``one`` and row ``two`` differ."""
        return _unlike(self.part(one), self.part(two)).sum(1)

    def middle(self) -> Table:
        """One row: what most of them hold, in the middle place of each number."""
        places = np.median(self.places, axis=0).astype(np.uint8)
        return Table(usual(self.codes)[None], places[None])

    def unlike(self, middle: Table) -> npt.NDArray[np.bool_]:
        """(n, c) where the rows differ from one row."""
        return _unlike(self, middle)


def drawn(ids: npt.NDArray[np.int64], seed: int, share: float) -> npt.NDArray[np.bool_]:
    """(n,) which records are of a sample that does not depend on how they come."""
    return np.asarray(ranks_of(ids, seed).astype(np.float64) <= share * 2.0**64)


def of_rows(rows: npt.NDArray[np.uint8], columns: int) -> Table:
    """(n, 4 columns + numbers) bytes, as ``Places.coded`` makes them."""
    codes = np.ascontiguousarray(rows[:, : 4 * columns]).view(np.uint32)
    return Table(codes, np.ascontiguousarray(rows[:, 4 * columns :]))


class Places:
    """Pass 0 keeps a sample; settled, it codes rows: numbers first, then all other columns."""

    def __init__(self, frame: Frame) -> None:
        self.seed = frame.seed
        self.share = SAMPLED / max(1, frame.rows)
        types = ("number", "time"), ("category", "text")
        self.columns = [c for some in types for c in frame.columns if c.type in some]
        self.held: dict[str, list[npt.NDArray[Any]]] = {c.name: [] for c in self.columns}
        self.sorted: dict[str, Numbers] = {}

    @property
    def numbers(self) -> list[Column]:
        """The columns that have places."""
        return [c for c in self.columns if c.type in ("number", "time")]

    def observe(self, batch: Batch) -> None:
        """Keep some rows' cells, the same whatever the batches."""
        at = np.flatnonzero(drawn(batch.ids, self.seed, self.share))
        for column in self.columns:
            self.held[column.name].append(batch.values[column.name][at])

    def merge(self, other: Self) -> None:
        """Join the samples."""
        for name, held in other.held.items():
            self.held[name] += held

    def settle(self) -> None:
        """Sort what was kept; columns of one value are left out, and beyond MOST_COLUMNS those
        that differ least."""
        differs: dict[str, float] = {}
        for column in self.columns:
            cells = np.concatenate([np.empty(0, object), *self.held[column.name]])
            if column.type in ("number", "time"):
                cells = cells.astype(np.float64)
                self.sorted[column.name] = np.sort(cells[~np.isnan(cells)])
            _, counts = np.unique(hashing.of_column(cells, column), return_counts=True)
            differs[column.name] = 1 - float(np.sum((counts / max(1, len(cells))) ** 2))
        self.held = {}
        most = sorted(differs.values(), reverse=True)[:MOST_COLUMNS]
        least = most[-1] if most else 0.0
        self.columns = [c for c in self.columns if differs[c.name] > 0 and differs[c.name] >= least]
        self.columns = self.columns[:MOST_COLUMNS]

    def coded(self, batch: Batch, at: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """(len(at), 4 columns + numbers) bytes of some rows."""
        codes: npt.NDArray[np.uint32] = np.empty((len(at), len(self.columns)), np.uint32)
        places: npt.NDArray[np.uint8] = np.empty((len(at), len(self.numbers)), np.uint8)
        for number, column in enumerate(self.columns):
            cells = batch.values[column.name][at]
            codes[:, number] = hashing.of_column(cells, column) >> np.uint64(32)
        for number, column in enumerate(self.numbers):
            places[:, number] = _placed(batch.values[column.name][at], self.sorted[column.name])
        return np.hstack([codes.view(np.uint8).reshape(len(at), 4 * len(self.columns)), places])


def _placed(cells: npt.NDArray[Any], known: Numbers) -> npt.NDArray[np.uint8]:
    values = np.asarray(cells, np.float64)
    sides = [np.searchsorted(known, values, side) for side in ("left", "right")]
    place = LAST * (sides[0] + sides[1]) / (2 * max(1, len(known)))
    return np.where(np.isnan(values), MISSING, place.astype(np.uint8)).astype(np.uint8)


def _unlike(one: Table, two: Table) -> npt.NDArray[np.bool_]:
    unlike = one.codes != two.codes
    apart = np.maximum(one.places, two.places) - np.minimum(one.places, two.places)
    unlike[:, : apart.shape[1]] &= apart > NEAR
    return np.asarray(unlike)
