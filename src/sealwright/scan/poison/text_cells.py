"""Counts by hashed n-gram, and which of them have a label mass that is impossible."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.text_blind import SIZE, logit, sigmoid
from sealwright.scan.poison.text_tokens import LONGEST

GRAMS = 1 << 20
SHIFTS = (1.0, 0.75, 0.1, 0.1)
"""By length: how far (in log-odds) a natural word or phrase may lead beyond what is expected.
Largest clean statistics on SST-2 at these: 9.8 (one word), 10 (two), below 6 (more), of 16."""
FLOOR = 0.02
USUAL = 0.8
PRIOR_ROWS = 10.0
LEAST_ROWS = 8
NONE = np.iinfo(np.uint64).max


class Odd(msgspec.Struct, frozen=True):
    """One n-gram beyond the bound. ``key`` is its full hash."""

    key: int
    length: int
    target: int
    ratio: float
    rows: float
    seen: float
    expected: float
    bound: float


class TextCells:
    """``table`` (1 + 2 * targets, buckets): texts, those with each label, and those expected to."""

    def __init__(self, targets: int) -> None:
        self.targets = targets
        self.table: npt.NDArray[np.float64] = np.zeros((1 + 2 * targets, GRAMS))
        self.words: npt.NDArray[np.float64] = np.zeros((1 + 2 * targets, SIZE))
        self.keys: npt.NDArray[np.uint64] = np.full(GRAMS, NONE)
        self.parts: npt.NDArray[np.int64] = np.full((LONGEST, GRAMS), -1)

    def add(
        self,
        key: npt.NDArray[np.uint64],
        parts: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """``parts`` (length, m) places of the words, ``weights`` (2 * targets, m)."""
        at = bucket(key)
        self.table[0] += np.bincount(at, minlength=GRAMS)
        for number, weight in enumerate(weights):
            self.table[1 + number] += np.bincount(at, weight, GRAMS)
        self._name(at, key, parts)

    def merge(self, other: TextCells) -> None:
        """Add another shard's counts; of colliding keys the smaller names the bucket."""
        self.table += other.table
        self.words += other.words
        better = other.keys < self.keys
        self.keys[better] = other.keys[better]
        self.parts[:, better] = other.parts[:, better]

    def odd(self, least: float) -> tuple[list[Odd], int]:
        """Every n-gram with a larger statistic than ``least``; and how many were tried."""
        at = np.flatnonzero(self.table[0] >= LEAST_ROWS)
        parts = self.parts[:, at]
        length = np.sum(parts >= 0, 0)
        rows = self.table[0, at]
        found: list[Odd] = []
        for target in range(max(2, self.targets)):
            seen, blind = self._of(self.table[:, at], target)
            expected = self._expected(rows, seen, blind, parts, target)
            bound = sigmoid(logit(expected) + np.array((0.0, *SHIFTS))[length])
            ratio = rows * divergence(seen / rows, bound)
            ratio[(seen / rows <= bound) | (expected >= USUAL)] = 0.0
            for i in np.flatnonzero(ratio > least):
                numbers = (ratio[i], rows[i], seen[i], expected[i] * rows[i], bound[i])
                found.append(
                    Odd(int(self.keys[at[i]]), int(length[i]), target, *map(float, numbers))
                )
        return found, len(at) * max(2, self.targets)

    def _of(
        self, table: npt.NDArray[np.float64], target: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Seen and expected with ``target``; of two labels the first is what is left."""
        if self.targets == 1 and target == 0:
            return table[0] - table[1], table[0] - table[2]
        number = target if self.targets > 1 else 0
        return table[1 + number], table[1 + self.targets + number]

    def _expected(
        self,
        rows: npt.NDArray[np.float64],
        seen: npt.NDArray[np.float64],
        blind: npt.NDArray[np.float64],
        parts: npt.NDArray[np.int64],
        target: int,
    ) -> npt.NDArray[np.float64]:
        """Blind share, moved by what each word of a phrase does in texts without the phrase."""
        odds = logit(np.clip(blind / rows, FLOOR, 1 - 1e-6))
        phrase = parts[1] >= 0
        for place in parts:
            here = phrase & (place >= 0)
            word = self.words[:, np.maximum(place, 0)]
            whole, would = self._of(word, target)
            rest = np.maximum(word[0] - rows, 0.0)
            usual = np.where(rest > 0, np.maximum(would - blind, 1e-3) / np.maximum(rest, 1), 0.5)
            has = (np.maximum(whole - seen, 0.0) + PRIOR_ROWS * usual) / (rest + PRIOR_ROWS)
            odds += np.where(here, np.maximum(0.0, logit(has) - logit(usual)), 0.0)
        return sigmoid(odds)

    def _name(
        self,
        at: npt.NDArray[np.int64],
        key: npt.NDArray[np.uint64],
        parts: npt.NDArray[np.int64],
    ) -> None:
        order = np.argsort(key, kind="stable")[::-1]
        at, key, parts = at[order], key[order], parts[:, order]
        better = key < self.keys[at]
        self.keys[at[better]] = key[better]
        self.parts[:, at[better]] = -1
        self.parts[: len(parts), at[better]] = parts[:, better]


def bucket(key: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Where an n-gram is counted: by its upper bits, since the sketch goes by the lower."""
    return np.asarray((key >> np.uint64(40)).astype(np.int64) % GRAMS)


def divergence(q: npt.NDArray[np.float64], p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Kullback-Leibler in nats; exp(-rows * this) bounds the tail (Chernoff, Hoeffding 1956)."""
    q = np.clip(q, 1e-12, 1 - 1e-12)
    return np.asarray(q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)))
