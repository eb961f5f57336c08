"""A flood: copies of one record over others."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Frame


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
