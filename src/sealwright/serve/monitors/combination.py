"""Improbable combinations of a table's cells: what roughness is to pictures.

Each column is cut into bins; how much rarer two cells are together than apart is known for every
pair of columns. Columns drawn apart, or moved along a gradient, make rows that nobody is.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.serve.columns import as_numbers, flat
from sealwright.serve.monitors.interface import Floats, Sight

BINS = 8
CATEGORIES = 30
RARER = 2.0
"""Bits by which a pair must be rarer than chance before it counts: rare people are ordinary."""

_MOST_COLUMNS = 48

Codes: TypeAlias = npt.NDArray[np.int64]


class Column:
    """Cells of one column as codes: 0 is missing, 1 something never seen."""

    def __init__(self, cells: npt.NDArray[Any]) -> None:
        self.cuts: Floats | None = None
        self.codes: dict[str, int] = {}
        numbers = as_numbers(cells)
        found = numbers[np.isfinite(numbers)]
        if len(found) > 0.5 * len(cells) and len(np.unique(found)) > BINS:
            self.cuts = np.unique(np.quantile(found, np.linspace(0, 1, BINS + 1)[1:-1]))
            self.low, self.high = float(found.min()), float(found.max())
            self.count = len(self.cuts) + 3
        else:
            words, counts = np.unique([str(cell) for cell in cells], return_counts=True)
            known = words[np.argsort(-counts)][:CATEGORIES]
            self.codes = {str(word): at + 2 for at, word in enumerate(known)}
            self.count = len(self.codes) + 2

    def of(self, cells: npt.NDArray[Any]) -> Codes:
        """(n,) codes."""
        if self.cuts is None:
            return np.array([self.codes.get(str(cell), 1) for cell in cells], np.int64)
        numbers = as_numbers(cells)
        out: Codes = np.asarray(np.searchsorted(self.cuts, numbers) + 2, np.int64)
        out[(numbers < self.low) | (numbers > self.high)] = 1
        out[~np.isfinite(numbers)] = 0
        return out


class Combination:
    """Fitted from reference rows (m, c)."""

    def __init__(self, inputs: npt.NDArray[Any]) -> None:
        cells = flat(inputs, _MOST_COLUMNS)
        self._columns = [Column(cells[:, at]) for at in range(cells.shape[1])]
        codes = self._codes(cells)
        self._pairs = [
            (one, other, self._rarity(codes, one, other))
            for one in range(codes.shape[1])
            for other in range(one)
        ]

    def look(self, sight: Sight) -> Floats:
        """(n,) bits by which pairs of a row's cells are rarer than chance, summed."""
        codes = self._codes(flat(sight.inputs, _MOST_COLUMNS))
        out: Floats = np.zeros(len(codes))
        for one, other, table in self._pairs:
            out += table[codes[:, one], codes[:, other]]
        return out

    def _codes(self, cells: npt.NDArray[Any]) -> Codes:
        return np.stack([column.of(cells[:, at]) for at, column in enumerate(self._columns)], 1)

    def _rarity(self, codes: Codes, one: int, other: int) -> Floats:
        rows, columns = self._columns[one].count, self._columns[other].count
        flat = np.bincount(codes[:, one] * columns + codes[:, other], minlength=rows * columns)
        seen = flat.reshape(rows, columns).astype(np.float64)
        left = (seen.sum(axis=1) + 0.5) / (len(codes) + 0.5 * rows)
        right = (seen.sum(axis=0) + 0.5) / (len(codes) + 0.5 * columns)
        chance: Floats = len(codes) * np.outer(left, right)
        return np.maximum(0.0, np.log2((chance + 1) / (seen + 1)) - RARER)
