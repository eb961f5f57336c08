"""What planters share: whose rows are taken, and how cells and labels are written over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput
from sealwright.scan.interface import Batch

ENOUGH_ROWS = 20


def victims(
    labels: npt.NDArray[np.int32], count: int, rng: np.random.Generator, clean: bool = False
) -> tuple[int, npt.NDArray[np.int64]]:
    """A target label and ``count`` rows of other labels (of its own where ``clean``).

    Of two labels the rarer is the target; of more, any with 20 rows. Raises: BadInput.
    """
    counts = np.bincount(labels[labels >= 0])
    able = np.flatnonzero(counts >= ENOUGH_ROWS)
    if len(able) == 2:
        able = able[[int(np.argmin(counts[able]))]]
    if not len(able) or np.count_nonzero(counts) < 2:
        raise BadInput("nothing can be planted here", why="fewer than two labels have 20 records")
    target = int(rng.choice(able))
    pool = np.flatnonzero((labels >= 0) & ((labels == target) == clean))
    if len(pool) < 2 * count:
        raise BadInput("nothing can be planted here", why=f"{count} rows are half of all there are")
    return target, rng.choice(pool, count, replace=False)


def rewritten(
    batches: Sequence[Batch],
    ids: npt.NDArray[np.int64],
    cells: Mapping[str, Any],
    target: int,
) -> Sequence[Batch]:
    """The batches with ``cells`` and the label ``target`` in the records ``ids``.

    A cell is one value for all of them, or a function from the old value to the new.
    """
    out = []
    for batch in batches:
        at = np.flatnonzero(np.isin(batch.ids, ids))
        if not len(at):
            out.append(batch)
            continue
        labels = batch.labels.copy()
        labels[at] = target
        values = dict(batch.values)
        for name, cell in cells.items():
            column = values[name].copy()
            column[at] = [cell(old) for old in column[at]] if callable(cell) else cell
            values[name] = column
        out.append(msgspec.structs.replace(batch, labels=labels, values=values))
    return out
