"""A version's records as the jailed worker reads them: Arrow IPC streams, in the version's order.

A record's number is its place in the version, from 0: its file in manifest order, its row in
the file. Nothing is decoded here but tables, which ``seal data add`` read before; pictures go
in as they are. Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa

from sealwright.core.errors import BadInput
from sealwright.intake.manifest import FileRecord
from sealwright.intake.readout import Shown, batches
from sealwright.intake.recall import Memory

FILE_COLUMN = "seal:file"
TEXT_COLUMN, FOLDER_COLUMN = "text", "folder"
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"})
_TEXTS = frozenset({".txt", ".md", ".text"})
_TEXT_BYTES = 1 << 20


def write_table(memory: Memory, project: Path, file: FileRecord, sink: BinaryIO) -> None:
    """One file's rows as a stream of its own. Where the version has several files, the column
    :data:`FILE_COLUMN` says which one this is.

    Raises: BadInput (a column of that name), VerifyError, Refused (shredded).
    """
    one = _alone(memory, file)
    told = memory.manifest.relative(file.path) if len(memory.manifest.files) > 1 else ""
    writer: pa.RecordBatchStreamWriter | None = None
    for batch in batches(one, project, Shown()):
        if FILE_COLUMN in batch.schema.names:
            raise BadInput(f"a column is called {FILE_COLUMN}", hint="call it something else")
        wide = _with_file(batch, told) if told else batch
        if writer is None:
            writer = pa.ipc.new_stream(sink, wide.schema)
        writer.write_batch(wide)
    if writer is None:
        writer = pa.ipc.new_stream(sink, pa.schema([(FILE_COLUMN, pa.string())]))
    writer.close()


def write_texts(memory: Memory, files: Sequence[FileRecord], sink: BinaryIO) -> None:
    """Text files as a table, a record each: its text, its first folder, the file."""
    schema = pa.schema([(n, pa.string()) for n in (TEXT_COLUMN, FOLDER_COLUMN, FILE_COLUMN)])
    with pa.ipc.new_stream(sink, schema) as writer:
        for file in files:
            text = memory.store.open(memory.scope, file.stored()).pread(0, _TEXT_BYTES)
            row = [[text.decode("utf-8", "replace")], [folder_of(file.path) or None]]
            columns = [*row, [memory.manifest.relative(file.path)]]
            arrays = [pa.array(column, pa.string()) for column in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def column_of(memory: Memory, project: Path, name: str, records: Sequence[int]) -> list[str]:
    """One column's cells at ``records``, as text; empty where missing. ``name`` may be
    :data:`FILE_COLUMN`."""
    wanted, found = sorted(set(records)), dict[int, str]()
    for first, batch in _numbered(memory, project):
        for at in wanted:
            if first <= at < first + batch.num_rows:
                value = batch.column(name)[at - first].as_py()
                found[at] = "" if value is None else str(value)
    return [found.get(at, "") for at in records]


def rows_of(memory: Memory, project: Path, records: Sequence[int]) -> list[dict[str, str]]:
    """The cells of ``records``, by column, as text."""
    wanted, found = sorted(set(records)), dict[int, dict[str, str]]()
    for first, batch in _numbered(memory, project):
        for at in wanted:
            if first <= at < first + batch.num_rows:
                row = batch.slice(at - first, 1).to_pylist()[0]
                found[at] = {k: "" if v is None else str(v) for k, v in row.items()}
    return [found.get(at, {}) for at in records]


def is_picture(path: str) -> bool:
    """By its suffix; what it holds is looked at in the jail."""
    return Path(path).suffix.lower() in _PICTURES


def is_text(path: str) -> bool:
    """By its suffix."""
    return Path(path).suffix.lower() in _TEXTS


def folder_of(path: str) -> str:
    """The first folder of a path, which labels an image; empty for none."""
    return path.split("/")[0] if "/" in path else ""


def origin_of(path: str) -> str:
    """The folders below the label, where a feed has one of its own; empty for none."""
    return "/".join(path.split("/")[1:-1])


def _numbered(memory: Memory, project: Path) -> Iterator[tuple[int, pa.RecordBatch]]:
    first = 0
    for file in memory.manifest.files:
        name = memory.manifest.relative(file.path)
        for batch in batches(_alone(memory, file), project, Shown()):
            yield first, _with_file(batch, name)
            first += batch.num_rows


def _with_file(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    return batch.append_column(FILE_COLUMN, pa.array([name] * batch.num_rows, pa.string()))


def _alone(memory: Memory, file: FileRecord) -> Memory:
    manifest = msgspec.structs.replace(memory.manifest, files=(file,))
    return msgspec.structs.replace(memory, manifest=manifest)
