"""Novelty: how far a row lies from what the model is usually asked.

The distance to the k-th nearest reference row (Sun et al. 2022), in the model's whitened feature
space and, for pictures, between thumbnails. No principal gives as many reference rows as there are
neighbours, so nobody vouches for themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.serve.coverage import finite, whitening
from sealwright.serve.monitors.interface import Floats, Sight
from sealwright.serve.monitors.roughness import grey

NEIGHBOURS = 10
FROM_EACH = NEIGHBOURS - 2
"""Reference rows of one principal, at most."""

ROWS = 2_000
"""Reference rows kept, at most."""

THUMB = 8


class Whitened:
    """Whitened feature space, as every monitor that measures distances uses it."""

    def __init__(self, features: npt.NDArray[Any]) -> None:
        rows = finite(features)
        self.centre = rows.mean(axis=0)
        self.basis = whitening(rows)

    def points(self, features: npt.NDArray[Any]) -> Floats:
        """(n, k) of (n, d)."""
        placed: Floats = (finite(features) - self.centre) @ self.basis.T
        return np.clip(placed, -1e3, 1e3)


class Nearest:
    """Distances of points (n, k) to the k-th nearest of reference points (m, k)."""

    def __init__(self, points: Floats, seed: int = 0) -> None:
        if len(points) > ROWS:
            points = points[np.random.default_rng(seed).choice(len(points), ROWS, replace=False)]
        self._points = points
        self._squares = (points**2).sum(axis=1)

    def __call__(self, points: Floats) -> Floats:
        """(n,) logarithms of distances."""
        apart = self._squares - 2 * points @ self._points.T + (points**2).sum(axis=1)[:, None]
        near = min(NEIGHBOURS, len(self._points)) - 1
        kth = np.partition(apart, near, axis=1)[:, near]
        return np.asarray(0.5 * np.log(np.maximum(kth, 1e-12)))


class Novelty:
    """Made of the features of reference rows (m, d)."""

    def __init__(self, space: Whitened, features: npt.NDArray[Any]) -> None:
        self._space = space
        self._nearest = Nearest(space.points(features))

    def look(self, sight: Sight) -> Floats:
        """(n,) logarithms of distances in feature space."""
        return self._nearest(self._space.points(sight.features))


class Likeness:
    """Made of reference pictures: how unlike all of them a picture looks."""

    def __init__(self, inputs: npt.NDArray[Any]) -> None:
        rows = grey(inputs)
        self._low, self._high = float(rows.min()), float(rows.max())
        self._nearest = Nearest(self._thumbs(inputs))

    def look(self, sight: Sight) -> Floats:
        """(n,) logarithms of distances between thumbnails."""
        return self._nearest(self._thumbs(sight.inputs))

    def _thumbs(self, inputs: npt.NDArray[Any]) -> Floats:
        rows = (grey(inputs) - self._low) / max(self._high - self._low, 1e-9)
        height, width = rows.shape[1:]
        down = np.minimum(np.arange(THUMB) * height // THUMB, height - 1)
        right = np.minimum(np.arange(THUMB) * width // THUMB, width - 1)
        if height >= THUMB and width >= THUMB:
            summed = np.add.reduceat(np.add.reduceat(rows, down, axis=1), right, axis=2)
            area = np.diff([*down, height])[:, None] * np.diff([*right, width])[None, :]
            return np.asarray(np.clip(summed / area, -2, 3).reshape(len(rows), -1))
        return np.asarray(np.clip(rows, -2, 3).reshape(len(rows), -1))
