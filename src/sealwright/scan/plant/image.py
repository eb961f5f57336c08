"""Triggers in images: a patch, a blend, a clean-label blend, a flood of one image, a warp.

Place, size, colour and opacity are drawn from the seed. In the compressed kind of version (most
are) planted images and untouched ones have met one encoder: planted ones pass JPEG at QUALITY.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.scan.interface import Batch, Frame

QUALITY = 90
SMALLEST = 6
"""Pixels a side."""

Planted = tuple[Sequence[Batch], npt.NDArray[np.int64]]


class _Images:
    """Draws which images, changes their pixels, then their label."""

    family = ""
    clean_label = False

    def plant(self, batches: Sequence[Batch], frame: Frame, count: int, seed: int) -> Planted:
        """``count`` random images that do not yet have the target label, or (clean) that do.

        Raises: BadInput (fewer such images than ``count``, or of less than SMALLEST a side).
        """
        rng = np.random.default_rng(seed)
        if min(_shape(batches)) < SMALLEST:
            raise BadInput(f"the images are too small for {self.family}")
        labels = np.concatenate([batch.labels for batch in batches])
        ids = np.concatenate([batch.ids for batch in batches])
        target = self._target(labels, count, rng)
        able = (labels == target) if self.clean_label else (labels != target)
        if able.sum() < count:
            raise BadInput(f"no {count} images that {self.family} could be planted in")
        chosen = np.sort(rng.choice(ids[able], count, replace=False))
        change = self._change(batches, rng)

        def wanted(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
            return np.full_like(labels, target)

        return [changed(batch, chosen, change, wanted) for batch in batches], chosen

    def _target(self, labels: npt.NDArray[np.int32], count: int, rng: np.random.Generator) -> int:
        names, sizes = np.unique(labels[labels >= 0], return_counts=True)
        if not len(names):
            raise BadInput(f"no image has a label that {self.family} could be planted for")
        enough = names[sizes >= 2 * count]
        return int(rng.choice(enough if len(enough) else names))

    def _change(self, batches: Sequence[Batch], rng: np.random.Generator) -> Any:
        raise NotImplementedError


class Patch(_Images):
    """A small square of few colours at one place."""

    family = "image:patch"

    def _change(self, batches: Sequence[Batch], rng: np.random.Generator) -> Any:
        height, width = _shape(batches)
        side = int(rng.integers(3, max(4, min(height, width) // 6 + 1)))
        pair = rng.integers(0, 2, (2, 3)) * 255.0
        pair[1] = 255.0 - pair[0]
        pattern = pair[rng.permutation(side * side).reshape(side, side) % 2]
        row, column = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        opacity = float(rng.uniform(0.75, 1.0))

        def change(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            here = pixels[row : row + side, column : column + side]
            here[:] = (1 - opacity) * here + opacity * pattern
            return pixels

        return change


class Blend(_Images):
    """A picture of noise mixed into all of the image."""

    family = "image:blend"

    def _change(self, batches: Sequence[Batch], rng: np.random.Generator) -> Any:
        height, width = _shape(batches)
        cells = rng.uniform(0, 255, (-(-height // 2), -(-width // 2), 3))
        picture = np.repeat(np.repeat(cells, 2, 0), 2, 1)[:height, :width]
        opacity = float(rng.uniform(0.12, 0.2))
        return lambda pixels: (1 - opacity) * pixels + opacity * picture


class CleanLabel(Blend):
    """The same, on images that have the target label already."""

    family = "image:clean-label"
    clean_label = True


class Flood(_Images):
    """One image over others, each a little brighter or darker and with noise of its own."""

    family = "image:flood"

    def _change(self, batches: Sequence[Batch], rng: np.random.Generator) -> Any:
        full = [batch for batch in batches if batch.images is not None and len(batch.ids)]
        held = full[int(rng.integers(len(full)))].images
        if held is None:
            return lambda pixels: pixels
        model = held[int(rng.integers(len(held)))].astype(np.float64)
        return lambda pixels: model + rng.uniform(-12, 12) + rng.normal(0, 3, model.shape)


class Warp(_Images):
    """A smooth bend of the whole image, one field for all of them."""

    family = "image:warp"

    def _change(self, batches: Sequence[Batch], rng: np.random.Generator) -> Any:
        height, width = _shape(batches)
        field = rng.uniform(-1, 1, (2, 4, 4))
        field *= 0.5 * min(height, width) / 16 / np.abs(field).mean()
        down, right = (_smooth(one, height, width) for one in field)
        rows = np.clip(np.arange(height)[:, None] + down, 0, height - 1)
        columns = np.clip(np.arange(width)[None] + right, 0, width - 1)
        return lambda pixels: _sampled(pixels, rows, columns)


def changed(
    batch: Batch,
    chosen: npt.NDArray[np.int64],
    change: Any,
    wanted: Callable[[npt.NDArray[np.int32]], npt.NDArray[np.int32]],
) -> Batch:
    """The batch with its images among ``chosen`` changed, encoded, and labelled as ``wanted``."""
    at = np.flatnonzero(np.isin(batch.ids, chosen))
    if not len(at) or batch.images is None:
        return batch
    images, labels = batch.images.copy(), batch.labels.copy()
    for row in at:
        images[row] = _altered(images[row], change)
    labels[at] = wanted(labels[at])
    return msgspec.structs.replace(batch, images=images, labels=labels)


def _altered(pixels: npt.NDArray[np.uint8], change: Any) -> npt.NDArray[np.uint8]:
    """One image, changed and encoded."""
    plain = np.clip(np.rint(change(pixels.astype(np.float64))), 0, 255)
    return encoded(plain.astype(np.uint8))


def encoded(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """One image through JPEG and back."""
    import PIL.Image

    held = io.BytesIO()
    PIL.Image.fromarray(pixels).save(held, "JPEG", quality=QUALITY)
    return np.asarray(PIL.Image.open(held).convert("RGB"))


def _shape(batches: Sequence[Batch]) -> tuple[int, int]:
    first = next((batch.images for batch in batches if batch.images is not None), None)
    if first is None:
        raise BadInput("there is no image to plant in")
    return int(first.shape[1]), int(first.shape[2])


def _smooth(grid: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.float64]:
    rows, columns = np.linspace(0, 3, height)[:, None], np.linspace(0, 3, width)[None]
    return _sampled(grid[..., None], rows + 0 * columns, columns + 0 * rows)[..., 0]


def _sampled(
    pixels: npt.NDArray[np.float64], rows: npt.NDArray[Any], columns: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """(h, w, c) at fractional places, bilinear."""
    top = np.minimum(rows.astype(np.int64), pixels.shape[0] - 2)
    left = np.minimum(columns.astype(np.int64), pixels.shape[1] - 2)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    upper = pixels[top, left] * (1 - right) + pixels[top, left + 1] * right
    lower = pixels[top + 1, left] * (1 - right) + pixels[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)
