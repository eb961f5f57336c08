"""Files of records, one interface: what types a file allows, one schema for all, its batches.

Memory stays constant: a file is read in record batches, whatever its length.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sealwright.core.digest import CHUNK_BYTES
from sealwright.core.errors import BadInput
from sealwright.core.ports import Readable
from sealwright.intake import csvtext, jsonlines, textfault
from sealwright.intake.manifest import Kind
from sealwright.intake.schema import FieldType, RecordSchema, schema_of, type_of
from sealwright.intake.streams import Reader, Tally

BATCH_ROWS = 1 << 16


class Probe(msgspec.Struct, frozen=True):
    """What a look at one file found. ``fits`` goes into the manifest; see there."""

    name: str
    rows: int
    columns: tuple[str, ...]
    fits: Any = None
    schema: RecordSchema | None = None


class Format(msgspec.Struct, frozen=True):
    """How a dataset's files are read: its kind and its options (``delimiter`` for CSV)."""

    kind: Kind
    options: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def delimiter(self) -> str:
        """The CSV delimiter."""
        return self.options.get("delimiter", ",")


def probe(how: Format, source: Readable, name: str, tally: Tally | None = None) -> Probe:
    """Look at one file: text kinds are read to the end, of Parquet only the footer.

    Raises: BadInput, naming the file and the line or byte.
    """

    def opened() -> BinaryIO:
        return io.BufferedReader(Reader(source, tally), CHUNK_BYTES)

    if source.size == 0:
        raise BadInput(f"{name} is empty", why="it has 0 bytes", hint="write the data to it first")
    if how.kind == "csv":
        masks, rows = csvtext.scan(opened, name, how.delimiter)
        return Probe(name, rows, tuple(masks), list(masks.items()))
    if how.kind == "jsonl":
        kind, rows = jsonlines.scan(opened, name)
        columns = tuple(kind.field(index).name for index in range(kind.num_fields))
        return Probe(name, rows, columns, msgspec.to_builtins(type_of(kind, name)))
    file = _parquet(source, name)
    textfault.check_columns(file.schema_arrow.names, name)
    names = tuple(file.schema_arrow.names)
    return Probe(name, file.metadata.num_rows, names, None, schema_of(file.schema_arrow))


def unify(how: Format, probes: Sequence[Probe]) -> RecordSchema:
    """The one schema of all files. Raises: BadInput, naming the file that does not fit."""
    first = probes[0]
    if how.kind == "jsonl":
        kinds = [(each.name, arrow_of(msgspec.convert(each.fits, FieldType))) for each in probes]
        return schema_of(jsonlines.schema_of_files(kinds))
    for each in probes[1:]:
        if each.columns != first.columns:
            raise textfault.other_columns(each.name, each.columns, first.columns)
    if how.kind == "csv":
        masks = [dict(each.fits) for each in probes]
        return schema_of(csvtext.join(masks))
    for each in probes[1:]:
        if each.schema != first.schema:
            raise _other_types(first, each)
    assert first.schema is not None  # noqa: S101  a Parquet probe always has one
    return first.schema


def batches(
    how: Format, source: Readable, name: str, schema: RecordSchema, tally: Tally | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of one file under the dataset's schema. Raises: BadInput."""

    def opened() -> BinaryIO:
        return io.BufferedReader(Reader(source, tally), CHUNK_BYTES)

    if how.kind == "csv":
        arrow = _arrow_schema(schema)
        yield from csvtext.batches(opened, name, how.delimiter, arrow)
    elif how.kind == "jsonl":
        yield from jsonlines.batches(opened, name, _arrow_schema(schema))
    else:
        yield from _parquet_batches(source, name, tally)


def arrow_of(kind: FieldType) -> pa.DataType:
    """The Arrow type of a text kind's column (those the two readers can infer)."""
    simple = {
        "null": pa.null(),
        "bool": pa.bool_(),
        "int": pa.int64(),
        "float64": pa.float64(),
        "string": pa.string(),
    }
    if kind.kind == "list":
        return pa.list_(arrow_of(kind.children[0].type))
    if kind.kind == "struct":
        return pa.struct([(child.name, arrow_of(child.type)) for child in kind.children])
    return simple[kind.kind]


def _arrow_schema(schema: RecordSchema) -> pa.Schema:
    return pa.schema([(field.name, arrow_of(field.type)) for field in schema.fields])


def _parquet(source: Readable, name: str, tally: Tally | None = None) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(pa.PythonFile(Reader(source, tally), mode="r"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _not_parquet(source, name, error) from error


def _parquet_batches(source: Readable, name: str, tally: Tally | None) -> Iterator[pa.RecordBatch]:
    file = _parquet(source, name, tally)
    try:
        for group in range(file.metadata.num_row_groups):
            yield from file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group])
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(source, name, error) from error


def _not_parquet(source: Readable, name: str, error: Exception) -> BadInput:
    head, tail = source.pread(0, 4), source.pread(max(0, source.size - 4), 4)
    if head == b"PAR1" and tail != b"PAR1":
        what = f"{name} is a truncated Parquet file"
        why = f"it ends after {source.size:,} bytes without the footer that holds its schema"
    elif head != b"PAR1":
        what, why = f"{name} is not a Parquet file", f"it starts with {head!r}, not b'PAR1'"
    else:
        what, why = f"{name} is a damaged Parquet file", str(error)[:300]
    return BadInput(what, why=why, hint="write or copy the file again")


def _other_types(first: Probe, other: Probe) -> BadInput:
    assert first.schema is not None  # noqa: S101
    assert other.schema is not None  # noqa: S101
    pairs = zip(first.schema.fields, other.schema.fields, strict=True)
    one, two = next((one, two) for one, two in pairs if one != two)
    return BadInput(
        f"{other.name}: column {two.name!r} is {two.type.kind}, it is {one.type.kind} in "
        f"{first.name}",
        why="the files of a dataset have one schema",
        hint=f"write {other.name} again with that column as {one.type.kind}",
    )
