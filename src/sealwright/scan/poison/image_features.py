"""What an image holds besides its content: high-pass detail at one local contrast, as int8.

A trigger is a small pattern that many images share; content is what they do not share. Content
is mostly low-pass and of uneven contrast, so both are taken out. Luminance stays at up to 32x32,
chroma at half of that, as JPEG keeps them: at most 1,536 numbers an image.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

SIDE = 32
BLUR, CONTRAST = 1.5, 2.0
FLOOR = 2.0
STEPS = 20.0
"""int8 steps per unit of local contrast: ±6.3, which 3x3 patches of full contrast do not reach."""

Floats: TypeAlias = npt.NDArray[np.float32]


def detail(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """(n, h, w, 3) → (n, d) int8."""
    red, green, blue = (shrunk(images[..., at], SIDE) for at in range(3))
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    half = max(1, light.shape[1] // 2), max(1, light.shape[2] // 2)
    planes = (light, resized(0.564 * (blue - light), half), resized(0.713 * (red - light), half))
    flat = [_even(plane).reshape(len(images), -1) for plane in planes]
    return np.clip(np.rint(np.concatenate(flat, 1) * STEPS), -127, 127).astype(np.int8)


def shrunk(plane: npt.NDArray[np.uint8], side: int) -> Floats:
    """(n, h, w) → float32 of at most ``side`` each way, by area means."""
    height, width = plane.shape[1:]
    return resized(plane.astype(np.float32), (min(side, height), min(side, width)))


def blurred(plane: Floats, sigma: float) -> Floats:
    """A Gaussian blur that repeats the edge."""
    down, right = _gauss(plane.shape[1], sigma), _gauss(plane.shape[2], sigma)
    return np.matmul(np.matmul(down, plane), right.T)


def _even(plane: Floats) -> Floats:
    high = plane - blurred(plane, BLUR)
    return high / (np.sqrt(np.maximum(blurred(high * high, CONTRAST), 0.0)) + np.float32(FLOOR))


def resized(plane: Floats, size: tuple[int, int]) -> Floats:
    """(n, h, w) → (n, *size) by area means; larger by repetition."""
    if plane.shape[1:] == size:
        return plane
    down, right = _area(plane.shape[1], size[0]), _area(plane.shape[2], size[1])
    return np.matmul(np.matmul(down, plane), right.T)


@cache
def _gauss(size: int, sigma: float) -> Floats:
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    out = np.zeros((size, size))
    for row in range(size):
        at = np.clip(np.arange(row - reach, row + reach + 1), 0, size - 1)
        np.add.at(out[row], at, weights / weights.sum())
    return out.astype(np.float32)


@cache
def _area(size: int, wanted: int) -> Floats:
    """(wanted, size): each output the mean of the inputs it covers."""
    edges = np.linspace(0, size, wanted + 1)
    low = np.maximum(edges[:-1, None], np.arange(size)[None])
    high = np.minimum(edges[1:, None], np.arange(1, size + 1)[None])
    cover = np.maximum(0.0, high - low)
    return np.asarray(cover / cover.sum(1, keepdims=True), np.float32)
