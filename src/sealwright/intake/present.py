"""A version's records as detectors read them: typed columns, label and source codes, in order.

Two passes over the version: :func:`survey` finds the labels, the sources and how each column
reads; :func:`write` writes the rows as an Arrow IPC stream, in batches. A record's number is its
place in the version, from 0.
Source: docs/spec/screening-v1.md, "What is read".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sealwright.core.errors import BadInput
from sealwright.intake.readout import Shown, batches
from sealwright.intake.recall import Memory
from sealwright.intake.schema import FieldType

Reading = Literal["number", "category", "text", "time", "vector"]

MOST_LABELS = 100_000
_MOST_NUMERIC_LABELS = 1_000
_TEXT_FROM_WORDS = 3.0
_TEXT_FROM_CHARACTERS = 20.0
_LOOKED_AT_ROWS = 20_000
_NUMBERS = frozenset({"bool", "int", "uint64", "float16", "float32", "float64", "decimal"})
_TIMES = frozenset({"timestamp", "timestamp-utc", "date", "time", "duration"})


class ColumnReading(msgspec.Struct, frozen=True):
    """One column and how it is read. ``size`` is a vector's length."""

    name: str
    type: Reading
    size: int = 0


class Shape(msgspec.Struct, frozen=True):
    """What the first pass found. ``labels`` and ``sources`` are names by code; ``skipped`` the
    columns of a type that no detector reads; ``notes`` what a person should know of it."""

    rows: int
    columns: tuple[ColumnReading, ...]
    label: str
    labels: tuple[str, ...]
    source: str
    sources: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def survey(memory: Memory, project: Path, label: str, source: str) -> Shape:
    """The first pass. ``source`` empty: the file a record stands in, where there are several.

    Raises: BadInput (no such column), VerifyError, Refused (shredded).
    """
    manifest = memory.manifest
    kinds = {field.name: field.type for field in manifest.schema.fields}
    for role, name in (("label", label), ("source", source)):
        if name and name not in kinds:
            raise BadInput(
                f"there is no column {name!r} to be the {role}",
                why=f"the data has {', '.join(list(kinds)[:12])}",
                hint="edit seal.toml",
            )
    first = _First(kinds, {label, source} - {""})
    for batch in batches(memory, project, Shown()):
        first.at(batch)
    labels, notes = _labels(kinds.get(label), first.values(label))
    columns, skipped = first.columns()
    files = tuple((manifest.relative(file.path), file.rows) for file in manifest.files)
    names = tuple(name for name, _ in files) if len(files) > 1 else ()
    return Shape(
        rows=manifest.rows,
        columns=columns,
        label=label,
        labels=labels,
        source=source,
        sources=first.values(source) if source else names,
        files=files,
        skipped=skipped,
        notes=notes,
    )


def write(memory: Memory, project: Path, shape: Shape, sink: BinaryIO) -> None:
    """The second pass: every row into ``sink``, as one Arrow IPC stream."""
    with pa.ipc.new_stream(sink, _schema(shape)) as writer:
        for batch in _rows(memory, project, shape):
            writer.write_batch(batch)


def sources_of(memory: Memory, project: Path, shape: Shape, records: Sequence[int]) -> list[str]:
    """Which source each of ``records`` came from; empty where it has none."""
    wanted, found, first = sorted(set(records)), dict[int, str](), 0
    for batch in _rows(memory, project, shape):
        inside = [at for at in wanted if first <= at < first + batch.num_rows]
        codes = batch.column("source")
        for at in inside:
            code = codes[at - first].as_py()
            found[at] = shape.sources[code] if code >= 0 else ""
        first += batch.num_rows
    return [found.get(at, "") for at in records]


class _First:
    """What the first pass gathers: the values of some columns, the looks of the others."""

    def __init__(self, kinds: Mapping[str, FieldType], roles: set[str]) -> None:
        self._kinds = {name: kind for name, kind in kinds.items() if name not in roles}
        self._seen: dict[str, dict[str, None]] = {name: {} for name in roles}
        self._looks = {name: _Look() for name, k in self._kinds.items() if _reads_as_words(k)}
        self._widths = {name: _Width() for name, k in self._kinds.items() if _is_vector(k)}

    def at(self, batch: pa.RecordBatch) -> None:
        for name, into in self._seen.items():
            _collect(batch.column(name), into)
        for name, look in self._looks.items():
            look.at(batch.column(name))
        for name, width in self._widths.items():
            width.at(batch.column(name))

    def values(self, role: str) -> tuple[str, ...]:
        return tuple(sorted(self._seen.get(role, ())))

    def columns(self) -> tuple[tuple[ColumnReading, ...], tuple[str, ...]]:
        """Those that are read, and the names of those that are not."""
        found, skipped = [], []
        for name, kind in self._kinds.items():
            reading = _reading(name, kind, self._looks.get(name), self._widths.get(name))
            if reading is not None:
                found.append(reading)
            elif kind.kind != "null":
                skipped.append(name)
        return tuple(found), tuple(skipped)


class _Look:
    """How a string column reads: over its first rows."""

    def __init__(self) -> None:
        self.rows = self.words = self.characters = 0

    def at(self, column: pa.Array) -> None:
        if self.rows >= _LOOKED_AT_ROWS:
            return
        some = pc.drop_null(_texts(column.slice(0, _LOOKED_AT_ROWS - self.rows)))
        self.rows += len(some)
        self.characters += pc.sum(pc.utf8_length(some)).as_py() or 0
        self.words += len(some) + (pc.sum(pc.count_substring(some, " ")).as_py() or 0)

    @property
    def is_text(self) -> bool:
        rows = max(1, self.rows)
        return (
            self.words / rows >= _TEXT_FROM_WORDS
            and self.characters / rows >= _TEXT_FROM_CHARACTERS
        )


class _Width:
    """The one length of a list column; 0 where lengths differ or a list is missing."""

    def __init__(self) -> None:
        self.size = -1

    def at(self, column: pa.Array) -> None:
        if not len(column) or self.size == 0:
            return
        lengths = pc.min_max(pc.fill_null(pc.list_value_length(column), 0)).as_py()
        same = lengths["min"] == lengths["max"] and self.size in (-1, lengths["min"])
        self.size = lengths["min"] if same else 0


def _is_vector(kind: FieldType) -> bool:
    return kind.kind == "list" and kind.children[0].type.kind in _NUMBERS


def _reading(
    name: str, kind: FieldType, look: _Look | None, width: _Width | None
) -> ColumnReading | None:
    if kind.kind in _NUMBERS:
        return ColumnReading(name, "number")
    if kind.kind in _TIMES:
        return ColumnReading(name, "time")
    if width is not None and width.size > 0:
        return ColumnReading(name, "vector", width.size)
    if look is not None:
        return ColumnReading(name, "text" if look.is_text else "category")
    return None


def _reads_as_words(kind: FieldType) -> bool:
    """Strings, and what is nested, as Python writes it; raw bytes are not read."""
    return kind.kind not in _NUMBERS | _TIMES | {"binary", "null"}


def _labels(
    kind: FieldType | None, found: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes; none where the label is a quantity, which is said."""
    if kind is None:
        return (), ()
    quantity = kind.kind.startswith("float") or kind.kind == "decimal"
    most = _MOST_NUMERIC_LABELS if quantity else MOST_LABELS
    if len(found) > most:
        return (), (f"the label has {len(found):,} values: it was read as no class at all",)
    return found, ()


def _collect(column: pa.Array, into: dict[str, None]) -> None:
    for value in _texts(column).unique().to_pylist():
        if value is not None:
            into[value] = None


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _texts(column: pa.Array) -> pa.Array:
    """Values as text, the same for the same value in every file."""
    column = _plain(column)
    try:
        return pc.cast(column, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())


def _schema(shape: Shape) -> pa.Schema:
    types: Mapping[Reading, pa.DataType] = {
        "number": pa.float64(),
        "time": pa.float64(),
        "category": pa.string(),
        "text": pa.string(),
    }
    fields = [
        (str(at), types.get(one.type) or pa.list_(pa.float32(), one.size))
        for at, one in enumerate(shape.columns)
    ]
    return pa.schema([*fields, ("label", pa.int32()), ("source", pa.int32())])


def _rows(memory: Memory, project: Path, shape: Shape) -> Iterator[pa.RecordBatch]:
    schema = _schema(shape)
    labels, sources = pa.array(shape.labels, pa.string()), pa.array(shape.sources, pa.string())
    first = 0
    for batch in batches(memory, project, Shown()):
        columns = [_values(batch.column(one.name), one) for one in shape.columns]
        columns.append(_codes(batch, shape.label if shape.labels else "", labels))
        if shape.source:
            columns.append(_codes(batch, shape.source, sources))
        else:
            columns.append(_file_codes(shape, first, batch.num_rows))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
        first += batch.num_rows


def _codes(batch: pa.RecordBatch, column: str, names: pa.Array) -> pa.Array:
    if not column:
        return pa.array([-1] * batch.num_rows, pa.int32())
    return pc.fill_null(pc.index_in(_texts(batch.column(column)), names), -1)


def _file_codes(shape: Shape, first: int, rows: int) -> pa.Array:
    codes, start = [], 0
    for code, (_, many) in enumerate(shape.files):
        overlap = max(0, min(first + rows, start + many) - max(first, start))
        codes += [code if shape.sources else -1] * overlap
        start += many
    return pa.array(codes, pa.int32())


def _values(column: pa.Array, one: ColumnReading) -> pa.Array:
    column = _plain(column)
    if one.type == "vector":
        flat = pc.cast(pc.list_flatten(column), pa.float32(), safe=False)
        return pa.FixedSizeListArray.from_arrays(flat, one.size)
    if one.type in ("category", "text"):
        return _texts(column)
    if one.type == "time":
        return _seconds(column)
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    return pc.cast(column, pa.float64(), safe=False)


def _seconds(column: pa.Array) -> pa.Array:
    """Times as seconds: since the epoch, of the day, or long."""
    kind = column.type
    if pa.types.is_date(kind):
        column = pc.cast(column, pa.timestamp("s"))
    unit = getattr(column.type, "unit", "s")
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
    wide = pa.int32() if pa.types.is_time32(column.type) else pa.int64()
    return pc.divide(pc.cast(pc.cast(column, wide), pa.float64(), safe=False), scale)
