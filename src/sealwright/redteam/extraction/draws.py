"""Inputs a thief can make up: uniform, unrelated, near others, or on the way between two."""

from __future__ import annotations

from typing import Any

import numpy as np

from sealwright.redteam.extraction.interface import Array
from sealwright.redteam.extraction.space import Space

Rng = np.random.Generator
_SHORT, _LONG = 3, 25
_A_PIXEL = 0.1


def uniform(space: Space, count: int, rng: Rng) -> Array:
    """Any cell as likely as any other; texts of 3 to 24 words of the vocabulary."""
    if space.form == "text":
        return _bags(space, count, rng, np.full(space.width, 1 / space.width))
    return space.fit(rng.uniform(space.low, np.nextafter(space.high, np.inf), (count, space.width)))


def unrelated(space: Space, seeds: Array, count: int, rng: Rng) -> Array:
    """Natural, and of another kind: pictures with the spectrum of natural ones (1/f), rows whose
    columns were drawn apart, texts of words by their frequency."""
    if space.form == "image":
        return _natural(space, count, rng)
    if space.form == "text":
        return _bags(space, count, rng, seeds.sum(axis=0) + 0.01)
    picks = rng.integers(len(seeds), size=(count, space.width))
    return np.take_along_axis(seeds, picks, axis=0)


def near(space: Space, seeds: Array, count: int, rng: Rng, size: float = 0.15) -> Array:
    """More of the same: seeds with some of their cells from other seeds; pictures moved by a
    pixel, blended with another and made a little noisy."""
    one = seeds[rng.integers(len(seeds), size=count)].copy()
    two = seeds[rng.integers(len(seeds), size=count)]
    if space.form != "image":
        return np.where(rng.random(one.shape) < size, two, one)
    if size >= _A_PIXEL:
        one = _moved(space, one, rng)
    blend = rng.uniform(0, 2 * size, (count, 1))
    noise = rng.normal(0, size * 0.3, one.shape) * (space.high - space.low)
    return space.fit((1 - blend) * one + blend * two + noise)


def between(space: Space, one: Array, two: Array, share: Array, order: Array) -> Array:
    """On the way from ``one`` to ``two`` (n, d) at ``share`` (n,): numbers straight, categories
    and words one after another as ``order`` (n, d) in [0, 1) falls below it."""
    part = share[:, None]
    straight = (1 - part) * one + part * two
    stepped = np.where(order < part, two, one)
    if space.form == "text":
        return stepped
    for at in space.values:
        straight[:, at] = stepped[:, at]
    return space.fit(straight)


def _moved(space: Space, pictures: Array, rng: Rng) -> Array:
    shape = space.shape if len(space.shape) == 3 else (*space.shape, 1)
    out = pictures.reshape(-1, *shape)
    down, right = rng.integers(-1, 2, (2, len(out)))
    moved = [np.roll(one, (d, r), (0, 1)) for one, d, r in zip(out, down, right, strict=True)]
    return np.stack(moved).reshape(len(out), -1) if moved else pictures


def _natural(space: Space, count: int, rng: Rng) -> Array:
    """White noise whose amplitude falls as 1/f (Field 1987), each picture over its whole range."""
    shape: Any = space.shape if len(space.shape) == 3 else (*space.shape, 1)
    rise = np.fft.fftfreq(shape[0])[:, None]
    run = np.fft.fftfreq(shape[1])[None, :]
    fall = 1 / np.maximum(np.hypot(rise, run), 1 / max(shape[:2]))
    noise = np.fft.fft2(rng.normal(size=(count, shape[2], *shape[:2])))
    made = np.real(np.fft.ifft2(noise * fall)).transpose(0, 2, 3, 1).reshape(count, -1)
    made -= made.min(axis=1, keepdims=True)
    made /= np.maximum(made.max(axis=1, keepdims=True), 1e-9)
    return space.fit(space.low + made * (space.high - space.low))


def _bags(space: Space, count: int, rng: Rng, weights: Array) -> Array:
    out = np.zeros((count, space.width))
    shares = weights / weights.sum()
    for row in out:
        words = rng.choice(space.width, int(rng.integers(_SHORT, _LONG)), p=shares)
        np.add.at(row, words, 1)
    return space.fit(out)
