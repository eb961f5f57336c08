"""Rows of a dataset as a model's inputs: numbers, mixed columns, or texts, each with its label."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sealwright.app import rows
from sealwright.core.errors import BadInput
from sealwright.redteam.extraction import space as spaces
from sealwright.redteam.extraction.space import Space

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace
    from sealwright.intake.versions import Dataset

MOST_ROWS = 20_000
FEWEST = 60


class Examples(msgspec.Struct, frozen=True):
    """``inputs`` (n, d) in ``space``, and the truth about each (empty where there is none)."""

    space: Space
    inputs: npt.NDArray[Any]
    labels: tuple[str, ...]


def examples_of(workspace: Workspace, dataset: Dataset, shape: tuple[int, ...] = ()) -> Examples:
    """At most 20,000 rows. Raises: BadInput (no table, too few rows, a shape that does not fit)."""
    _, batches = rows.of(workspace, dataset)
    taken, count = list[pa.RecordBatch](), 0
    for batch in batches:
        taken.append(batch.slice(0, MOST_ROWS - count))
        count += len(taken[-1])
        if count >= MOST_ROWS:
            break
    if count < FEWEST:
        raise BadInput(
            f"{dataset.ref} has {count:,} records",
            why=f"at least {FEWEST} are wanted: some for the thieves, others to judge copies",
        )
    return read(pa.Table.from_batches(taken), dataset.label, shape)


def read(table: pa.Table, label: str, shape: tuple[int, ...] = ()) -> Examples:
    """A table's columns but ``label``, in order. Raises: BadInput."""
    truth: tuple[str, ...] = ()
    if label and label in table.column_names:
        truth = tuple(_word(one) for one in table.column(label).to_pylist())
        table = table.drop_columns([label])
    if not table.num_columns:
        raise BadInput("there is no column but the label")
    if table.num_columns == 1 and _is_text(table.column(0)):
        texts = ["" if one is None else str(one) for one in table.column(0).to_pylist()]
        space = spaces.of_texts(texts)
        return Examples(space, space.counts(texts), truth)
    inputs = np.zeros((table.num_rows, table.num_columns))
    values: dict[int, tuple[str, ...]] = {}
    for at, column in enumerate(table.columns):
        if _is_text(column):
            cells = ["" if one is None else str(one) for one in column.to_pylist()]
            values[at] = tuple(sorted(set(cells)))
            place = {name: code for code, name in enumerate(values[at])}
            inputs[:, at] = [place[cell] for cell in cells]
        else:
            inputs[:, at] = _numbers(column)
    kept = np.isfinite(inputs).all(axis=1)
    truth = tuple(truth[at] for at in np.flatnonzero(kept)) if truth else ()
    inputs = inputs[kept]
    if len(inputs) < FEWEST:
        raise BadInput(f"{len(inputs)} records have a number in each numeric column")
    if values:
        return Examples(spaces.of_columns(inputs, values), inputs, truth)
    if shape and math.prod(shape) != inputs.shape[1]:
        raise BadInput(f"{inputs.shape[1]} columns are no picture of {'x'.join(map(str, shape))}")
    return Examples(spaces.of_numbers(inputs, shape), inputs, truth)


def _word(value: object) -> str:
    """A label as models name it: a whole number without its point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is_text(column: pa.ChunkedArray) -> bool:
    kind = column.type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    )


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    try:
        cells = column.cast(pa.float64()).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(
            "a column is neither numbers nor words", why=str(error).splitlines()[0]
        ) from error
    found: npt.NDArray[np.float64] = np.array([np.nan if x is None else x for x in cells])
    return found
