"""Hashes of pictures that still agree where a copy was moved a little.

The signs of a picture's detail at 16x16, of its inside as it lies and as it lies when the picture
is moved by a pixel of 32 in each of eight directions: an edge that comes in, or leaves, is not in
it. In sixteen bands of 16 bits; what shares none is not compared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.image_features import blurred, resized
from sealwright.scan.poison.near import Mask, Rows, bands_of, chained, differing, tightened

SIDE, BANDS = 16, 16
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


def rooted(rows: npt.NDArray[np.uint8]) -> Rows:
    """(n, 288) → (n,) the first row of each row's group: a chain of near pictures, less those
    further than NEAR from the one that most of their chain is near to."""
    hashes = rows.reshape(-1, BYTES)
    owner: Rows = np.repeat(np.arange(len(rows)), len(MOVES))
    middle = np.tile(np.arange(len(MOVES)) == 0, len(rows))

    def near(one: Rows, two: Rows) -> Mask:
        meet = (owner[one] != owner[two]) & (middle[one] | middle[two])
        meet[meet] = differing(hashes[one[meet]], hashes[two[meet]]) <= NEAR
        return meet

    of_row = hashes.reshape(len(rows), len(MOVES), BYTES)

    def around(own: Rows) -> Mask:
        tried = own[:: max(1, len(own) // ANCHORS)]
        return max((_near(of_row, own, anchor) for anchor in tried), key=np.count_nonzero)

    return tightened(chained(owner, bands_of(hashes, BANDS), near), around)


def _near(hashes: npt.NDArray[np.uint8], own: Rows, anchor: int) -> Mask:
    """(len(own),) which rows have a hash within NEAR of the anchor's middle one."""
    least = np.full(len(own), 8 * BYTES)
    for move in range(len(MOVES)):
        least = np.minimum(least, differing(hashes[own, move], hashes[anchor, 0]))
    return np.asarray(least <= NEAR)
