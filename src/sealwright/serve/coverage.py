"""Coverage: which cells of the model's own feature space a caller has touched.

A cell is what lies nearest to one of at most 1,024 reference rows (Voronoi), in whitened feature
space; which rows is secret. Cells are small where honest traffic is dense, and what is asked where
nobody ever is falls into few. Charged as by Dubiński et al. 2023 (B4B), who cut the space by
hyperplanes. A bitmap of cells merges over linked accounts by union. What the unit follows is
measured: docs/spec/monitors-v1.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

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
_FAR = 1e12
_HUGE = 1e150


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How features become cells: ``axes`` (k, width) and their ``origin`` (k,), little-endian
    float64; ``sites`` (s, k) float32, one for each cell.

    Who knows the sites can ask without touching new cells: they stay with the guard.
    """

    width: int
    rows: int
    axes: bytes
    origin: bytes
    sites: bytes

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
        rows = rows[rng.permutation(len(rows))[:_MOST]]
        axes = whitening(rows)
        origin = axes @ rows.mean(axis=0)
        sites = _placed(rows[:CELLS], axes, origin)
        return cls(
            rows.shape[1],
            len(rows),
            axes.astype("<f8").tobytes(),
            origin.astype("<f8").tobytes(),
            sites.astype("<f4").tobytes(),
        )

    def cells(self, features: npt.ArrayLike) -> tuple[int, ...]:
        """The cell, 0 to 1,023, of each of (n, d) rows. Raises: BadInput (another width)."""
        rows = np.asarray(features, np.float64)
        if rows.ndim != 2:
            rows = _numbers(rows)
        if rows.shape[1] != self.width:
            raise BadInput(
                f"features of {rows.shape[1]} numbers cannot be placed",
                why=f"this model's coverage was fitted on {self.width}",
            )
        space = _space(self)
        # nothing overflows on the way of one row; what is no number takes that of many
        if len(rows) == 1 and math.hypot(*rows[0].tolist()) <= _HUGE:
            placed = space.axes.dot(rows[0]) - space.origin
            # so does a length beyond what is clipped
            if math.hypot(*placed.tolist()) <= _FAR:
                nearness = space.sites.dot(placed.astype(np.float32))
                nearness -= space.half
                return (int(nearness.argmax()),)
        nearness = _placed(_tamed(rows), space.axes, space.origin) @ space.sites.T - space.half
        return tuple(nearness.argmax(axis=1).tolist())


class _Space(NamedTuple):
    """A frame as arrays: ``half`` (s,) is half of each site's squared length."""

    axes: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    sites: npt.NDArray[np.float32]
    half: npt.NDArray[np.float32]


@lru_cache(maxsize=16)
def _space(frame: Frame) -> _Space:
    origin = np.frombuffer(frame.origin, "<f8")
    sites = np.frombuffer(frame.sites, "<f4").reshape(-1, len(origin))
    axes = np.frombuffer(frame.axes, "<f8").reshape(len(origin), frame.width)
    return _Space(axes, origin, sites, (sites**2).sum(axis=1) / 2)


def _placed(
    rows: npt.NDArray[np.float64], axes: npt.NDArray[np.float64], origin: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """(n, k) where rows lie among the sites."""
    return np.clip(rows @ axes.T - origin, -_FAR, _FAR).astype(np.float32)


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
    return _tamed(_numbers(features))


def _numbers(features: npt.ArrayLike) -> npt.NDArray[np.float64]:
    rows = np.asarray(features, np.float64)
    if rows.ndim == 2:
        return rows
    return rows.reshape(len(rows), -1) if rows.ndim else rows.reshape(1, 1)


def _tamed(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.nan_to_num(np.clip(rows, -1e30, 1e30), nan=0.0)


def whitening(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(k, d): the leading components, each divided by its standard deviation."""
    _, sizes, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    spread = sizes / np.sqrt(max(1, len(rows) - 1))
    kept = int(np.sum(spread > _LEAST_SHARE * max(spread[0], 1e-12)))
    kept = max(1, min(COMPONENTS, kept))
    whitened: npt.NDArray[np.float64] = axes[:kept] / np.maximum(spread[:kept, None], 1e-12)
    return whitened
