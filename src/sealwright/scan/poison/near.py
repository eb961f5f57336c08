"""Rows whose hashes are near: chains of them, and what of a chain lies around its middle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

MOST_PAIRS = 64
"""Neighbours compared in one full band: linear time also where everything is a copy."""


def chained(
    owner: Rows, bands: Iterable[npt.NDArray[Any]], near: Callable[[Rows, Rows], Mask]
) -> Rows:
    """The first row of each row's chain. ``owner`` (m,) is the row of each hash, from 0.

    Hashes that share a key of one of the ``bands`` (each (m,)) are neighbours where ``near`` says
    so of their places.
    """
    root: Rows = np.arange(owner[-1] + 1 if len(owner) else 0)
    for key in bands:
        order = np.argsort(key, kind="stable")
        for step in range(1, MOST_PAIRS + 1):
            one, two = order[:-step], order[step:]
            same = key[one] == key[two]
            if not same.any():
                break
            one, two = one[same], two[same]
            close = near(one, two)
            _join(root, owner[one[close]], owner[two[close]])
    return np.array([_top(root, at) for at in range(len(root))], np.int64)


def tightened(root: Rows, around: Callable[[Rows], Mask]) -> Rows:
    """Chains of three and more less the rows of which ``around`` says that they lie too far out;
    each of those is alone."""
    out = root.copy()
    order = np.argsort(root, kind="stable")
    starts: Rows = 1 + np.flatnonzero(np.diff(root[order]))
    for own in np.split(order, starts):
        if len(own) < 3:
            continue
        kept = around(own)
        out[own[~kept]] = own[~kept]
        if kept.any():
            out[own[kept]] = own[kept].min()
    return out


def usual(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n, d) → (d,) the most frequent of each column; the smallest of equals."""
    out = np.empty(rows.shape[1], rows.dtype)
    for at, column in enumerate(rows.T):
        values, counts = np.unique(column, return_counts=True)
        out[at] = values[int(counts.argmax())]
    return out


def bands_of(hashes: npt.NDArray[np.uint8], count: int) -> Iterator[npt.NDArray[Any]]:
    """(m, bytes) → ``count`` times (m,): each hash's part as one number."""
    for band in np.split(hashes, count, axis=1):
        yield np.ascontiguousarray(band).view(f"u{band.shape[1]}")[:, 0]


def differing(one: npt.NDArray[np.uint8], two: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """How many bits of packed hashes differ, along the last axis."""
    return np.asarray(np.bitwise_count(one ^ two).sum(-1), np.int64)


def _join(root: Rows, one: Rows, two: Rows) -> None:
    for left, right in zip(one.tolist(), two.tolist(), strict=True):
        a, b = _top(root, left), _top(root, right)
        root[max(a, b)] = min(a, b)


def _top(root: Rows, at: int) -> int:
    while root[at] != at:
        root[at] = root[root[at]]
        at = int(root[at])
    return at
