"""A flood in embeddings: many vectors close to one of them, under one label."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Frame

SPREAD = 0.05
"""Of the vectors' own standard deviation."""


class Flood:
    """Overwrites ``count`` vectors with noisy copies of one; the label goes with it."""

    family = "embedding:flood"

    def plant(
        self, batches: Sequence[Batch], frame: Frame, count: int, seed: int
    ) -> tuple[Sequence[Batch], npt.NDArray[np.int64]]:
        """The records with a cluster of ``count``, and where."""
        rng = np.random.default_rng(seed)
        ids = np.concatenate([batch.ids for batch in batches if batch.vectors is not None])
        chosen = rng.choice(ids, min(count, len(ids)), replace=False)
        first = next(batch for batch in batches if np.isin(chosen[0], batch.ids))
        at = int(np.flatnonzero(first.ids == chosen[0])[0])
        if first.vectors is None:
            return batches, np.empty(0, np.int64)
        model, label = first.vectors[at].copy(), int(first.labels[at])
        spread = SPREAD * first.vectors.std(0)
        planted = [_near(batch, chosen, model, label, spread, rng) for batch in batches]
        return planted, np.sort(chosen)


def _near(
    batch: Batch,
    chosen: npt.NDArray[np.int64],
    model: npt.NDArray[np.float32],
    label: int,
    spread: npt.NDArray[np.float32],
    rng: np.random.Generator,
) -> Batch:
    at = np.flatnonzero(np.isin(batch.ids, chosen))
    if batch.vectors is None or not len(at):
        return batch
    vectors, labels = batch.vectors.copy(), batch.labels.copy()
    vectors[at] = model + rng.normal(size=(len(at), len(model))) * spread
    labels[at] = label
    return msgspec.structs.replace(batch, vectors=vectors, labels=labels)
