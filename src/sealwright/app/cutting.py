"""The next version of a dataset without some of its records, their bytes otherwise untouched.

The project's files are written anew, since the next run reads them there; the version before
stays in the encrypted store with every record.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sealwright.app.datasets import memory_of, ports_of
from sealwright.core import digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.intake import add as intake
from sealwright.intake.add import AddRequest
from sealwright.intake.manifest import TABLES, FileRecord
from sealwright.intake.recall import Memory
from sealwright.intake.versions import Change, Dataset, Datasets

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

_QUOTE = b'"'


def without(workspace: Workspace, dataset: Dataset, records: Sequence[int], reason: str) -> Dataset:
    """Write the version's files without ``records``, and sign them as the next version.

    Raises: BadInput (nothing would be left, a newer version, signed in place, edited since),
    VerifyError (what was signed lacks other records than those: the files are put back).
    """
    memory = memory_of(workspace, dataset)
    _refuse_unfit(workspace, dataset, memory, records)
    cut = _by_file(memory, records)
    with _put_back_on_error() as changed:
        for file, rows in cut:
            path = workspace.root / memory.manifest.relative(file.path)
            kept = _kept(memory, file, rows)
            changed.append((path, path.read_bytes() if path.exists() else None))
            _replace(path, kept)
        request = AddRequest(
            path=str(workspace.root / memory.manifest.base),
            name=dataset.name,
            actor=workspace.principal.name,
            reason=reason,
            kind=dataset.kind,
            inputs=(dataset.artifact,),
            reread=True,
        )
        made = intake.add(request, ports_of(workspace)).dataset
        if made.signed.change != Change(0, len(records), 0):
            raise VerifyError(
                f"{made.ref} does not lack just the records that were rejected",
                where=made.ref,
                why=f"{made.signed.change.added} came, {made.signed.change.removed} went",
                hint=f"seal data revoke {made.ref} --reason '...'",
                rule="quarantine.cut",
            )
    return made


def csv_records(data: bytes) -> Iterator[bytes]:
    """The records of CSV bytes as they stand, the header first; empty lines go with the one
    before. A quoted cell may hold line breaks (RFC 4180)."""
    lines: list[bytes] = []
    quotes = 0
    for line in io.BytesIO(data):
        if lines and quotes % 2 == 0 and line.strip(b"\r\n"):
            yield b"".join(lines)
            lines, quotes = [], 0
        lines.append(line)
        quotes += line.count(_QUOTE)
    if lines:
        yield b"".join(lines)


def _refuse_unfit(
    workspace: Workspace, dataset: Dataset, memory: Memory, records: Sequence[int]
) -> None:
    newest = Datasets(workspace.history(), workspace.store).latest(dataset.name)
    manifest = memory.manifest
    if newest is not None and newest.version != dataset.version:
        raise BadInput(
            f"{dataset.ref} is not the newest version",
            why=f"{newest.ref} is, and a version without these records would undo it",
            hint=f"seal data check {newest.ref}",
        )
    if manifest.external or manifest.outside:
        raise BadInput(
            f"{dataset.ref} lies outside the project, or was signed in place",
            why="Sealwright does not change files that are not its own to write",
            hint=f"take the records out there (seal data quarantine show {dataset.ref}),"
            " then seal data add",
        )
    if len(records) >= manifest.rows:
        raise BadInput(f"nothing of {dataset.ref} would be left")
    for file in manifest.files:
        path = workspace.root / manifest.relative(file.path)
        if path.is_symlink() or (path.exists() and digest.of_file(path) != file.sha256):
            raise BadInput(
                f"{manifest.relative(file.path)} was changed after {dataset.ref} was signed",
                why="the change would be lost",
                hint=f"seal data add {manifest.base} --name {dataset.name} --reason '...',"
                " then check that version",
            )


def _by_file(memory: Memory, records: Sequence[int]) -> list[tuple[FileRecord, set[int]]]:
    """The files that have some of the records, and which of their rows."""
    found, first = [], 0
    wanted = sorted(set(records))
    for file in memory.manifest.files:
        rows = {at - first for at in wanted if first <= at < first + file.rows}
        if rows:
            found.append((file, rows))
        first += file.rows
    return found


def _kept(memory: Memory, file: FileRecord, rows: set[int]) -> bytes | None:
    """The file's bytes without those rows; None where none would be left."""
    if memory.manifest.kind not in TABLES or len(rows) == file.rows:
        return None
    data = memory.store.open(memory.scope, file.stored()).pread(0, file.size)
    if memory.manifest.kind == "parquet":
        return _parquet(data, rows)
    if memory.manifest.kind == "csv":
        head, *rest = csv_records(data)
    else:
        head, rest = b"", [line for line in io.BytesIO(data) if line.strip()]
    if len(rest) != file.rows:
        raise BadInput(
            f"{file.path} has {file.rows:,} records, and {len(rest):,} can be told apart",
            why="its quotes or line breaks are unusual",
            hint="take the records out yourself, then seal data add",
        )
    return head + b"".join(_left(rest, rows))


def _left(items: Iterable[bytes], rows: set[int]) -> Iterator[bytes]:
    return (item for at, item in enumerate(items) if at not in rows)


def _parquet(data: bytes, rows: set[int]) -> bytes:
    table = pq.read_table(pa.BufferReader(data))
    mask = pa.array([at not in rows for at in range(table.num_rows)])
    sink = io.BytesIO()
    pq.write_table(table.filter(mask), sink)
    return sink.getvalue()


def _replace(path: Path, content: bytes | None) -> None:
    """Whole or not at all; None takes the file away."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.seal-partial")
    with open(partial, "wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())
    partial.replace(path)


@contextmanager
def _put_back_on_error() -> Iterator[list[tuple[Path, bytes | None]]]:
    changed: list[tuple[Path, bytes | None]] = []
    try:
        yield changed
    except BaseException:
        for path, before in changed:
            _replace(path, before)
        raise
