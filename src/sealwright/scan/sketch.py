"""What is kept of a column: a histogram over fixed bins. Constant memory, mergeable by adding.

Numbers are counted between quantiles of a sample of the reference; missing ones, and the two
infinities, have bins of their own. Categories are counted by hash, texts by length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sealwright.scan import hashing

BINS = 128
BUCKETS = 512
SAMPLED = 8_192
_LENGTHS = np.concatenate([np.arange(0, 64), np.geomspace(64, 1e6, 64)])
_LENGTHS.setflags(write=False)


class Edges:
    """Quantiles of a sample, column by column: what a reference's pass 0 leaves."""

    def __init__(self, columns: Sequence[str], rows: int, seed: int) -> None:
        self.columns = tuple(columns)
        self._share = min(1.0, SAMPLED / max(1, rows))
        self._seed = np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
        self._held: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in columns}
        self.of: dict[str, npt.NDArray[np.float64]] = {}

    def observe(
        self, ids: npt.NDArray[np.int64], values: dict[str, npt.NDArray[np.float64]]
    ) -> None:
        """Keep a sample of the records, the same whatever the batches."""
        drawn = hashing.mix(ids.astype(np.uint64) + self._seed)
        taken = np.flatnonzero(drawn.astype(np.float64) < self._share * 2.0**64)
        if len(taken):
            for name in self.columns:
                column = values[name][taken]
                self._held[name].append(column[np.isfinite(column)])

    def merge(self, other: Self) -> None:
        """Join the samples."""
        for name, held in other._held.items():
            self._held[name] += held

    def settle(self) -> None:
        """Make the edges; at most 127 of them, fewer where values repeat."""
        for name, held in self._held.items():
            sample = np.sort(np.concatenate([np.zeros(0), *held]))
            at = np.linspace(0, len(sample) - 1, BINS + 1)[1:-1].round().astype(int)
            self.of[name] = np.unique(sample[at]) if len(sample) else np.zeros(0)
        self._held = {name: [] for name in self.columns}


def count_numbers(
    values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """(BINS + 3,) counts: below and between the edges, then -inf, +inf, missing.

    A value equal to an edge falls below it, so that a value that repeats has bins to itself.
    """
    width = BINS + 3
    finite = np.isfinite(values)
    if finite.all():
        places = np.searchsorted(edges, values, "left")
        return np.bincount(places, minlength=width).astype(np.int64)
    counts = np.bincount(np.searchsorted(edges, values[finite], "left"), minlength=width)
    odd = values[~finite]
    counts[BINS] = int((odd == -np.inf).sum())
    counts[BINS + 1] = int((odd == np.inf).sum())
    counts[BINS + 2] = int(np.isnan(odd).sum())
    return counts.astype(np.int64)


def count_categories(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """(BUCKETS + 1,) counts by hash, then the missing ones."""
    codes, words = hashing.coded(values)
    hashes = np.array([hashing.of_bytes(w.encode("utf-8", "replace")) for w in words], np.uint64)
    places = np.append((hashes % np.uint64(BUCKETS)).astype(np.int64), BUCKETS)[codes]
    return np.bincount(places, minlength=BUCKETS + 1).astype(np.int64)


def count_lengths(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """(BINS + 3,) counts of texts by length in characters, as numbers are."""
    lengths = np.array([np.nan if text is None else len(str(text)) for text in values], np.float64)
    return count_numbers(lengths, _LENGTHS[1:])
