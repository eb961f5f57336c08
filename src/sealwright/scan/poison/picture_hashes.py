"""Hashes of pictures that still agree where a copy was moved a little.

The signs of a picture's detail at 16x16, of its inside as it lies and as it lies when the picture
is moved by a pixel of 32 in each of eight directions: an edge that comes in, or leaves, is not in
it. In sixteen bands of 16 bits; what shares none is not compared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.image_features import blurred, resized
from sealwright.scan.poison.near import BANDS, MOST_PAIRS, joined_roots, tops

SIDE = 16
BYTES = SIDE * SIDE // 8
MOVES = ((1, 1), (0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2))
"""Where the inside begins, in steps; the first is the middle."""
NEAR = 16
"""Of 256 bits. Unlike photographs of one class differ in about 128; one picture brightened,
encoded anew or moved by a pixel of 32 in fewer than 12 mostly."""
COARSE = 2.0
"""Pixels of 16x16: smooth gradients, which many photographs share, fall away."""
FLAT = 1.0
"""Mean detail (of 255) below which an image shows nothing to compare."""
ANCHORS = 32
"""Rows of a chain that are tried as its middle."""


def hashed(
    images: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """(n, h, w, 3) → (n, 288) nine packed hashes, and (n,) whether there was anything to hash."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    grey = blurred(images.astype(np.float32) @ weights, 1.0)
    height, width = grey.shape[1:]
    step = max(1, round(min(height, width) / 32))
    hashes = list[npt.NDArray[np.uint8]]()
    shows: npt.NDArray[np.bool_] = np.empty(0, np.bool_)
    for down, right in MOVES:
        rows = slice(down * step, height - (2 - down) * step)
        columns = slice(right * step, width - (2 - right) * step)
        inside = resized(grey[:, rows, columns], (SIDE, SIDE))
        detail = (inside - blurred(inside, COARSE)).reshape(len(images), -1)
        hashes.append(np.packbits(detail > 0, axis=1))
        if len(hashes) == 1:
            shows = np.abs(detail).mean(1) > FLAT
    return np.concatenate(hashes, axis=1), shows


def chained(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(n, 288) → (n,) the first row of each row's chain of near ones."""
    root = np.arange(len(rows))
    flat = rows.reshape(-1, BYTES)
    row: npt.NDArray[np.int64] = np.repeat(root.copy(), len(MOVES))
    middle = np.tile(np.arange(len(MOVES)) == 0, len(rows))
    for band in np.split(flat, BANDS, axis=1):
        key = np.ascontiguousarray(band).view(f"u{band.shape[1]}")[:, 0]
        order = np.argsort(key, kind="stable")
        for step in range(1, MOST_PAIRS + 1):
            one, two = order[:-step], order[step:]
            same = key[one] == key[two]
            if not same.any():
                break
            meet = same & (row[one] != row[two]) & (middle[one] | middle[two])
            one, two = one[meet], two[meet]
            near = np.bitwise_count(flat[one] ^ flat[two]).sum(1) <= NEAR
            joined_roots(root, row[one[near]], row[two[near]])
    return tops(root)


def tightened(rows: npt.NDArray[np.uint8], root: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Chains less the rows further than NEAR from the one that most of their chain is near to."""
    out, hashes = root.copy(), rows.reshape(len(rows), len(MOVES), BYTES)
    _, inverse, sizes = np.unique(root, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for at in np.flatnonzero(sizes > 2):
        own = order[starts[at] : starts[at] + sizes[at]]
        tried = own[:: max(1, len(own) // ANCHORS)]
        around = [_near(hashes, own, anchor) for anchor in tried]
        kept = max(around, key=lambda one: int(one.sum()))
        out[own[~kept]] = own[~kept]
        out[own[kept]] = own[kept][0]
    return out


def _near(
    hashes: npt.NDArray[np.uint8], own: npt.NDArray[np.int64], anchor: int
) -> npt.NDArray[np.bool_]:
    """(len(own),) which rows have a hash within NEAR of the anchor's middle one."""
    middle = hashes[anchor, 0]
    least = np.full(len(own), 8 * BYTES)
    for move in range(len(MOVES)):
        apart = np.bitwise_count(hashes[own, move] ^ middle).sum(1)
        least = np.minimum(least, apart)
    return np.asarray(least <= NEAR)
