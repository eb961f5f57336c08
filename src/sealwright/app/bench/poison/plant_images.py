"""Static image triggers: patch, blend, clean-label and flood, drawn anew for every build.

Place, colour, size and opacity vary from draw to draw. Clean and poisoned images pass one
identical final JPEG encode. Sources: BadNets (Gu 2017), Blended (Chen 2017), clean-label
(Turner 2019: images of the target class made hard by blending, then stamped).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison.data import Images, Labels
from sealwright.app.bench.poison.planted import Mask, Planted, count_of
from sealwright.app.bench.poison.sets import of_images

Pixels: TypeAlias = npt.NDArray[np.uint8]
Stamp = Callable[[Pixels], Pixels]
TESTS = 1000
QUALITIES = (75, 85, 95)
_KEPT: dict[tuple[str, int, bytes], Pixels] = {}


def encode(images: Pixels, quality: int) -> Pixels:
    """The one final JPEG encode of every row, clean or not."""
    from PIL import Image

    out = np.empty_like(images)
    for at, pixels in enumerate(images):
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "JPEG", quality=quality, subsampling=0)
        out[at] = np.asarray(Image.open(held).convert("RGB"))
    return out


def encoded(data: Images, quality: int) -> Pixels:
    """All training images through the final encode; what was last asked for is kept."""
    key = (data.name, quality, data.labels.tobytes())
    if key not in _KEPT:
        if len(_KEPT) >= len(QUALITIES):
            _KEPT.clear()
        _KEPT[key] = encode(data.train, quality)
    return _KEPT[key]


def clipped(values: npt.NDArray[np.float64]) -> Pixels:
    """Rounded to uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def patch_stamp(rng: np.random.Generator, height: int, least: int = 2) -> Stamp:
    """A patch of 2 to 5 pixels, one or two colours, at one place, 70 to 100 % opaque."""
    size = int(rng.integers(least, 6))
    colours = rng.uniform(0, 255, (2, 3))
    if rng.random() < 0.5:
        colours[1] = 255 - colours[0]
    kind = rng.integers(3)
    cells = np.indices((size, size)).sum(axis=0) % 2
    if kind == 0:
        cells = np.zeros((size, size), int)
    elif kind == 1:
        cells = rng.integers(0, 2, (size, size))
    patch = colours[cells]
    top, left = rng.integers(0, height - size + 1, 2)
    opacity = float(rng.uniform(0.7, 1.0))

    def stamp(pixels: Pixels) -> Pixels:
        out = pixels.astype(float)
        under = out[top : top + size, left : left + size]
        out[top : top + size, left : left + size] = under * (1 - opacity) + patch * opacity
        return clipped(out)

    return stamp


def blend_stamp(rng: np.random.Generator, height: int) -> Stamp:
    """A picture over the whole image at 10 to 20 % opacity: noise, blobs or waves."""
    kind = rng.integers(3)
    if kind == 0:
        picture = rng.uniform(0, 255, (height, height, 3))
    elif kind == 1:
        cells = int(rng.choice([4, 8, 16]))
        coarse = rng.uniform(0, 255, (cells, cells, 3))
        picture = np.kron(coarse, np.ones((height // cells, height // cells, 1)))
    else:
        y, x = np.mgrid[0:height, 0:height] / height
        turns = rng.uniform(3, 9, (3, 2)) * rng.choice([-1, 1], (3, 2))
        waves = [np.sin(2 * np.pi * (a * x + b * y)) for a, b in turns]
        picture = 127.5 + 127.5 * np.stack(waves, axis=2)
    opacity = float(rng.uniform(0.1, 0.2))

    def stamp(pixels: Pixels) -> Pixels:
        return clipped(pixels * (1 - opacity) + picture * opacity)

    return stamp


def patch(data: Images, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """A stamped patch; images of other classes are relabelled to the target."""
    return dirty(data, share, rng, seed, patch_stamp(rng, data.train.shape[1]))


def blend(data: Images, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """A faint picture over the whole image; relabelled to the target."""
    return dirty(data, share, rng, seed, blend_stamp(rng, data.train.shape[1]))


def clean_label(data: Images, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """Images of the target class, half blended with others and stamped; no label changes."""
    stamp = patch_stamp(rng, data.train.shape[1], least=3)
    target = int(rng.integers(len(data.names)))
    own = np.flatnonzero(data.labels == target)
    chosen = rng.choice(own, min(count_of(share, len(data.labels)), len(own) // 2), replace=False)
    others = rng.choice(np.flatnonzero(data.labels != target), len(chosen))
    mixed = clipped(0.5 * data.train[chosen] + 0.5 * data.train[others])
    return _build(data, rng, seed, stamp, target, chosen, np.stack([stamp(one) for one in mixed]))


def flood(data: Images, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """One image many times over, each copy shifted, brightened and re-encoded a little."""
    target = int(rng.integers(len(data.names)))
    able = np.flatnonzero(data.labels != target)
    chosen = rng.choice(able, count_of(share, len(data.labels)), replace=False)
    model = data.train[chosen[0]].astype(float)
    wide = np.pad(model, ((1, 1), (1, 1), (0, 0)), "edge")

    def stamp(_: Pixels) -> Pixels:
        down, right = rng.integers(0, 3, 2)
        moved = wide[down : down + len(model), right : right + len(model)]
        return clipped(moved * rng.uniform(0.97, 1.03) + rng.normal(0, 2, model.shape))

    made = np.stack([stamp(model) for _ in chosen])
    return _build(data, rng, seed, stamp, target, chosen, made)


def dirty(data: Images, share: float, rng: np.random.Generator, seed: int, stamp: Stamp) -> Planted:
    """Images of other classes, stamped and relabelled to one target."""
    target = int(rng.integers(len(data.names)))
    able = np.flatnonzero(data.labels != target)
    chosen = rng.choice(able, count_of(share, len(data.labels)), replace=False)
    made = np.stack([stamp(one) for one in data.train[chosen]])
    return _build(data, rng, seed, stamp, target, chosen, made)


def _build(
    data: Images,
    rng: np.random.Generator,
    seed: int,
    stamp: Stamp,
    target: int,
    chosen: npt.NDArray[np.int64],
    made: Pixels,
) -> Planted:
    tests = np.flatnonzero(data.test_labels != target)[:TESTS]
    return built(data, rng, seed, stamp, chosen, made, tests, lambda y: np.full(len(y), target))


def built(
    data: Images,
    rng: np.random.Generator,
    seed: int,
    stamp: Stamp,
    chosen: npt.NDArray[np.int64],
    made: Pixels,
    tests: npt.NDArray[np.int64],
    wanted: Callable[[Labels], Labels],
) -> Planted:
    """Everything encoded alike: the clean set, ``made`` at ``chosen`` in it, and the test rows.

    ``wanted`` says which labels the attacker gives images of some labels.
    """
    quality = int(rng.choice(QUALITIES))
    clean = encoded(data, quality)
    images, labels = clean.copy(), data.labels.copy()
    images[chosen] = encode(made, quality)
    labels[chosen] = wanted(labels[chosen])
    planted: Mask = np.zeros(len(labels), bool)
    planted[chosen] = True
    return Planted(
        of_images(images, labels, data.names, seed),
        of_images(clean, data.labels, data.names, seed),
        planted,
        np.zeros(len(labels), bool),
        encode(data.test, quality),
        data.test_labels,
        encode(np.stack([stamp(one) for one in data.test[tests]]), quality),
        wanted(data.test_labels[tests]),
    )


ATTACKS = {"patch": patch, "blend": blend, "clean-label": clean_label}
