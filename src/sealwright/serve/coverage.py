"""Coverage: which cells of the model's own feature space a caller has touched.

Twelve secret random hyperplanes cut the whitened feature space into 4,096 cells (locality-sensitive
hashing: Charikar 2002; as a cost of queries: Dubiński et al. 2023, B4B). A bitmap of cells merges
over linked accounts by union. Of the units measured it follows what a thief has stolen best:
docs/spec/monitors-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.serve.interface import CELL_BITS

CELLS = 1 << CELL_BITS
EMPTY = bytes(CELLS // 8)
"""A bitmap of which no cell is touched."""

FEWEST = 50
"""Rows that a frame is fitted from, at least."""

COMPONENTS = 32
"""Principal components that are whitened, at most; what lies beyond them moves no row to
another cell."""

_MOST = 2_000
_LEAST_SHARE = 1e-3


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How features become cells: ``planes`` (12, width), ``cuts`` (12,), little-endian float32.

    Who knows them can ask without touching new cells: they stay with the guard.
    """

    width: int
    rows: int
    planes: bytes
    cuts: bytes

    @classmethod
    def fit(cls, features: npt.ArrayLike, seed: int) -> Frame:
        """From reference rows (n, d): training data's, or the first traffic where there is none.

        ``seed`` is drawn at random for each deployment. Raises: BadInput (too few rows).
        """
        rows = finite(features)
        if len(rows) < FEWEST:
            raise BadInput(
                f"{len(rows)} rows are too few to fit coverage from",
                why=f"at least {FEWEST} reference rows with features",
            )
        rng = np.random.default_rng(seed)
        if len(rows) > _MOST:
            rows = rows[rng.choice(len(rows), _MOST, replace=False)]
        basis = whitening(rows)
        planes = rng.normal(size=(CELL_BITS, len(basis))) @ basis
        cuts = np.median(rows @ planes.T, axis=0)
        return cls(rows.shape[1], len(rows), _packed(planes), _packed(cuts))

    def cells(self, features: npt.ArrayLike) -> tuple[int, ...]:
        """The cell, 0 to 4,095, of each of (n, d) rows. Raises: BadInput (another width)."""
        rows = finite(features)
        if rows.shape[1] != self.width:
            raise BadInput(
                f"features of {rows.shape[1]} numbers cannot be placed",
                why=f"this model's coverage was fitted on {self.width}",
            )
        planes = np.frombuffer(self.planes, "<f4").reshape(CELL_BITS, self.width)
        above = rows @ planes.T.astype(np.float64) > np.frombuffer(self.cuts, "<f4")
        return tuple((above @ (1 << np.arange(CELL_BITS))).tolist())


def marked(bitmap: bytes, cells: Iterable[int]) -> bytes:
    """The bitmap with those cells touched."""
    out = bytearray(bitmap)
    for cell in cells:
        out[cell >> 3] |= 1 << (cell & 7)
    return bytes(out)


def union(*bitmaps: bytes) -> bytes:
    """What accounts have touched together."""
    whole = 0
    for bitmap in bitmaps:
        whole |= int.from_bytes(bitmap, "little")
    return whole.to_bytes(len(EMPTY), "little")


def count(bitmap: bytes) -> int:
    """How many cells are touched."""
    return int.from_bytes(bitmap, "little").bit_count()


def finite(features: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(n, d) as float64; what is not a finite number is 0, so that no row is without a cell."""
    rows = np.asarray(features, np.float64)
    rows = rows.reshape(len(rows), -1) if rows.ndim else rows.reshape(1, 1)
    return np.nan_to_num(np.clip(rows, -1e30, 1e30), nan=0.0)


def whitening(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(k, d): the leading components, each divided by its standard deviation."""
    _, sizes, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    spread = sizes / np.sqrt(max(1, len(rows) - 1))
    kept = int(np.sum(spread > _LEAST_SHARE * max(spread[0], 1e-12)))
    kept = max(1, min(COMPONENTS, kept))
    whitened: npt.NDArray[np.float64] = axes[:kept] / np.maximum(spread[:kept, None], 1e-12)
    return whitened


def _packed(values: npt.NDArray[np.float64]) -> bytes:
    packed: bytes = values.astype("<f4").tobytes()
    return packed
