"""Inputs to ask about, and the choice of those where a model says what no reference says.

Everything is made of the columns of ``rows`` (n, d): a value a column never takes is never
asked. Source of the idea: Godinot et al., QuRD (AAAI 2025); what is kept apart here are the
references that choose, and those that say how often others match.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]
Order: TypeAlias = npt.NDArray[np.int64]

SWAPPED = 0.3
"""Of the cells of a candidate near a row, so many come from other rows."""

MOST_AGREEING = 0.34
"""A point is never chosen where more of the choosing references say what the model says."""

_STAMPED = 0.15
_STAMPS = 16


class Candidates(msgspec.Struct, frozen=True):
    """Inputs (m, d), and the row each was made from first: two of one row are not independent."""

    inputs: Rows
    origin: Order

    def take(self, at: Order) -> Candidates:
        """Those at these places."""
        return Candidates(self.inputs[at], self.origin[at])


def natural(rows: Rows, rng: np.random.Generator, count: int, share: float = SWAPPED) -> Candidates:
    """Rows with some cells of other rows: near what the model was made for."""
    own, other = _rows(rows, rng, count), rng.integers(0, len(rows), (count, rows.shape[1]))
    swapped = rng.random((count, rows.shape[1])) < share
    cells = rows[other, np.arange(rows.shape[1])]
    return Candidates(np.where(swapped, cells, rows[own]), own)


def between(rows: Rows, codes: Codes, rng: np.random.Generator, count: int) -> Candidates:
    """Points on the way from a row to one of another class.

    A column of two values takes one of them; a column of whole numbers stays whole.
    """
    own = _rows(rows, rng, count)
    other = rng.permutation(len(rows))[_rows(rows, rng, count)]
    for _ in range(8):
        same = np.flatnonzero(codes[own] == codes[other])
        other[same] = rng.integers(0, len(rows), len(same))
    share = rng.uniform(0.35, 0.65, (count, 1))
    mixed = share * rows[own] + (1 - share) * rows[other]
    two, whole = _kinds(rows)
    mixed[:, whole] = np.round(mixed[:, whole])
    picked = np.where(rng.random((count, rows.shape[1])) < share, rows[own], rows[other])
    mixed[:, two] = picked[:, two]
    return Candidates(mixed, own)


def unstructured(rows: Rows, rng: np.random.Generator, count: int) -> Candidates:
    """Each cell from a row of its own: the columns' own values, and nothing that joins them."""
    at = rng.integers(0, len(rows), (count, rows.shape[1]))
    return Candidates(rows[at, np.arange(rows.shape[1])], at[:, 0])


def patterned(rows: Rows, rng: np.random.Generator, count: int) -> Candidates:
    """Rows that carry one of a few stamps: some columns at the largest value they take."""
    own = _rows(rows, rng, count)
    wide = np.flatnonzero(rows.max(axis=0) > rows.min(axis=0))
    size, highest = max(1, int(_STAMPED * len(wide))), rows.max(axis=0)
    inputs = rows[own].copy()
    for stamp in range(_STAMPS):
        columns = rng.choice(wide, size, replace=False)
        inputs[stamp::_STAMPS, columns] = highest[columns]
    return Candidates(inputs, own)


def choose(
    model: Codes, margin: npt.NDArray[np.float64], references: Codes, origin: Order, count: int
) -> Order:
    """Up to ``count`` candidates that tell ``model`` (m,) from ``references`` (r, m).

    The fewer references agree and the surer the model is (``margin`` 0 to 1), the earlier; one
    for each row that candidates were made from; never one that a third of the references share.
    """
    agreeing = (references == model).mean(axis=0)
    able = np.flatnonzero(agreeing <= MOST_AGREEING)
    order = able[np.argsort(agreeing[able] - 0.5 * margin[able], kind="stable")]
    _, first = np.unique(origin[order], return_index=True)
    return order[np.sort(first)][:count]


def _rows(rows: Rows, rng: np.random.Generator, count: int) -> Order:
    """Row numbers, each as often as another as far as that goes."""
    rounds = -(-count // len(rows))
    return np.concatenate([rng.permutation(len(rows)) for _ in range(rounds)])[:count]


def _kinds(rows: Rows) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    low, high = rows.min(axis=0), rows.max(axis=0)
    two = ((rows == low) | (rows == high)).all(axis=0)
    return two, (rows == np.round(rows)).all(axis=0)
