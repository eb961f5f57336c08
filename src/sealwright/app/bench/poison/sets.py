"""A data set as the detectors read it: a frame and batches, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison.data import Columns, Labels
from sealwright.scan.interface import Batch, Column, Frame

BATCH_ROWS = 2048
SOURCES = ("north", "east", "south", "west")
REVIEW_ROWS = 200


class Set(NamedTuple):
    """One version: what is known of it and all of its records."""

    frame: Frame
    whole: Batch

    def source(self) -> Iterator[Batch]:
        """One pass over the records."""
        for start in range(0, self.frame.rows, BATCH_ROWS):
            yield part(self.whole, slice(start, start + BATCH_ROWS))

    def without(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which rows stay when ``ids`` are quarantined."""
        return ~np.isin(self.whole.ids, ids)


def part(batch: Batch, at: Any) -> Batch:
    """The rows ``at`` (a slice, an index or a mask) of a batch."""
    return Batch(
        batch.ids[at],
        batch.labels[at],
        batch.sources[at],
        {name: column[at] for name, column in batch.values.items()},
        None if batch.images is None else batch.images[at],
        None if batch.vectors is None else batch.vectors[at],
    )


def of_images(
    images: npt.NDArray[np.uint8], labels: Labels, names: tuple[str, ...], seed: int
) -> Set:
    """Images (n, h, w, 3) uint8."""
    return _set((Column("image", "image"),), labels, names, seed, images=images)


def of_table(columns: Columns, labels: Labels, names: tuple[str, ...], seed: int) -> Set:
    """Columns by name: numbers are float64, categories objects."""
    typed = tuple(
        Column(name, "category" if values.dtype == object else "number")
        for name, values in columns.items()
    )
    return _set(typed, labels, names, seed, values=columns)


def of_texts(texts: list[str], labels: Labels, names: tuple[str, ...], seed: int) -> Set:
    """One text column."""
    values = {"text": np.array(texts, object)}
    return _set((Column("text", "text"),), labels, names, seed, values=values)


def _set(
    columns: tuple[Column, ...],
    labels: Labels,
    names: tuple[str, ...],
    seed: int,
    *,
    values: Columns | None = None,
    images: npt.NDArray[np.uint8] | None = None,
) -> Set:
    rows = len(labels)
    frame = Frame(rows, columns, names, SOURCES, seed, 0.01, min(REVIEW_ROWS, rows // 1000 + 1))
    sources = np.random.default_rng(seed).integers(len(SOURCES), size=rows).astype(np.int32)
    ids: npt.NDArray[np.int64] = np.arange(rows, dtype=np.int64)
    return Set(frame, Batch(ids, labels.astype(np.int32), sources, values or {}, images))
