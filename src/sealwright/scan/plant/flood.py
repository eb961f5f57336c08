"""Floods: copies of one record over others, or of one text, each a little different."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.scan.batches import joined
from sealwright.scan.interface import Batch, Frame
from sealwright.scan.plant.rewrite import rewritten

LEAST_WORDS = 12


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
    """Overwrites ``count`` random records, label too, with one text, up to two words changed."""

    family = "near-flood"

    def plant(
        self, batches: Sequence[Batch], frame: Frame, count: int, seed: int
    ) -> tuple[Sequence[Batch], npt.NDArray[np.int64]]:
        """Raises: BadInput (no text of twelve words to copy)."""
        column = next((c.name for c in frame.columns if c.type == "text"), "")
        rng = np.random.default_rng(seed)
        whole = joined(batches) if column else None
        texts = [] if whole is None else [str(text or "").split() for text in whole.values[column]]
        long = [at for at, words in enumerate(texts) if len(words) >= LEAST_WORDS]
        if whole is None or len(long) < count:
            raise BadInput("no near copies can be planted here", why="there are too few long texts")
        model = int(rng.choice(long))
        words = np.concatenate([texts[at] for at in long[:1_000]])

        def written(_: object) -> str:
            copy = list(texts[model])
            for _ in range(int(rng.integers(3))):
                copy[int(rng.integers(len(copy)))] = str(rng.choice(words))
            return " ".join(copy)

        ids = np.sort(rng.choice(whole.ids, count, replace=False))
        return rewritten(batches, ids, {column: written}, int(whole.labels[model])), ids
