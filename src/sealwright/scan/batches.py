"""Rows of batches: some of them, by id, or several batches as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch


def picked(batches: Sequence[Batch], ids: npt.NDArray[np.int64]) -> Batch:
    """The records ``ids`` (sorted) as one batch, in that order."""
    parts = []
    for batch in batches:
        at = np.flatnonzero(np.isin(batch.ids, ids))
        if len(at):
            parts.append(taken(batch, at))
    one = joined(parts)
    return taken(one, np.argsort(one.ids, kind="stable"))


def taken(batch: Batch, at: npt.NDArray[np.int64]) -> Batch:
    """The rows ``at`` of a batch."""
    return Batch(
        batch.ids[at],
        batch.labels[at],
        batch.sources[at],
        {name: column[at] for name, column in batch.values.items()},
        None if batch.images is None else batch.images[at],
        None if batch.vectors is None else batch.vectors[at],
    )


def joined(parts: Sequence[Batch]) -> Batch:
    """Batches of one shape as one."""
    first = parts[0]
    return Batch(
        np.concatenate([one.ids for one in parts]),
        np.concatenate([one.labels for one in parts]),
        np.concatenate([one.sources for one in parts]),
        {name: np.concatenate([one.values[name] for one in parts]) for name in first.values},
        None
        if first.images is None
        else np.concatenate([one.images for one in parts if one.images is not None]),
        None
        if first.vectors is None
        else np.concatenate([one.vectors for one in parts if one.vectors is not None]),
    )
