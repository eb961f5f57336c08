"""Small windows of images, on one scale: what a window shows beside its own mean, whitened.

A window of 2x2 or 3x3 pixels less its mean holds no content but edges. Whitened by the version's
own windows, an edge as nature has them is short and a patch is long, whatever the codec left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

RIDGE = 0.05
"""Of the mean eigenvalue: what a codec erased stays erased."""
PLACES = 60
"""Windows' places that the covariance is taken from."""

Floats: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]


class Lens(msgspec.Struct, frozen=True):
    """``matrix`` (size*size*3, d) whitens the windows of one size."""

    size: int
    matrix: Floats

    def columns(self, images: Pixels, row: int) -> Iterator[tuple[int, Floats]]:
        """(n, h, w, 3) → each column and the (n, d) windows there, their top at ``row``."""
        planes = _planes(images[:, row : row + self.size])
        for column in range(images.shape[2] - self.size + 1):
            yield column, _centred(planes, column, self.size) @ self.matrix

    def place(self, images: Pixels, row: int, column: int) -> Floats:
        """(n, d): the windows at one place."""
        planes = _planes(images[:, row : row + self.size, column : column + self.size])
        return np.asarray(_centred(planes, 0, self.size) @ self.matrix)

    def places(self, images: Pixels) -> Iterator[tuple[tuple[int, int], Floats]]:
        """Every (row, column) of a window and the (n, d) windows there."""
        for row in range(images.shape[1] - self.size + 1):
            for column, windows in self.columns(images, row):
                yield (row, column), windows


def lens(images: Pixels, size: int, rng: np.random.Generator) -> Lens:
    """Whitens windows of ``size`` by the covariance of these images' own."""
    width = size * size * 3
    cover, seen = np.zeros((width, width)), 0
    for _ in range(PLACES):
        row = int(rng.integers(images.shape[1] - size + 1))
        column = int(rng.integers(images.shape[2] - size + 1))
        windows = _centred(_planes(images[:, row : row + size]), column, size)
        cover += windows.T @ windows
        seen += len(windows)
    values, vectors = np.linalg.eigh(cover / max(1, seen))
    kept = values > max(1e-6, values.max() * 1e-6)
    if not kept.any():
        return Lens(size, np.zeros((width, 1), np.float32))
    values, vectors = values[kept], vectors[:, kept]
    return Lens(size, (vectors / np.sqrt(values + RIDGE * values.mean())).astype(np.float32))


def units(windows: Floats) -> tuple[Floats, Floats]:
    """(n, d) → each at length 1 (0 stays 0), and the squared lengths (n,)."""
    long = np.einsum("ij,ij->i", windows, windows)
    return windows / np.sqrt(np.maximum(long, np.float32(1e-9)))[:, None], long


def _planes(images: Pixels) -> Floats:
    """Luminance and the two chroma planes."""
    red, green, blue = (images[..., at].astype(np.float32) for at in range(3))
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([light, 0.564 * (blue - light), 0.713 * (red - light)], -1)


def _centred(planes: Floats, column: int, size: int) -> Floats:
    part = planes[:, :, column : column + size]
    return (part - part.mean((1, 2), keepdims=True)).reshape(len(part), -1)
