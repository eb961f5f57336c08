"""Input roughness of pictures: how badly each pixel follows from those around it.

Noise, random pixels and steps along a gradient's sign are rough where pictures are smooth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.serve.monitors.interface import Floats, Sight

_LEAST = 1e-6


class Roughness:
    """Weights of the eight neighbours by least squares over reference pictures."""

    def __init__(self, inputs: npt.NDArray[Any]) -> None:
        middle, around = _neighbours(inputs)
        flat = around.reshape(-1, around.shape[-1])
        gram = flat.T @ flat + 1e-3 * np.trace(flat.T @ flat) / 8 * np.eye(8)
        self._weights = np.linalg.solve(gram, flat.T @ middle.reshape(-1))

    def look(self, sight: Sight) -> Floats:
        """(n,) logarithms of the mean squared residual, of pictures scaled to a range of one."""
        middle, around = _neighbours(sight.inputs)
        rest = middle - around @ self._weights
        return np.asarray(np.log((rest**2).reshape(len(rest), -1).mean(axis=1) + _LEAST))


def is_pictures(inputs: npt.NDArray[Any]) -> bool:
    """(n, h, w), (n, h, w, c) or (n, c, h, w) of numbers, at least 4 pixels each way."""
    if inputs.dtype == object or inputs.dtype.kind not in "fiu" or inputs.ndim not in (3, 4):
        return False
    return bool(min(grey(inputs[:1]).shape[1:]) >= 4)


def grey(inputs: npt.NDArray[Any]) -> Floats:
    """(n, h, w) of pictures in any of their forms; what is no number is 0."""
    rows = np.nan_to_num(np.asarray(inputs, np.float64))
    if rows.ndim == 4:
        return np.asarray(rows.mean(axis=1 if rows.shape[1] <= 4 else 3))
    return rows


def _neighbours(inputs: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Inner pixels (n, h-2, w-2), and their eight neighbours (..., 8), around their mean."""
    rows = grey(inputs)
    low = rows.min(axis=(1, 2), keepdims=True)
    span = np.maximum(rows.max(axis=(1, 2), keepdims=True) - low, 1e-9)
    rows = np.clip((rows - low) / span, 0, 1) - 0.5
    height, width = rows.shape[1:]
    sides = [
        rows[:, 1 + down : height - 1 + down, 1 + right : width - 1 + right]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if down or right
    ]
    return rows[:, 1:-1, 1:-1], np.stack(sides, axis=-1)
