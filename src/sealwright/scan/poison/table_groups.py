"""Which rows of a table are nearly one, and whether nature is as dense where they lie."""

from __future__ import annotations

import numpy as np

from sealwright.scan.poison import table_keys
from sealwright.scan.poison.copies import SMALLEST
from sealwright.scan.poison.near import Mask, Rows, chained, tightened
from sealwright.scan.poison.table_choice import CHANGED
from sealwright.scan.poison.table_keys import Key
from sealwright.scan.poison.table_places import Table
from sealwright.scan.statistic import poisson_tail

REACH = 4
"""A copy differs from most of its group in a fourth of the columns that two rows differ in."""
PAIRS = 4_096
RARE = 0.01
FEW = 2
DENSER = 4.0
"""Columns depend on each other: so much denser may nature be than they tell one by one."""


def distinct(table: Table) -> tuple[Rows, Rows]:
    """The first of every record that is there, and (n,) which of them each row is."""
    whole = Key(tuple(range(table.codes.shape[1])), 0, (), 0).of(table)
    _, first, of_row = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place: Rows = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return first[order], place[of_row]


def few(copies: Rows) -> bool:
    """Are exact copies so rare by nature that each counts? (m,) rows of each record."""
    natural = copies[copies < SMALLEST]
    return float((natural - 1).sum()) <= RARE * len(copies)


def reach_of(table: Table) -> int:
    """In how many columns a copy may differ from most of its group: in none where there are few,
    but for numbers that are near."""
    one, two = np.random.default_rng(len(table)).integers(0, len(table), (2, PAIRS))
    reach = float(table.differing(one, two).mean()) / REACH
    return round(reach) if reach >= 1 else 0


def rooted(table: Table, keys: list[Key], reach: int) -> Rows:
    """(n,) the first row of each distinct row's group: a chain of near rows, less those that share
    no key with what most of it holds, or differ from that in more than ``reach`` columns."""
    candidate: Mask = np.zeros(len(table), np.bool_)
    for key in keys:
        candidate |= table_keys.shared(key.of(table))
    at = np.flatnonzero(candidate)
    some = table.part(at)

    def near(one: Rows, two: Rows) -> Mask:
        return np.asarray(some.differing(one, two) <= max(2 * CHANGED, reach))

    def around(own: Rows) -> Mask:
        part = some.part(own)
        middle = part.middle()
        caught: Mask = np.zeros(len(own), np.bool_)
        for key in keys:
            caught |= key.of(part) == key.of(middle)
        return np.asarray(caught & (part.unlike(middle).sum(1) <= reach))

    root: Rows = np.arange(len(table))
    bands = (key.of(some) for key in keys)
    root[at] = at[tightened(chained(np.arange(len(at)), bands, near), around)]
    return root


def adopted(table: Table, own: Mask, size: int) -> Mask:
    """The group of ``size`` and rows that differ from most of it in a cell or two: what varies by
    nature may have been changed as well. Of each pattern of change no more join than a flood
    would hold of it, and twice the group in all."""
    middle = table.part(own).middle()
    unlike = table.codes != middle.codes
    if np.median(unlike[own].sum(1)) > CHANGED:  # numbers were moved in all of them
        unlike = table.unlike(middle)
    at = np.flatnonzero(~own & (unlike.sum(1) <= CHANGED))
    kinds, pattern, counts = np.unique(unlike[at], axis=0, return_inverse=True, return_counts=True)
    cells = kinds.sum(1)
    order = np.lexsort((counts, cells))
    fits = counts <= FEW + 3 * size / np.maximum(1, unlike.shape[1]) ** cells
    fits[order] &= np.cumsum(np.where(fits, counts, 0)[order]) <= 2 * size
    out = own.copy()
    out[at[fits[pattern.ravel()]]] = True
    return out


def crowded(table: Table, own: Mask, keys: list[Key], rows: int) -> float:
    """That nature makes ``rows`` share a key with any one row where the group ``own`` lies."""
    usual = table_keys.expected(keys, table.part(~own), table.part(own).middle())
    return min(1.0, len(table) * poisson_tail(rows, DENSER * usual))
