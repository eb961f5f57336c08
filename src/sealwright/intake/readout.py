"""A version's rows, read out: filtered and masked before the first of them leaves.

Filters and masks are given; who gets which is ``policy``'s business
(``docs/spec/access-v1.md``, "Views"). What cannot be applied refuses the whole read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import Readable
from sealwright.intake import location, masks, tables
from sealwright.intake.manifest import TABLES, FileRecord
from sealwright.intake.recall import Memory
from sealwright.intake.streams import Silent, Tally, Watched, digest_of
from sealwright.intake.tables import Format

Form = Literal["csv", "parquet"]
_COMPARE: Mapping[str, Callable[..., pa.Array]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


class Shown(msgspec.Struct, frozen=True):
    """What may be seen: ``(column, operator, value)`` that rows must meet, and column → mask.

    Masks: ``drop``, ``null``, ``hash`` (a pseudonym under ``secret``), ``last4``.
    """

    rows: Sequence[tuple[str, str, str | int | bool]] = ()
    columns: Mapping[str, str] = msgspec.field(default_factory=dict)
    secret: bytes = b""


class Written(msgspec.Struct, frozen=True):
    """How much was written, of how much there is."""

    rows: int
    of: int
    columns: tuple[str, ...]


def batches(memory: Memory, project: Path, shown: Shown) -> Iterator[pa.RecordBatch]:
    """The rows that may be seen, in order. Raises: BadInput, VerifyError, Refused (shredded)."""
    manifest = memory.manifest
    if manifest.kind not in TABLES:
        raise BadInput(
            f"this dataset has no rows: it is {manifest.kind}",
            why="files are read by a training run, in a room",
            hint="seal run -- COMMAND",
        )
    _refuse_missing([field.name for field in manifest.schema.fields], shown)
    for file in manifest.files:
        for batch in _rows(memory, file, project):
            yield apply(batch, shown)


def apply(batch: pa.RecordBatch, shown: Shown) -> pa.RecordBatch:
    """Filter first, then mask: a row that is not shown is in no pseudonym either.

    Raises: BadInput (a filter compares a column with something else than it holds).
    """
    for column, operator, value in shown.rows:
        try:
            kept = _COMPARE[operator](batch.column(column), pa.scalar(value))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise BadInput(
                f"the row filter on {column!r} cannot be applied",
                why=str(error)[:200],
                hint="mend the view in policies/access/data.toml and activate it",
            ) from error
        batch = batch.filter(kept)  # null drops the row
    names, columns = [], []
    for name in batch.schema.names:
        mask = shown.columns.get(name, "")
        if mask != "drop":
            names.append(name)
            columns.append(_masked(batch.column(name), name, mask, shown.secret))
    return pa.RecordBatch.from_arrays(columns, names=names)


def write(rows: Iterator[pa.RecordBatch], sink: object, form: Form, of: int) -> Written:
    """Write ``rows`` to a binary ``sink``. Nothing is written where there is no column left."""
    first = next(rows, None)
    if first is None:
        return Written(0, of, ())
    if not first.schema.names:
        raise Refused(
            "no column of this dataset is yours to see",
            rule="access.nothing-shown",
            hint="seal access whoami",
        )
    count = 0
    writer = (
        pa_csv.CSVWriter(sink, first.schema)
        if form == "csv"
        else pq.ParquetWriter(sink, first.schema)
    )
    with writer:
        for batch in _chain(first, rows):
            writer.write_batch(batch)
            count += batch.num_rows
    return Written(count, of, tuple(first.schema.names))


def _rows(memory: Memory, file: FileRecord, project: Path) -> Iterator[pa.RecordBatch]:
    manifest = memory.manifest
    shown = manifest.relative(file.path)
    how = Format(manifest.kind, manifest.options)
    if not manifest.external:
        source: Readable = memory.store.open(memory.scope, file.stored())
        yield from tables.batches(how, source, shown, manifest.schema)
        return
    place = location.recorded(manifest.base, manifest.outside, manifest.folder, project)
    with Watched(place.open(file.path), shown) as found:
        if digest_of(found, Tally(Silent(), 0, "")) != file.sha256:
            raise VerifyError(
                f"{shown} is not what was signed",
                where=shown,
                why="its bytes were changed since",
                rule="data.changed",
                hint="seal data verify says what differs",
            )
        yield from tables.batches(how, found, shown, manifest.schema)
        found.check()


def _masked(column: pa.Array, name: str, mask: str, secret: bytes) -> pa.Array:
    if not mask:
        return column
    if mask == "null":
        return masks.null(column)
    if mask == "hash":
        return masks.pseudonyms(column, name, secret)
    if mask == "last4":
        return masks.last4(column)
    raise BadInput(f"there is no mask {mask!r}")


def _refuse_missing(names: Sequence[str], shown: Shown) -> None:
    """A rule about a column that is not there may be about a column under a new name."""
    wanted = [column for column, _, _ in shown.rows] + list(shown.columns)
    if odd := [column for column in wanted if column not in names]:
        raise Refused(
            f"a view speaks of the column {odd[0]!r}, and the data has none",
            why="a column that was renamed would be shown unmasked",
            hint="mend the view in policies/access/data.toml and activate it",
            rule="access.view-column",
        )


def _chain(first: pa.RecordBatch, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rows
