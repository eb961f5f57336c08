"""Rows whose hashes are near: chains of them, and what of a chain lies around its middle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BANDS = 16
NEAR = 20
"""Of 256 bits."""
MOST_PAIRS = 64
"""Neighbours compared in one full band: linear time also where everything is a copy."""


def chained(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(n, 32) hashes → (n,) the first row of each row's chain of near ones."""
    root = np.arange(len(bits))
    for band in np.split(bits, BANDS, axis=1):
        key = np.ascontiguousarray(band).view(f"u{band.shape[1]}")[:, 0]
        order = np.argsort(key, kind="stable")
        for step in range(1, MOST_PAIRS + 1):
            one, two = order[:-step], order[step:]
            same = key[one] == key[two]
            if not same.any():
                break
            one, two = one[same], two[same]
            apart = np.bitwise_count(bits[one] ^ bits[two]).sum(1)
            joined_roots(root, one[apart <= NEAR], two[apart <= NEAR])
    return tops(root)


def tops(root: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(n,) the first row of each row's chain."""
    return np.array([_top(root, at) for at in range(len(root))], np.int64)


def tightened(bits: npt.NDArray[np.uint8], root: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Chains less the rows further than NEAR from the majority of their chain's bits."""
    out = root.copy()
    _, inverse, sizes = np.unique(root, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for at in np.flatnonzero(sizes > 2):
        own = order[starts[at] : starts[at] + sizes[at]]
        middle = np.packbits(np.unpackbits(bits[own], axis=1).mean(0) > 0.5)
        far = own[np.bitwise_count(bits[own] ^ middle).sum(1) > NEAR]
        near = np.setdiff1d(own, far)
        out[far] = far
        out[near] = near[0] if len(near) else 0
    return out


def joined_roots(
    root: npt.NDArray[np.int64], one: npt.NDArray[np.int64], two: npt.NDArray[np.int64]
) -> None:
    """Make each pair of rows one chain."""
    for left, right in zip(one.tolist(), two.tolist(), strict=True):
        a, b = _top(root, left), _top(root, right)
        root[max(a, b)] = min(a, b)


def _top(root: npt.NDArray[np.int64], at: int) -> int:
    while root[at] != at:
        root[at] = root[root[at]]
        at = int(root[at])
    return at
