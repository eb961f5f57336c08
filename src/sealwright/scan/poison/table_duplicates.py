"""Floods of nearly one row: some cells changed in each copy, numbers moved. Labels are not read.

Rows that agree in a key (``table_keys``) and differ in few columns are neighbours; a chain of
neighbours less those that are far from what most of it holds is one group, and its size is
judged by this version's own smaller groups (``copies``). Exact copies count once.
Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Fact, Frame, Preview, Result, Scan, Spec
from sealwright.scan.poison import table_choice, table_groups
from sealwright.scan.poison.copies import SMALLEST, p_value
from sealwright.scan.poison.image_duplicates import NearCopies
from sealwright.scan.poison.table_keys import Key
from sealwright.scan.poison.table_places import MOST_COLUMNS, Places, Table, drawn, of_rows
from sealwright.scan.preview import lines_of

MOST_CELLS = 1 << 26
"""Beyond, a sample of the rows is looked at."""
LEAST = 3
"""Different rows: groups of fewer are what ``duplicates`` is there to see."""
MOST_GROUPS = 100
BURSTS = 2.0
"""Nature makes near copies in bursts (network traffic), with hardly a smaller group beside them:
p-values of ten to twenty such rows came out at 0.002 where chance was less than that."""


class TableDuplicates:
    """Makes the state of one scan."""

    spec = Spec(
        "table-duplicates",
        1,
        "table",
        "group",
        families=("near-flood",),
        threats=("AML.T0020",),
        passes=3,
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> NearRows:
        """An empty state; no reference is used."""
        return NearRows(frame)


class NearRows(NearCopies):
    """Pass 0 samples the columns, pass 1 codes each row, pass 2 takes one row of each flood."""

    name = "table-duplicates"
    thing = "rows"
    family = "near-flood"
    hashes = 1

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self.places = Places(frame)
        self.keys: list[Key] | None = None
        self.reach = 0
        self.shown: dict[int, tuple[str, ...]] = {}
        cells = frame.rows * max(1, min(MOST_COLUMNS, len(frame.columns)))
        self.share = min(1.0, MOST_CELLS / max(1, cells))

    def observe(self, number: int, batch: Batch) -> None:
        """Sample, code, then show."""
        if number == 0:
            self.places.observe(batch)
        elif number == 1:
            at = np.flatnonzero(drawn(batch.ids, self.frame.seed, self.share))
            self.unread += len(batch.ids) - len(at)
            self.store.append(batch.ids[at], batch.labels[at], self.places.coded(batch, at))
        else:
            first = [int(ids[0]) for ids, _, _ in self.groups]
            for row in np.flatnonzero(np.isin(batch.ids, first)):
                self.shown[int(batch.ids[row])] = lines_of(batch, int(row), self.frame)

    def merge(self, other: Self) -> None:
        """Join what was kept and shown."""
        super().merge(other)
        self.places.merge(other.places)
        self.shown |= other.shown

    def shard(self) -> NearRows:
        """An empty state that knows how cells are coded and which rows are to be shown."""
        new = NearRows(self.frame)
        new.places, new.groups = self.places, self.groups
        return new

    def settle(self, number: int) -> None:
        """After pass 0 the order of each column; after pass 1 the floods."""
        if number == 0:
            self.places.settle()
        if number != 1 or not len(self.store.ids()) or not self.places.columns:
            return
        bytes_of = np.concatenate(list(self.store.sliced()))
        order = np.argsort(self.store.ids(), kind="stable")
        ids, labels = self.store.ids()[order], self.store.labels()[order]
        self._settled(of_rows(bytes_of[order], len(self.places.columns)), ids, labels)

    def preview(self, at: int) -> Preview:
        """One of the rows."""
        return Preview(lines=self.shown.get(int(self.groups[at][0][0]), ()))

    def result(self) -> Result:
        """A group for each flood, how many near copies there are, and where none can be told."""
        said = super().result()
        if self.keys:
            return said
        message = "no few columns tell these rows apart: near copies cannot be told from nature"
        blind = Fact(
            f"{self.name}.not-searched", "low", message, {"columns": len(self.places.columns)}
        )
        return Result(facts=(blind,), unread=self.frame.rows)

    def _settled(
        self, table: Table, ids: npt.NDArray[np.int64], labels: npt.NDArray[np.int32]
    ) -> None:
        first, of_row = table_groups.distinct(table)
        table, copies = table.part(first), np.bincount(of_row)
        if self.keys is None:
            self.keys = table_choice.chosen(table, self.frame.seed)
            self.reach = table_groups.reach_of(table)
        root = table_groups.rooted(table, self.keys, self.reach)
        _, group, different = np.unique(root, return_inverse=True, return_counts=True)
        sizes = np.bincount(group, copies if table_groups.few(copies) else None).astype(np.int64)
        self.sizes = sizes[sizes > 1]
        for code in np.argsort(-sizes, kind="stable")[:MOST_GROUPS]:
            if different[code] < LEAST or sizes[code] < SMALLEST:
                continue
            core = group == code
            own = table_groups.adopted(table, core, int(sizes[code]))
            p = self._judged(sizes, int(code), group[own])
            if p <= self.frame.alpha:
                p = max(p, table_groups.crowded(table, own, self.keys, int(different[code])))
            if p <= self.frame.alpha:
                self.groups.append((ids[own[of_row]], labels[own[of_row]], p))

    def _judged(
        self, sizes: npt.NDArray[np.int64], code: int, of_own: npt.NDArray[np.int64]
    ) -> float:
        """Groups of the same flood's rows do not vouch for it."""
        others = np.setdiff1d(of_own, [code])
        rest: npt.NDArray[np.int64] = np.delete(sizes, others)
        return BURSTS * p_value(int(sizes[code]), rest[rest > 1], int(sizes.sum()))
