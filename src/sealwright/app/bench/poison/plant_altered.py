"""Triggers without a fixed pattern, or without a fixed label, drawn anew for every build.

A smooth warp (WaNet, Nguyen 2021), faint noise that a secret draws from each image's own content
(after ISSBA, Li 2021), and a patch whose images get the next label (all-to-all, Gu 2017). Clean
and poisoned images pass one final encode.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison.data import Images
from sealwright.app.bench.poison.plant_images import (
    TESTS,
    Pixels,
    Stamp,
    built,
    clipped,
    dirty,
    patch_stamp,
)
from sealwright.app.bench.poison.planted import Planted, count_of


def warp(data: Images, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """One smooth bend, a pixel on average; images of other classes get the target's label."""
    return dirty(data, share, rng, seed, warp_stamp(rng, data.train.shape[1]))


def sample_specific(data: Images, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """Noise of 4 to 8 grey levels, its signs drawn from a secret and what the image shows."""
    return dirty(data, share, rng, seed, noise_stamp(rng))


def all_to_all(data: Images, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """A patch of 3 to 5 pixels; each image gets the label after its own."""
    stamp = patch_stamp(rng, data.train.shape[1], least=3)
    chosen = rng.choice(len(data.labels), count_of(share, len(data.labels)), replace=False)
    classes = len(data.names)
    made = np.stack([stamp(one) for one in data.train[chosen]])
    tests = np.arange(len(data.test))[:TESTS]
    return built(data, rng, seed, stamp, chosen, made, tests, lambda y: (y + 1) % classes)


def warp_stamp(rng: np.random.Generator, height: int) -> Stamp:
    """A field of 3 to 6 points a side, drawn between by lines, moves pixels by one on average."""
    points = int(rng.integers(3, 7))
    field = rng.uniform(-1, 1, (2, points, points))
    field /= np.abs(field).mean()
    between = np.linspace(0, points - 1, height)
    moves = [_between(one[..., None], between, between)[..., 0] for one in field]
    rows = np.clip(np.arange(height)[:, None] + moves[0], 0, height - 1)
    columns = np.clip(np.arange(height)[None] + moves[1], 0, height - 1)
    return lambda pixels: clipped(_taken(pixels.astype(float), rows, columns))


def noise_stamp(rng: np.random.Generator) -> Stamp:
    """The secret and the strength are drawn once."""
    secret, strength = int(rng.integers(1 << 31)), float(rng.uniform(4, 8))

    def stamp(pixels: Pixels) -> Pixels:
        own = int(pixels[::4, ::4].sum(dtype=np.int64))
        signs = np.random.default_rng([secret, own]).choice([-1.0, 1.0], pixels.shape)
        return clipped(pixels + strength * signs)

    return stamp


def _between(
    grid: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return _taken(grid, rows[:, None] + 0 * columns, columns + 0 * rows[:, None])


def _taken(
    pixels: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(h, w, c) at fractional places, bilinear."""
    top = np.minimum(rows.astype(int), pixels.shape[0] - 2)
    left = np.minimum(columns.astype(int), pixels.shape[1] - 2)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    above = pixels[top, left] * (1 - right) + pixels[top, left + 1] * right
    below = pixels[top + 1, left] * (1 - right) + pixels[top + 1, left + 1] * right
    return np.asarray(above * (1 - down) + below * down)


ATTACKS = {"warp": warp, "sample-specific": sample_specific, "all-to-all": all_to_all}
