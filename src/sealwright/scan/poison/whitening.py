"""Makes vectors comparable: pooled covariance out, outlying numbers clipped, one length."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

RIDGE = 0.1
"""Added to every eigenvalue, as a share of their mean: keeps what a codec erased erased."""
CLIP = 3.0

Floats: TypeAlias = npt.NDArray[np.float32]


class Moments(msgspec.Struct):
    """Mergeable count, sum and scatter of (n, d) vectors."""

    count: int
    total: npt.NDArray[np.float64]
    scatter: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, width: int) -> Moments:
        """Of nothing."""
        return cls(0, np.zeros(width), np.zeros((width, width)))

    def add(self, rows: Floats) -> None:
        """Take in (n, d)."""
        self.count += len(rows)
        self.total += rows.sum(0, dtype=np.float64)
        self.scatter += rows.T @ rows

    def merge(self, other: Moments) -> None:
        """Take in what another saw."""
        self.count += other.count
        self.total += other.total
        self.scatter += other.scatter


class Whitener(msgspec.Struct, frozen=True):
    """``mean`` (d,) and ``matrix`` (d, d), symmetric."""

    mean: Floats
    matrix: Floats

    def __call__(self, rows: npt.NDArray[np.generic]) -> Floats:
        """(n, d) → (n, d) float32, each of length √d (or 0)."""
        plain = (rows.astype(np.float32) - self.mean) @ self.matrix
        np.clip(plain, -CLIP, CLIP, out=plain)
        length = np.linalg.norm(plain, axis=1, keepdims=True)
        plain *= np.sqrt(np.float32(plain.shape[1])) / np.maximum(length, np.float32(1e-6))
        return plain


def whitener(seen: Moments, ridge: float = RIDGE) -> Whitener:
    """From the pooled covariance. A constant version gives zeros, never a NaN."""
    count = max(1, seen.count)
    mean = seen.total / count
    cover = seen.scatter / count - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(cover)
    values = np.maximum(values, 0.0)
    floor = ridge * values.mean()
    if floor <= 0:
        return Whitener(mean.astype(np.float32), np.zeros(cover.shape, np.float32))
    matrix = (vectors / np.sqrt(values + floor)) @ vectors.T
    return Whitener(mean.astype(np.float32), matrix.astype(np.float32))
