"""Few columns that tell the records of a table apart: near copies agree in them, others do not.

A near copy is caught by every key that holds none of its changed cells.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan import hashing
from sealwright.scan.poison.copies import p_value
from sealwright.scan.poison.table_places import Table

TOLD = 2.5e-4
"""A key is of use where nature makes a group of the size looked for so seldom (``copies``)."""
FLOODS = 8
"""So many groups of half that size and more, of half of the rows, are not taken for nature."""

Keys: TypeAlias = npt.NDArray[np.uint64]


class Key(msgspec.Struct, frozen=True):
    """Some columns. Where there is a ``width``, numbers are read by a grid of so many places,
    which each column's offset moves."""

    columns: tuple[int, ...]
    width: int
    offsets: tuple[int, ...]
    seed: int

    def of(self, table: Table) -> Keys:
        """(n,) one number for what each row holds in these columns."""
        total: Keys = np.full(len(table), self.seed, np.uint64)
        for column in self.columns:
            total = hashing.mix(total * np.uint64(31) + self._cells(table, column))
        return total

    def unlike(self, table: Table, middle: Table) -> npt.NDArray[np.bool_]:
        """(n, columns) where the rows do not hold what one row does."""
        each = [self._cells(table, one) != self._cells(middle, one) for one in self.columns]
        return np.stack(each, axis=1)

    def _cells(self, table: Table, column: int) -> Keys:
        if self.width and column < table.places.shape[1]:
            moved = table.places[:, column].astype(np.uint64) + np.uint64(self.offsets[column])
            return moved // np.uint64(self.width)
        return table.codes[:, column].astype(np.uint64)


def shared(keys: Keys) -> npt.NDArray[np.bool_]:
    """(n,) whose key another row has too."""
    order = np.argsort(keys)
    same = keys[order][1:] == keys[order][:-1]
    out: npt.NDArray[np.bool_] = np.zeros(len(keys), np.bool_)
    out[order[1:][same]] = out[order[:-1][same]] = True
    return out


def tells_apart(keys: Keys, size: int) -> bool:
    """Is a group of ``size`` that has one key beyond what nature makes of these rows?"""
    ordered = np.sort(keys)
    starts: npt.NDArray[np.int64] = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes: npt.NDArray[np.int64] = np.diff(np.append(starts, len(ordered)))
    several = sizes[sizes > 1]
    large = several[several >= size / 2]
    few = len(large) <= FLOODS and large.sum() <= len(keys) / 2
    return bool(few) and p_value(size, several, len(keys)) <= TOLD


def expected(keys: list[Key], table: Table, middle: Table) -> float:
    """How many rows share a key with ``middle`` by nature, by those that miss one by a column.

    ``table`` is all rows but the group. Were columns independent, of a key's rows that agree in all
    columns but one at most, a share that each column's own frequencies give misses that one.
    """
    total = 0.0
    for key in keys if len(table) else ():
        unlike = key.unlike(table, middle)
        share = unlike.mean(0)
        if share.max() < 1:
            missing = int((unlike.sum(1) == 1).sum())
            total += missing / max(1e-9, float((share / (1 - share)).sum()))
    return total
