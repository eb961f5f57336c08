"""Which keys to look by: columns in random order, as few as tell this version's records apart.

Those that nature makes groups by are needed in every key, and what an attacker changes in them is
not caught; all others are left out by some. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.table_keys import Key, tells_apart
from sealwright.scan.poison.table_places import Table

EXACT, GRIDS = 24, 8
"""Keys of equal cells, and of numbers in the same part of their column, for numbers that are
moved a little."""
WIDTHS = (16, 8, 4, 2)
"""Places in one part of a grid, the coarsest first that still tells records apart."""
SIZES = (12, 20, 32, 50, 80, 128, 200, 320, 500)
"""How large a group is to be told from nature: the smaller, the more columns a key needs."""
CAUGHT = 0.3
"""Share of the copies with two changed cells that keys should catch."""
CHOSEN_FROM = 1 << 16
"""Keys are made for so many rows; of more, columns are added until they fit all."""
CHANGED = 2
"""Cells in which a copy may differ from most of its flood, however little that is."""
FLOODED = 0.01
"""A flood of so many rows is set aside while keys are chosen: its copies agree in every key."""
TRIES = 16


def chosen(table: Table, seed: int) -> list[Key]:
    """Keys that tell groups of distinct rows from nature, each of which leaves out a column at
    least: for the smallest of SIZES of which they catch CAUGHT, or else the most."""
    table = _without_floods(table, seed)
    step = max(1, -(-len(table) // CHOSEN_FROM))
    best: tuple[float, list[Key]] = (0.0, [])
    for size in SIZES if step == 1 else SIZES[::3]:
        made = _of_size(table.part(np.arange(0, len(table), step)), seed, size)
        if step > 1:
            made = _larger(made, table, size)
        caught = _caught(made, table.codes.shape[1])
        best = max(best, (caught, made), key=lambda one: one[0])
        if caught >= CAUGHT:
            break
    return best[1]


def _without_floods(table: Table, seed: int) -> Table:
    """Less the rows around a row that far more lie near to than a little further out."""
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        some = table.part(np.arange(0, len(table), max(1, -(-len(table) // CHOSEN_FROM))))
        half = rng.permutation(some.codes.shape[1])[: some.codes.shape[1] // 2]
        made = Key(tuple(int(x) for x in half), 0, (), seed).of(some)
        _, group, sizes = np.unique(made, return_inverse=True, return_counts=True)
        middle = some.part(group == sizes.argmax()).middle()
        far = (table.codes != middle.codes).sum(1)
        near, around = (np.count_nonzero(far <= cells) for cells in (CHANGED, 2 * CHANGED))
        if max(FLOODED * len(table), around / 2) <= near <= len(table) / 2:
            table = table.part(far > 2 * CHANGED)
    return table


def _of_size(table: Table, seed: int, size: int) -> list[Key]:
    made = _drawn(table, size, np.random.default_rng(seed))
    return list({(key.columns, key.width): key for key in made}.values())


def _larger(keys: list[Key], table: Table, size: int) -> list[Key]:
    """Keys that were made for a sample, with as many more columns as all rows need."""
    out = []
    for key in keys:
        order = np.random.default_rng(key.seed).permutation(table.codes.shape[1])
        missing = [int(x) for x in order if x not in key.columns]
        while missing and not tells_apart(key.of(table), size):
            key = msgspec.structs.replace(key, columns=(*key.columns, missing.pop()))
        if missing:
            out.append(key)
    return out


def _caught(keys: list[Key], columns: int) -> float:
    """The share of pairs of columns that a key is without: copies with both changed are caught."""
    holds: npt.NDArray[np.bool_] = np.zeros((columns, len(keys)), np.bool_)
    for at, key in enumerate(keys):
        holds[list(key.columns), at] = True
    free = ~holds
    both = (free[:, None] & free[None]).any(2)
    return float(both[np.triu_indices(columns)].mean()) if columns else 0.0


def _drawn(table: Table, size: int, rng: np.random.Generator) -> Iterator[Key]:
    count, numbers = table.codes.shape[1], table.places.shape[1]
    every = tuple(range(count))
    for number in range(EXACT + GRIDS if numbers else EXACT):
        seed = int(rng.integers(2**63))
        offsets = tuple(int(x) for x in rng.integers(0, max(WIDTHS), count))
        order = [int(x) for x in rng.permutation(count)]
        for width in (0,) if number < EXACT else WIDTHS:
            key = Key(every, width, offsets, seed)
            if tells_apart(key.of(table), size):
                key = _smaller(key, table, size, order)
                if len(key.columns) <= (0.75 * count if width else count - 1):
                    yield key
                break


def _smaller(key: Key, table: Table, size: int, order: list[int]) -> Key:
    for column in order:
        left = tuple(x for x in key.columns if x != column)
        less = msgspec.structs.replace(key, columns=left)
        if left and tells_apart(less.of(table), size):
            key = less
    return key
