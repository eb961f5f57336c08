"""Compact rows kept between passes: in memory up to a bound, then in an unnamed file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

MEMORY_BYTES = 1 << 28
CHUNK = 1024

Chunk = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[Any]]
"""Ids (n,), labels (n,) and rows (n, d) of some records."""


class Store:
    """Appended chunks, never changed: a copy shares them."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.size_bytes = 0

    def append(
        self, ids: npt.NDArray[np.int64], labels: npt.NDArray[np.int32], rows: npt.NDArray[Any]
    ) -> None:
        """Keep (n, d) rows."""
        self.size_bytes += rows.nbytes
        kept = rows if self.size_bytes <= MEMORY_BYTES else _spilled(rows)
        self.chunks.append((ids.copy(), labels.copy(), kept))

    def merge(self, other: Self) -> None:
        """Another's chunks too."""
        self.chunks += other.chunks
        self.size_bytes += other.size_bytes

    def labels(self) -> npt.NDArray[np.int32]:
        """Of all rows, in the order kept."""
        return np.concatenate([np.empty(0, np.int32), *(chunk[1] for chunk in self.chunks)])

    def ids(self) -> npt.NDArray[np.int64]:
        """Of all rows, in the order kept."""
        return np.concatenate([np.empty(0, np.int64), *(chunk[0] for chunk in self.chunks)])

    def rows(self, at: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """(len(at), d): the rows at places in rising order."""
        parts, start = [], 0
        for _, _, rows in self.chunks:
            within = (at >= start) & (at < start + len(rows))
            parts.append(rows[at[within] - start])
            start += len(rows)
        return np.concatenate(parts)

    def sliced(self) -> Iterator[npt.NDArray[Any]]:
        """All rows, at most CHUNK at a time."""
        for _, _, rows in self.chunks:
            for start in range(0, len(rows), CHUNK):
                yield rows[start : start + CHUNK]

    def __deepcopy__(self, memo: object) -> Store:
        twin = Store()
        twin.chunks, twin.size_bytes = list(self.chunks), self.size_bytes
        return twin


def _spilled(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not rows.size:
        return rows
    with tempfile.TemporaryFile() as file:
        out = np.memmap(file, rows.dtype, "w+", shape=rows.shape)
    out[:] = rows
    return out
