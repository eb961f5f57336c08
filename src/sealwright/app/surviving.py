"""``seal data survival``: how many poisoned records a table's predictions survive."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from sealwright.app import rows
from sealwright.app.wiring import Workspace
from sealwright.core.errors import BadInput
from sealwright.intake.versions import Dataset
from sealwright.scan import survival, tables
from sealwright.scan.interface import Batch
from sealwright.scan.survival import Certificate

MOST_ROWS = 500_000
"""All records are held at once: a certificate over a part of them would be of that part."""

_HELD_OUT = 5
_SEED = 20_260_101


def certify(
    workspace: Workspace, dataset: Dataset, test: Dataset | None, label: str, parts: int
) -> Certificate:
    """Over a fifth that is held out, or over ``test``. Raises: BadInput, MissingExtra."""
    label = label or dataset.label
    if not label:
        raise BadInput(
            f"{dataset.ref} has no label column",
            hint=f"seal data survival {dataset.name} --label C",
        )
    if dataset.rows > MOST_ROWS:
        raise BadInput(
            f"{dataset.ref} has {dataset.rows:,} records", why=f"at most {MOST_ROWS:,} are voted on"
        )
    if parts < 2:
        raise BadInput(f"{parts} parts cannot vote", hint="--parts 25")

    def opened() -> Any:
        return rows.of(workspace, dataset)[1]

    frame = tables.survey(opened, label=label).frame
    whole = _joined(list(tables.batches(opened, frame, label=label)))
    if test is None:
        order = np.random.default_rng(_SEED).permutation(len(whole.ids))
        cut = len(order) // _HELD_OUT
        held, train = survival.cut(whole, order[:cut]), survival.cut(whole, order[cut:])
    else:

        def tested() -> Any:
            return rows.of(workspace, test)[1]

        other = tables.survey(tested, label=label).frame
        if {c.name for c in frame.columns} - {c.name for c in other.columns}:
            raise BadInput(f"{test.ref} lacks columns of {dataset.ref}")
        train, held = whole, _joined(list(tables.batches(tested, frame, label=label)))
    return survival.certify(train, held, frame.columns, len(frame.labels), parts)


def _joined(batches: list[Batch]) -> Batch:
    if not batches:
        raise BadInput("there are no records")
    values = {
        name: np.concatenate([batch.values[name] for batch in batches])
        for name in batches[0].values
    }
    return msgspec.structs.replace(
        batches[0],
        ids=np.concatenate([batch.ids for batch in batches]),
        labels=np.concatenate([batch.labels for batch in batches]),
        sources=np.concatenate([batch.sources for batch in batches]),
        values=values,
    )
