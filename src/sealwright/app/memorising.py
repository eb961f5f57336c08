"""The set of memorised runs of a data version: hashes of its words in a row, and no word."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from sealwright.app import accessing, rows
from sealwright.app.wiring import Workspace
from sealwright.core.errors import BadInput
from sealwright.core.ports import Progress
from sealwright.intake.versions import Dataset
from sealwright.serve import memorised


def make(
    workspace: Workspace,
    dataset: Dataset,
    columns: Sequence[str],
    out: Path,
    words: int,
    progress: Progress,
) -> int:
    """Write the set of ``columns`` (all that hold text, if none is named); how many runs it holds.

    Raises: BadInput (no table, no such column, no text), GateDenied, VerifyError, Refused.
    """
    accessing.require(workspace, "view", [dataset.artifact], size_bytes=dataset.size_bytes)
    data = memorised.written(_texts(workspace, dataset, columns, progress), words)
    found = memorised.read(data)
    if not len(found):
        raise BadInput(
            f"{dataset.ref} has no {words} words in a row that are its own",
            hint="name the column of texts: --column NAME",
        )
    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as stream:
        stream.write(data)
    return len(found)


def _texts(
    workspace: Workspace, dataset: Dataset, columns: Sequence[str], progress: Progress
) -> Iterator[str]:
    schema, batches = rows.of(workspace, dataset)
    unknown = sorted(set(columns) - set(schema.names))
    if unknown:
        raise BadInput(f"{dataset.ref} has no column {unknown[0]!r}", why=", ".join(schema.names))
    done = 0
    for batch in batches:
        for name in columns or schema.names:
            yield from (each for each in batch.column(name).to_pylist() if isinstance(each, str))
        done += batch.num_rows
        progress.advance(done, dataset.rows, "rows read")
