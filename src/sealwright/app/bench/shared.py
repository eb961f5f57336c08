"""Data sets from the shared folder, as arrays: ``SEAL_SHARED_DATA``, else beside the project."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Column

_ADULT = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex"
    " capital-gain capital-loss hours-per-week native-country"
).split()


class Table(msgspec.Struct, frozen=True):
    """Columns of cells, and a label for each record by code."""

    columns: tuple[Column, ...]
    values: dict[str, npt.NDArray[Any]]
    codes: npt.NDArray[np.int32]
    labels: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many records."""
        return len(self.codes)

    def take(self, at: npt.NDArray[Any]) -> Table:
        """The records at those places."""
        values = {name: column[at] for name, column in self.values.items()}
        return Table(self.columns, values, self.codes[at], self.labels)

    def moved(self, column: str, deviations: float) -> Table:
        """The same with one numeric column's mean moved."""
        cells = self.values[column]
        moved = cells + deviations * float(np.nanstd(cells))
        return Table(self.columns, {**self.values, column: moved}, self.codes, self.labels)

    def labelled(self, codes: npt.NDArray[np.int32]) -> Table:
        """The same records under other labels."""
        return Table(self.columns, self.values, codes, self.labels)

    def batch(self) -> Batch:
        """All of it."""
        ids: npt.NDArray[np.int64] = np.arange(self.rows, dtype=np.int64)
        return Batch(ids, self.codes, np.full(self.rows, -1, np.int32), dict(self.values))


def folder() -> Path:
    """Where the shared data would be."""
    beside = Path(__file__).resolve().parents[5] / "shared" / "data"
    return Path(os.environ.get("SEAL_SHARED_DATA", beside))


def adult() -> Table | None:
    """UCI Adult, 32,561 records; None where it is not there."""
    path = folder() / "adult.data.gz"
    if not path.exists():
        return None
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        read = [row for row in csv.reader(stream, skipinitialspace=True) if len(row) == 15]
    return table([row[:14] for row in read], _ADULT, [row[14] for row in read])


def nsl_kdd() -> tuple[Table, Table] | None:
    """NSL-KDD's training fifth and its test set, labelled normal or attack; None if absent."""
    base = folder() / "nsl_kdd"
    paths = [base / "train_20pct.txt.gz", base / "test.txt.gz"]
    if not all(path.exists() for path in paths):
        return None
    made = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            read = [row for row in csv.reader(stream) if len(row) == 43]
        names = [f"f{at}" for at in range(41)]
        labels = ["normal" if row[41] == "normal" else "attack" for row in read]
        made.append(table([row[:41] for row in read], names, labels))
    return made[0], made[1]


def table(cells: Sequence[Sequence[str]], names: Sequence[str], labels: Sequence[str]) -> Table:
    """Texts as a table: a column is a number where every cell is one; ``?`` is missing."""
    values: dict[str, npt.NDArray[Any]] = {}
    columns = []
    for at, name in enumerate(names):
        raw = [row[at] for row in cells]
        try:
            values[name] = np.array([np.nan if c == "?" else float(c) for c in raw], np.float64)
            columns.append(Column(name, "number"))
        except ValueError:
            values[name] = np.array([None if c == "?" else c for c in raw], object)
            columns.append(Column(name, "category"))
    known = tuple(sorted(set(labels)))
    place = {label: code for code, label in enumerate(known)}
    codes = np.array([place[label] for label in labels], np.int32)
    return Table(tuple(columns), values, codes, known)
