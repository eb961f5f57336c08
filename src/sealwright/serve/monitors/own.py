"""A group against its own past: what is far from it, near it in an odd way, or unlike its habit.

All are over rows in order; ``before`` is what is remembered of the group.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.serve.monitors.interface import Floats
from sealwright.serve.monitors.roughness import grey

REMEMBERED = 256
"""Rows of its own past that a group is compared with."""

WINDOW = 64
"""Rows whose median is a group's own habit."""

PIXELS = 64
_FIRST = 10
_BLOCK = 64
_FEWEST_CHANGED = 12
_STILL = 1e-3
_STRAIGHT = 1e-4
_SAME = 0.02
"""Of the range of pixels: what changed less did not change."""


def habit(before: Floats, numbers: Floats) -> Floats:
    """(n, c): how far each number lies above the median of up to 64 before it."""
    told = np.concatenate([before, numbers])[-len(numbers) - WINDOW :]
    told = np.where(np.isnan(told), -np.inf, told)
    lead = len(numbers) + WINDOW - len(told)
    told = np.concatenate([np.full((lead, told.shape[1]), np.nan), told])
    windows = np.lib.stride_tricks.sliding_window_view(told[:-1], WINDOW, axis=0)
    ordered = np.sort(windows, axis=2)  # what is not there yet comes last
    known = np.isfinite(ordered).sum(axis=2) + np.isneginf(ordered).sum(axis=2)
    middle = np.take_along_axis(ordered, (known // 2)[:, :, None], axis=2)[:, :, 0]
    with np.errstate(invalid="ignore"):
        out = np.where(known >= _FIRST, numbers - middle, np.nan)
    return np.where(np.isfinite(out), out, np.nan)


def distance(before: Floats, points: Floats) -> Floats:
    """(n,): logarithm of the distance to the nearest of up to 256 own points before it."""
    _, squared = _nearest(before, points)
    out = 0.5 * np.log(np.maximum(squared, 0) + 1e-12)
    out[: max(0, _FIRST - len(before))] = np.nan
    return np.where(np.isfinite(out), out, np.nan)


def evenness(before: Floats, pixels: Floats) -> Floats:
    """(n,): how evenly a picture differs from the nearest of its own past, 0 to 1.

    A step along a gradient's sign changes every changed pixel by the same amount; noise, motion
    and other pictures do not. NaN where next to nothing changed.
    """
    near, squared = _nearest(before, pixels)
    moved = np.abs(np.concatenate([before, pixels])[near] - pixels)
    moved[moved <= _SAME] = 0
    count = (moved > 0).sum(axis=1)
    even = moved.sum(axis=1) ** 2 / np.maximum(count * (moved**2).sum(axis=1), 1e-12)
    return np.where((count >= _FEWEST_CHANGED) & np.isfinite(squared), even, np.nan)


def straightness(before: Floats, points: Floats) -> Floats:
    """(n,): how exactly a point lies on the straight way between two of the group's own past, as
    the points of a line search do: -ln of the sine of the angle at the nearest one.

    NaN where it is the nearest one, or where fewer than ten points are remembered.
    """
    near, squared = _nearest(before, points)
    whole = np.concatenate([before, points])
    out = np.full(len(points), np.nan)
    for at in range(len(points)):
        now = len(before) + at
        first = max(0, now - REMEMBERED)
        if now - first < _FIRST or squared[at] < _STILL:
            continue
        step = whole[now] - whole[near[at]]
        ways = whole[first:now] - whole[near[at]]
        lengths = (ways**2).sum(axis=1)
        along = ways @ step
        between = (along > 0) & (along < lengths)  # beyond the nearest, not beyond the other
        if between.any():
            share = (along[between] ** 2 / lengths[between]).max() / (step @ step)
            out[at] = -0.5 * math.log(max(1.0 - float(share), _STRAIGHT))
        else:
            out[at] = 0.0
    return out


def _nearest(before: Floats, points: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """For each of n points the place, in both together, of the nearest of up to 256 before it, and
    the squared distance; infinite where there is none."""
    whole = np.concatenate([before, points])
    squares = (whole**2).sum(axis=1)
    places: npt.NDArray[np.int64] = np.zeros(len(points), np.int64)
    least = np.full(len(points), np.inf)
    for start in range(0, len(points), _BLOCK):
        now: npt.NDArray[np.int64] = np.arange(start, min(start + _BLOCK, len(points))) + len(
            before
        )
        first, last = max(0, int(now[0]) - REMEMBERED), int(now[-1])
        if last <= first:
            continue
        there = np.arange(first, last)
        apart = squares[now, None] + squares[there] - 2 * whole[now] @ whole[there].T
        apart[(there >= now[:, None]) | (there < now[:, None] - REMEMBERED)] = np.inf
        best = apart.argmin(axis=1)
        places[now - len(before)] = there[best]
        least[now - len(before)] = apart[np.arange(len(now)), best]
    return places, least


def pixels(inputs: npt.NDArray[Any], low: float, high: float) -> Floats:
    """(n, p): at most 64 pixels of each picture, the same ones every time; ``low`` is 0 then,
    ``high`` 1."""
    flat = grey(inputs).reshape(len(inputs), -1)
    flat = (flat - low) / max(high - low, 1e-9)
    if flat.shape[1] <= PIXELS:
        return flat
    return flat[:, np.random.default_rng(1).choice(flat.shape[1], PIXELS, replace=False)]
