"""Floods: copies of one record over others, or of one text, each a little different."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.scan import hashing
from sealwright.scan.batches import joined
from sealwright.scan.interface import Batch, Frame
from sealwright.scan.plant.rewrite import rewritten

LEAST_WORDS = 12
LEAST_COLUMNS = 3


class Flood:
    """Overwrites ``count`` random records, label too, with one of them."""

    family = "flood"

    def plant(
        self, batches: Sequence[Batch], frame: Frame, count: int, seed: int
    ) -> tuple[Sequence[Batch], npt.NDArray[np.int64]]:
        """The records with one of them there ``count`` times, and where."""
        rng = np.random.default_rng(seed)
        where = np.concatenate(
            [
                np.stack([np.full(len(b.ids), i), np.arange(len(b.ids))], 1)
                for i, b in enumerate(batches)
            ]
        )
        chosen = where[rng.permutation(len(where))[:count]]
        model, at = batches[int(chosen[0, 0])], int(chosen[0, 1])
        planted = list(batches)
        carriers = []
        for number in np.unique(chosen[:, 0]):
            rows = chosen[chosen[:, 0] == number, 1]
            planted[number] = overwritten(batches[number], rows, model, at)
            carriers.append(batches[number].ids[rows])
        return planted, np.sort(np.concatenate(carriers))


def overwritten(batch: Batch, rows: npt.NDArray[np.int64], model: Batch, at: int) -> Batch:
    """``batch`` with ``rows`` replaced by record ``at`` of ``model``; ids and sources stay."""

    def put(old: npt.NDArray[np.generic], new: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        out = old.copy()
        out[rows] = new[at]
        return out

    return msgspec.structs.replace(
        batch,
        labels=put(batch.labels, model.labels),
        values={name: put(column, model.values[name]) for name, column in batch.values.items()},
        images=None
        if batch.images is None or model.images is None
        else put(batch.images, model.images),
        vectors=None
        if batch.vectors is None or model.vectors is None
        else put(batch.vectors, model.vectors),
    )


class NearFlood:
    """Overwrites ``count`` random records, label too, with one text, up to two words changed; or,
    where there is no text to copy, with one row, a cell or two changed."""

    family = "near-flood"

    def plant(
        self, batches: Sequence[Batch], frame: Frame, count: int, seed: int
    ) -> tuple[Sequence[Batch], npt.NDArray[np.int64]]:
        """Raises: BadInput (no text of twelve words, nor three columns, to copy)."""
        column = next((c.name for c in frame.columns if c.type == "text"), "")
        rng = np.random.default_rng(seed)
        whole = joined(batches)
        texts = [str(text or "").split() for text in whole.values[column]] if column else []
        long = [at for at, words in enumerate(texts) if len(words) >= LEAST_WORDS]
        ids = np.sort(rng.choice(whole.ids, count, replace=False))
        if len(long) >= count:
            return _texts(batches, whole, column, texts, long, ids, rng), ids
        return _rows(batches, whole, frame, ids, rng), ids


def _texts(
    batches: Sequence[Batch],
    whole: Batch,
    column: str,
    texts: list[list[str]],
    long: list[int],
    ids: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Sequence[Batch]:
    model = int(rng.choice(long))
    words = np.concatenate([texts[at] for at in long[:1_000]])

    def written(_: object) -> str:
        copy = list(texts[model])
        for _ in range(int(rng.integers(3))):
            copy[int(rng.integers(len(copy)))] = str(rng.choice(words))
        return " ".join(copy)

    return rewritten(batches, ids, {column: written}, int(whole.labels[model]))


def _rows(
    batches: Sequence[Batch],
    whole: Batch,
    frame: Frame,
    ids: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Sequence[Batch]:
    """Each copy has one or two cells of other rows that differ from the model's."""
    model = int(rng.integers(len(whole.ids)))
    others: dict[str, npt.NDArray[Any]] = {}
    for column in frame.columns:
        if column.type in ("number", "category", "time"):
            cells = whole.values[column.name]
            hashes = hashing.of_column(cells, column)
            unlike = cells[hashes != hashes[model]]
            if len(unlike):
                others[column.name] = unlike
    if len(others) < LEAST_COLUMNS:
        raise BadInput(
            "no near copies can be planted here",
            why="there are too few long texts, and too few columns that differ",
        )
    changed = {
        int(record): set(rng.choice(sorted(others), int(rng.integers(1, 3)), replace=False))
        for record in ids
    }
    planted = []
    for batch in batches:
        at = np.flatnonzero(np.isin(batch.ids, ids))
        new = overwritten(batch, at, whole, model)
        for row in at:
            for name in sorted(changed[int(batch.ids[row])]):
                new.values[name][row] = rng.choice(others[name])
        planted.append(new)
    return planted
