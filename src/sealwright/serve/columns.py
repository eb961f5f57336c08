"""The columns of rows as callers send them: pictures, numbers, or cells of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def flat(inputs: npt.NDArray[Any], most: int) -> npt.NDArray[Any]:
    """(n, c) of n rows of any shape, the first ``most`` columns of them."""
    return inputs.reshape(len(inputs), -1)[:, :most]


def as_numbers(cells: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(n,) of one column; what is no number is NaN."""
    if cells.dtype.kind in "fiub":
        return np.asarray(cells, np.float64)
    return np.array([_number(cell) for cell in cells], np.float64)


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")
