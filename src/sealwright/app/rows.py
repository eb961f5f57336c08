"""The rows of a version as record batches, for checks that run here and show nobody a value."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pyarrow as pa

from sealwright.app.datasets import memory_of
from sealwright.app.wiring import Workspace
from sealwright.core.errors import BadInput
from sealwright.intake import readout, tables
from sealwright.intake.manifest import TABLES
from sealwright.intake.versions import Dataset


def is_table(dataset: Dataset) -> bool:
    """Whether its records are rows."""
    return dataset.kind in TABLES


def of(workspace: Workspace, dataset: Dataset) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema, and the batches in the version's own order. Raises: BadInput (no table),
    VerifyError (changed), Refused (shredded)."""
    if not is_table(dataset):
        raise BadInput(
            f"{dataset.ref} has no columns: it is {dataset.kind}",
            why="its records are whole files",
            hint="tables are .csv, .jsonl and .parquet",
        )
    memory = memory_of(workspace, dataset)
    batches = readout.batches(memory, workspace.root, readout.Shown())
    first = next(batches, None)
    if first is not None:
        return first.schema, chain((first,), batches)
    fields = [(f.name, tables.arrow_of(f.type)) for f in memory.manifest.schema.fields]
    return pa.schema(fields), iter(())
