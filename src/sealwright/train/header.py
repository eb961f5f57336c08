"""The column names of a table, and which of them is the label. Reads a header, never a row."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

_MOST_HEADER_BYTES = 1 << 20
_LABELS = (
    "label", "target", "y", "class", "labels", "targets", "outcome", "category", "is_fraud",
    "fraud", "churn", "default", "survived", "species", "diagnosis", "sentiment",
)  # fmt: skip
_ENDS = ("_label", "_target", "_class", " label", " target", ".label", ".target")


def columns_of(path: Path) -> tuple[str, ...]:
    """The column names of a CSV, TSV, JSON Lines or Parquet file; empty when unreadable."""
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            return _first_row(path, "\t" if suffix == ".tsv" else ",")
        if suffix in (".jsonl", ".ndjson"):
            first = json.loads(_first_line(path))
            return tuple(map(str, first)) if isinstance(first, dict) else ()
        if suffix in (".parquet", ".pq"):
            return _parquet(path)
    except (OSError, ValueError, csv.Error):
        return ()
    return ()


def label_of(path: Path) -> str:
    """The label column's name, when one goes by a usual name; otherwise empty."""
    return pick_label(columns_of(path))


def pick_label(columns: Sequence[str]) -> str:
    """The column that usual names, or usual endings, point to."""
    by_name = {column.strip().lower(): column for column in columns}
    for name in _LABELS:
        if name in by_name:
            return by_name[name]
    ending = [column for column in columns if column.lower().endswith(_ENDS)]
    return ending[0] if len(ending) == 1 else ""


def _first_line(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.readline(_MOST_HEADER_BYTES).decode("utf-8-sig")


def _first_row(path: Path, separator: str) -> tuple[str, ...]:
    line = _first_line(path)
    if separator == "," and line.count(";") > line.count(","):
        separator = ";"
    return tuple(next(csv.reader([line.rstrip("\r\n")], delimiter=separator), ()))


def _parquet(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return tuple(parquet.read_schema(path).names)
    except pa.ArrowException:
        return ()
