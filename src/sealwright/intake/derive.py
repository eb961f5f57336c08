"""A table made to say less, record by record and in the same order.

:class:`Change` says what is done to one column; the rows keep their number, so that row N of the
derived version is row N of its source. Source: docs/spec/derivation-v1.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sealwright.core.errors import BadInput
from sealwright.intake import masks

How = Literal[
    "drop", "null", "last4", "hash", "partial",
    "siv", "hmac", "ff1",
    "bin", "period", "prefix",
]  # fmt: skip
TOKENS = ("siv", "hmac", "ff1")
GENERAL = ("bin", "period", "prefix")


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done to ``column``. ``argument``: a width, a unit, or a length."""

    column: str
    how: How
    argument: str = ""


class Means(msgspec.Struct, frozen=True):
    """What changes need from the vault: a key for pseudonyms, and tokens by column."""

    secret: bytes = b""
    tokens: Mapping[str, Callable[[str], str]] = msgspec.field(default_factory=dict)

    def pseudonym(self, column: str) -> Callable[[str], str]:
        """Pseudonyms of one column under ``secret``."""
        return masks.pseudonym(column, self.secret)


def checked(changes: Sequence[Change], columns: Sequence[str], keep: Sequence[str]) -> None:
    """Raises: BadInput (no such column, one twice, nothing left, a column others stand on)."""
    named = [change.column for change in changes]
    if odd := [name for name in named if name not in columns]:
        raise BadInput(f"there is no column {odd[0]!r}", why=f"columns: {', '.join(columns)}")
    if twice := [name for name in named if named.count(name) > 1]:
        raise BadInput(f"the column {twice[0]!r} is named twice", why="one change for each column")
    dropped = {change.column for change in changes if change.how == "drop"}
    if held := [name for name in keep if name in dropped]:
        raise BadInput(
            f"{held[0]!r} is the label or the key and cannot be dropped",
            why="the derived version keeps both roles",
        )
    if set(columns) <= dropped:
        raise BadInput("no column would be left")
    if not changes:
        raise BadInput("nothing is to be done", hint="name a column: --hash email")


def apply(batch: pa.RecordBatch, changes: Sequence[Change], means: Means) -> pa.RecordBatch:
    """The batch with every change made. Raises: BadInput naming the column."""
    by_column = {change.column: change for change in changes}
    names, columns = [], []
    for name in batch.schema.names:
        change = by_column.get(name)
        if change is not None and change.how == "drop":
            continue
        names.append(name)
        columns.append(
            batch.column(name) if change is None else _one(batch.column(name), change, means)
        )
    return pa.RecordBatch.from_arrays(columns, names=names)


def write(batches: Iterator[pa.RecordBatch], path: Path) -> int:
    """Write Parquet; returns the rows. Raises: BadInput (no rows at all)."""
    first = next(batches, None)
    if first is None:
        raise BadInput("there are no rows to derive anything from")
    count = 0
    with pq.ParquetWriter(path, first.schema) as writer:
        batch: pa.RecordBatch | None = first
        while batch is not None:
            writer.write_batch(batch)
            count += batch.num_rows
            batch = next(batches, None)
    return count


def _one(column: pa.Array, change: Change, means: Means) -> pa.Array:
    try:
        return _HOW[change.how](column, change, means)
    except BadInput as error:
        raise BadInput(f"{change.column}: {error.what}", why=error.why, hint=error.hint) from error


def _tokens(column: pa.Array, change: Change, means: Means) -> pa.Array:
    return masks.each(column, means.tokens[change.column])


_HOW: Mapping[str, Callable[[pa.Array, Change, Means], pa.Array]] = {
    "null": lambda column, change, means: masks.null(column),
    "last4": lambda column, change, means: masks.last4(column),
    "hash": lambda column, change, means: masks.each(column, means.pseudonym(change.column)),
    "partial": lambda column, change, means: masks.each(column, masks.partial),
    "siv": _tokens,
    "hmac": _tokens,
    "ff1": _tokens,
    "bin": lambda column, change, means: masks.binned(column, _number(change.argument)),
    "period": lambda column, change, means: masks.period(column, change.argument),
    "prefix": lambda column, change, means: masks.prefix(column, int(_number(change.argument))),
}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no number") from error


class Anonymity(msgspec.Struct, frozen=True):
    """How alike records are over some columns: the smallest group ``k``, and records in groups
    smaller than ``of``."""

    k: int
    below: int
    of: int
    groups: int


class Counting:
    """Counts groups of equal records over ``columns``, a batch at a time."""

    def __init__(self, columns: Sequence[str], of: int = 5) -> None:
        self.columns, self.of = list(columns), of
        self._counts: dict[tuple[object, ...], int] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in a batch; columns that were dropped are left out."""
        names = [name for name in self.columns if name in batch.schema.names]
        cells = [batch.column(name).to_pylist() for name in names]
        for key in zip(*cells, strict=True) if cells else ((),) * batch.num_rows:
            self._counts[key] = self._counts.get(key, 0) + 1

    def result(self) -> Anonymity:
        """k is 0 for no records."""
        sizes = self._counts.values()
        below = sum(size for size in sizes if size < self.of)
        return Anonymity(min(sizes, default=0), below, self.of, len(self._counts))
