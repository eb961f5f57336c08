"""Arrow tables as batches: one look to learn types and labels, then a pass for each that asks.

Types are guessed from the cells, since many tables arrive as strings: a column is a number when
at least 95 % of its cells are, text when they read like sentences, a category otherwise. Cells
that do not fit their column's type are missing to the detectors and are counted as a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sealwright.core.errors import BadInput
from sealwright.scan.interface import Batch, Column, Fact, Frame, Type

Opened = Callable[[], Iterable[pa.RecordBatch]]
MOSTLY = 0.95
TEXT_WORDS = 3.0
TEXT_CHARACTERS = 40.0
MOST_LABELS = 200_000
MISSING_WORDS = ("", "?", "na", "n/a", "nan", "null", "none")


class Survey(msgspec.Struct, frozen=True):
    """What one look over a table found."""

    frame: Frame
    facts: tuple[Fact, ...]


class _Tally:
    """Counts over one column of strings or numbers."""

    def __init__(self) -> None:
        self.cells = self.numbers = self.words = self.characters = self.infinite = 0

    def add(self, column: pa.Array) -> None:
        """Take in one batch's cells."""
        if _is_time(column.type) or not _is_string(column.type):
            return
        present = pc.drop_null(column)
        parsed = _floats(present)
        self.cells += len(present) - _blank(present)
        self.numbers += int(np.sum(~np.isnan(parsed)))
        self.infinite += int(np.sum(np.isinf(parsed)))
        self.characters += int(pc.sum(pc.utf8_length(present)).as_py() or 0)
        spaces = pc.count_substring_regex(present, r"\s+")
        self.words += int(pc.sum(spaces).as_py() or 0) + len(present)

    def type(self, arrow: pa.DataType) -> Type:
        """How detectors should read the column."""
        if _is_time(arrow):
            return "time"
        if not _is_string(arrow):
            return "category" if pa.types.is_boolean(arrow) else "number"
        if self.cells and self.numbers >= MOSTLY * self.cells:
            return "number"
        long = self.characters > TEXT_CHARACTERS * self.cells
        return (
            "text" if self.cells and (self.words > TEXT_WORDS * self.cells or long) else "category"
        )


def survey(
    opened: Opened,
    *,
    label: str = "",
    source: str = "",
    types: Mapping[str, Type] | None = None,
    seed: int = 0,
    review: int = 0,
) -> Survey:
    """One pass: rows, types, names of labels and sources, cells that do not fit.

    Raises: BadInput (no such label or source column, more than 200,000 labels).
    """
    rows, tallies, kinds = 0, dict[str, _Tally](), dict[str, pa.DataType]()
    labels, sources = set[str](), set[str]()
    for batch in opened():
        rows += batch.num_rows
        for name in batch.schema.names:
            column = flat(batch.column(name))
            if name in (label, source):
                (labels if name == label else sources).update(_names(column))
            else:
                tallies.setdefault(name, _Tally()).add(column)
                kinds.setdefault(name, column.type)
        _hold(batch.schema.names, label, source, len(labels))
    known = {
        name: (types or {}).get(name, tally.type(kinds[name])) for name, tally in tallies.items()
    }
    columns = tuple(Column(name, kind) for name, kind in known.items())
    cap = review or min(200, max(1, rows // 1000))
    frame = Frame(rows, columns, tuple(sorted(labels)), tuple(sorted(sources)), seed, 0.01, cap)
    return Survey(frame, tuple(_facts(known, tallies, frame, bool(label))))


def batches(opened: Opened, frame: Frame, *, label: str = "", source: str = "") -> Iterator[Batch]:
    """The table's records in its own order; ids count from 0."""
    start = 0
    for batch in opened():
        size = batch.num_rows
        ids = np.arange(start, start + size, dtype=np.int64)
        start += size
        values = {c.name: cells(batch.column(c.name), c.type) for c in frame.columns}
        yield Batch(
            ids,
            _codes(batch, label, frame.labels),
            _codes(batch, source, frame.sources),
            values,
        )


def cells(column: pa.Array, kind: Type) -> npt.NDArray[Any]:
    """A column as detectors read it (see ``Batch.values``)."""
    column = flat(column)
    if kind == "number":
        return _floats(column)
    if kind == "time":
        return _times(column)
    return np.array(_strings(column).to_pylist(), dtype=object)


def flat(column: pa.Array) -> pa.Array:
    """Dictionaries decoded; lists and structs, which no detector reads, as their text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return pa.array([None if x is None else str(x) for x in column.to_pylist()], pa.string())
    return column


def _floats(column: pa.Array) -> npt.NDArray[np.float64]:
    if not _is_string(column.type):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    distinct = column.dictionary_encode()
    known = np.array([_float(word) for word in distinct.dictionary.to_pylist()] + [np.nan])
    at = distinct.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
    return np.asarray(known[at], np.float64)


def _float(word: str) -> float:
    try:
        return float(word) if len(word) < 64 and "_" not in word else np.nan
    except ValueError:
        return np.nan


def _times(column: pa.Array) -> npt.NDArray[np.float64]:
    if not _is_time(column.type):
        return _floats(column)
    if pa.types.is_time32(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.timestamp("s"))
    return np.asarray(column.cast(pa.int64()).cast(pa.float64()).to_numpy(zero_copy_only=False))


def _strings(column: pa.Array) -> pa.Array:
    return column if _is_string(column.type) else column.cast(pa.string())


def _names(column: pa.Array) -> list[str]:
    return [name for name in pc.unique(_strings(column)).to_pylist() if name is not None]


def _codes(batch: pa.RecordBatch, name: str, known: tuple[str, ...]) -> npt.NDArray[np.int32]:
    if not name:
        return np.full(batch.num_rows, -1, np.int32)
    place = pc.index_in(_strings(flat(batch.column(name))), pa.array(known, pa.string()))
    return np.asarray(place.fill_null(-1).to_numpy(zero_copy_only=False), np.int32)


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_temporal(kind))


def _blank(column: pa.Array) -> int:
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    return int(pc.sum(pc.is_in(words, pa.array(MISSING_WORDS))).as_py() or 0)


def _hold(names: list[str], label: str, source: str, labels: int) -> None:
    for what, name in (("label", label), ("source", source)):
        if name and name not in names:
            raise BadInput(
                f"the table has no {what} column {name}", why=f"it has {', '.join(names)}"
            )
    if labels > MOST_LABELS:
        raise BadInput(
            f"the column {label} has more than {MOST_LABELS:,} different labels",
            why="that is no label a classifier learns",
            hint="name the label column: seal data add FILE --label COLUMN",
        )


def _facts(
    kinds: Mapping[str, Type], tallies: Mapping[str, _Tally], frame: Frame, labelled: bool
) -> Iterator[Fact]:
    for name, kind in kinds.items():
        tally = tallies[name]
        odd = tally.cells - tally.numbers
        if kind == "number" and odd > 0:
            yield Fact(
                "table.mixed-types",
                "medium",
                f"{name} holds numbers, and {odd:,} cells that are none",
                {"column": name, "cells": odd},
            )
        if tally.infinite and kind == "number":
            message = f"{name} holds {tally.infinite:,} infinite cells"
            yield Fact("table.infinite", "medium", message, {"column": name})
    if not frame.rows:
        yield Fact("table.empty", "high", "there are no records")
    elif not labelled:
        yield Fact("table.unlabelled", "low", "no column is named as the label")
    elif len(frame.labels) < 2:
        classes = len(frame.labels)
        yield Fact("table.one-class", "high", f"there are {classes} classes to tell apart")
