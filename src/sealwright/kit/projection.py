"""Features too wide to keep, projected to fewer dimensions (Johnson and Lindenstrauss 1984)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

WIDEST = 256
"""Features wider than this are projected to ``NARROW`` dimensions, by planes that never change."""
NARROW = 64


def planes(width: int) -> Array:
    """(width, 64): Gaussian, the same for every width each time."""
    drawn: Array = np.random.default_rng(width).standard_normal((width, NARROW)) / np.sqrt(NARROW)
    return drawn


def narrowed(features: Array) -> Array:
    """(n, d) as they are, or (n, 64)."""
    return features if features.shape[1] <= WIDEST else features @ planes(features.shape[1])
