"""What is said about a table as a whole while its pairs are mined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Fact, Frame
from sealwright.scan.poison.table_codes import MOST_VALUES, Book

RARE_ROWS = 8
LEAKS = 0.999
LEAST_ROWS = 50


def of(
    frame: Frame,
    counts: npt.NDArray[np.int64],
    books: list[Book],
    sample: dict[str, npt.NDArray[Any]],
) -> Iterator[Fact]:
    """Constant columns, columns that give the label away, classes too small to judge."""
    rare = int(np.sum((counts > 0) & (counts < RARE_ROWS)))
    if rare:
        message = (
            f"{rare:,} classes have fewer than {RARE_ROWS} records: no pattern can be told there"
        )
        yield Fact("table.rare-classes", "low", message, {"classes": rare})
    if np.sum(counts > 0) < 2:
        yield Fact("table.one-class", "high", "there is only one label: nothing contradicts it")
    for at, book in enumerate(books):
        if book.distinct == 1:
            name = book.column.name
            yield Fact("table.constant", "info", f"{name} never changes", {"column": name})
        elif _leaks(
            book.bins(sample.get(f"x{at}", np.empty(0)), sample[f"h{at}"]), sample["label"]
        ):
            name = book.column.name
            message = f"{name} alone tells the label: is it known before the label is?"
            yield Fact("table.leak", "medium", message, {"column": name})


def left_out(pairs: int, books: list[Book]) -> Iterator[Fact]:
    """What was not tried, because memory is bounded."""
    if pairs:
        message = f"{pairs:,} pairs of columns have too many values to be mined"
        yield Fact("table.pairs-left-out", "medium", message, {"pairs": pairs})
    full = [book.column.name for book in books if len(book.values) == MOST_VALUES]
    if full:
        message = f"of {len(full)} columns only the {MOST_VALUES} most frequent values are mined"
        yield Fact("table.values-left-out", "info", message, {"columns": len(full)})


def common(pairs: Iterable[Sequence[str]]) -> Iterator[Fact]:
    """Columns whose values decide a label together in so many rows that none is held for it."""
    for columns in sorted({" and ".join(pair) for pair in pairs}):
        message = f"values of {columns} together lean to a label in over a tenth of the records"
        yield Fact("table.common-pair", "medium", message, {"columns": columns})


def _leaks(bins: npt.NDArray[np.uint8], labels: npt.NDArray[np.int32]) -> bool:
    size = int(labels.max(initial=0)) + 1
    if size > 1_000 or len(labels) < LEAST_ROWS:
        return False
    table = np.bincount(bins.astype(np.int64) * size + labels, minlength=8 * size).reshape(8, size)
    usual = table.sum(0).max() / len(labels)
    return bool(usual < 0.99 and table.max(1).sum() >= LEAKS * len(labels))
