"""PNG previews of image groups: the mean of the carriers, what sets it apart, some carriers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Preview

EXAMPLES = 6
SHOWN = 96
GAIN = 4.0

Pixels: TypeAlias = npt.NDArray[np.uint8]
Wanted: TypeAlias = Sequence[tuple[int, npt.NDArray[np.int64]]]
"""A key, and the sorted ids of its carriers."""


class Averages:
    """Mean images of carriers and of all, and the first few carriers, by key."""

    def __init__(self) -> None:
        self.sums: dict[int, npt.NDArray[np.float64]] = {}
        self.counts: dict[int, int] = {}
        self.examples: dict[int, dict[int, Pixels]] = {}
        self.total: npt.NDArray[np.float64] | None = None
        self.seen = 0

    def observe(self, batch: Batch, wanted: Wanted) -> None:
        """Add one batch's carriers."""
        if batch.images is None or not wanted:
            return
        summed = batch.images.sum(0, dtype=np.float64)
        self.total = summed if self.total is None else self.total + summed
        self.seen += len(batch.ids)
        for key, carriers in wanted:
            at = np.flatnonzero(np.isin(batch.ids, carriers))
            if len(at):
                self._add(key, batch.images[at].sum(0, dtype=np.float64), len(at))
                shown = self.examples.setdefault(key, {})
                for row in at[: max(0, EXAMPLES - len(shown))]:
                    shown[int(batch.ids[row])] = batch.images[row].copy()

    def merge(self, other: Self) -> None:
        """Add another's."""
        if other.total is not None:
            self.total = other.total if self.total is None else self.total + other.total
            self.seen += other.seen
        for key, summed in other.sums.items():
            self._add(key, summed, other.counts[key])
            both = {**self.examples.get(key, {}), **other.examples.get(key, {})}
            self.examples[key] = dict(sorted(both.items())[:EXAMPLES])

    def preview(self, key: int) -> Preview:
        """Mean, difference from all images (enlarged four times), and marked carriers."""
        if key not in self.sums or self.total is None:
            return Preview()
        mean = self.sums[key] / self.counts[key]
        apart = mean - self.total / self.seen
        tiles = [_whole(mean), _whole(128 + GAIN * (apart - apart.mean((0, 1))))]
        corner, side = place(apart)
        tiles += [marked(one, corner, side) for _, one in sorted(self.examples[key].items())]
        return Preview(png=png(tiles))

    def _add(self, key: int, summed: npt.NDArray[np.float64], count: int) -> None:
        self.sums[key] = self.sums.get(key, 0.0) + summed
        self.counts[key] = self.counts.get(key, 0) + count


def place(apart: npt.NDArray[np.float64]) -> tuple[tuple[int, int], int]:
    """Corner (row, column) and side of the square where a mean differs most in detail."""
    plane = np.abs(apart - apart.mean((0, 1))).sum(-1)
    side = max(2, min(plane.shape) // 5)
    window = np.lib.stride_tricks.sliding_window_view(plane, (side, side)).sum((2, 3))
    row, column = np.unravel_index(int(window.argmax()), window.shape)
    return (int(row), int(column)), side


def marked(image: Pixels, corner: tuple[int, int], side: int) -> Pixels:
    """The image, enlarged, with a red box round a square of it."""
    factor = max(1, SHOWN // max(image.shape[:2]))
    out = np.repeat(np.repeat(image, factor, 0), factor, 1)
    top, left = corner[0] * factor, corner[1] * factor
    bottom, right = top + side * factor - 1, left + side * factor - 1
    for lines in (np.s_[[top, bottom], left : right + 1], np.s_[top : bottom + 1, [left, right]]):
        out[lines] = (255, 0, 0)
    return out


def png(tiles: Sequence[Pixels]) -> bytes:
    """Pictures side by side, each enlarged to about SHOWN pixels, as PNG."""
    import PIL.Image

    large = [_enlarged(tile) for tile in tiles]
    height = max(tile.shape[0] for tile in large)
    padded = [np.pad(t, ((0, height - t.shape[0]), (0, 4), (0, 0))) for t in large]
    out = io.BytesIO()
    PIL.Image.fromarray(np.concatenate(padded, 1)).save(out, "PNG")
    return out.getvalue()


def _enlarged(tile: Pixels) -> Pixels:
    factor = max(1, SHOWN // max(tile.shape[:2]))
    return np.repeat(np.repeat(tile, factor, 0), factor, 1)


def _whole(values: npt.NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
