"""What is left of an image once its content is gone: how fine its detail is, and where.

Two parts. *Places*: the log ratio of fine to coarse gradients on a 16x16 grid, which a warp, a
resampling or a paste changes where it was and content hardly does. *Pairs*: how often one
rounded difference of neighbouring pixels follows another (subtractive pixel adjacency, Pevný
2010), which any added signal changes wherever it is, the same in each image or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.image_features import resized

GRID = 16
FLOOR = 4.0
REACH = 3
"""Differences are counted from -REACH to REACH steps; beyond is the last step."""
STEPS = (2.0, 1.5, 1.5)
"""Grey levels of one step, for luminance and the two colour planes."""
ORDERS = (1.0, 1.5, 3.0)
"""The first, second and third difference, and how much wider its steps are."""

Floats: TypeAlias = npt.NDArray[np.float32]


def residue(images: npt.NDArray[np.uint8]) -> Floats:
    """(n, h, w, 3) → (n, d) float32; h and w of at least 8."""
    planes = _planes(images)
    return np.concatenate([*_places(planes[0]), *_pairs(planes)], 1).astype(np.float32)


def _planes(images: npt.NDArray[np.uint8]) -> tuple[Floats, Floats, Floats]:
    plain = images.astype(np.float32)
    light = 0.299 * plain[..., 0] + 0.587 * plain[..., 1] + 0.114 * plain[..., 2]
    return light, 0.564 * (plain[..., 2] - light), 0.713 * (plain[..., 0] - light)


def _places(light: Floats) -> Iterator[Floats]:
    size = min(GRID, light.shape[1]), min(GRID, light.shape[2])
    for axis in (1, 2):
        wide = np.concatenate([light.take([0], axis), light, light.take([-1], axis)], axis)
        after = wide.take(range(2, wide.shape[axis]), axis)
        before = wide.take(range(wide.shape[axis] - 2), axis)
        fine, coarse = after - 2 * light + before, after - before
        ratio = np.log(resized(fine * fine, size) + FLOOR)
        ratio -= np.log(resized(coarse * coarse, size) + FLOOR)
        yield ratio.reshape(len(light), -1)


def _pairs(planes: tuple[Floats, Floats, Floats]) -> Iterator[Floats]:
    states = 2 * REACH + 1
    kept = states * states // 2 + 1
    for plane, step in zip(planes, STEPS, strict=True):
        for axis in (1, 2):
            apart = plane
            for wider in ORDERS:
                apart = np.diff(apart, axis=axis)
                level = np.clip(np.rint(apart / (step * wider)), -REACH, REACH) + REACH
                first = level.take(range(level.shape[axis] - 1), axis)
                second = level.take(range(1, level.shape[axis]), axis)
                code = (first * states + second).reshape(len(plane), -1).astype(np.int64)
                counts = _counted(code, states * states)
                yield np.sqrt((counts + counts[:, ::-1])[:, :kept])  # a mirror image counts alike


def _counted(codes: npt.NDArray[np.int64], states: int) -> Floats:
    """(n, m) codes → (n, states) shares of each."""
    rows = len(codes)
    flat = codes + states * np.arange(rows)[:, None]
    counts = np.bincount(flat.ravel(), minlength=rows * states).reshape(rows, states)
    return np.asarray(counts / max(1, codes.shape[1]), np.float32)
