"""Counts by hashed n-gram, and which of them have a label mass that is impossible."""

from __future__ import annotations

from math import log

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.table_cells import payable
from sealwright.scan.poison.text_blind import SIZE, logit, sigmoid
from sealwright.scan.poison.text_tokens import LONGEST

GRAMS = 1 << 20
SHIFTS = (0.7, 0.6, 0.1, 0.1)
"""By length: how far (in log-odds) a natural word or phrase may lead beyond what is expected.
Largest clean statistics on all of SST-2 at about these: 7.4 (one word), 8.2 (two), 4.9 (three), 11
(four), of 13.5; on SMS below 4."""
FLOOR = 0.02
FLOOR_ODDS = log(FLOOR / (1 - FLOOR))
USUAL = 0.8
EXCESS, LEAST_EXCESS = 0.4, 0.25
"""Of an n-gram's texts with the label, the share that is beyond what was expected. Below the first
they are judged by their mean, because natural words that many texts hold are odd when taken one by
one (27 of 12 nats in made sentences, an excess of 0.25 to 0.29; 13 of 13.7 in SST-2, 0.33); below
the second not at all ("i" in SMS, where poison had misled the blind model: 0.22)."""
PRIOR_ROWS = 10.0
LEAST_ROWS = 8
MOST_NATS = 1024
PURE = 0.9
LEANS = 8.0
"""Nats by which a fixed phrase must lean to its label: 12 texts of 12, of two even labels."""
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
    beyond: float
    """Log-odds by which its own words and nature may lead beyond the blind share."""


class Fixed(msgspec.Struct, frozen=True):
    """Three ordinary words that stand together oftener than they do with others."""

    key: int
    target: int
    ratio: float
    rows: float
    expected: float


class TextCells:
    """``table`` (1 + 2 * targets, buckets): texts, those with each label, and those expected to.

    ``ends`` (2, buckets) are the buckets of the first and the last two of three ordinary words.
    """

    def __init__(self, targets: int) -> None:
        self.targets = targets
        self.table: npt.NDArray[np.float64] = np.zeros((1 + 2 * targets, GRAMS))
        self.words: npt.NDArray[np.float64] = np.zeros((1 + 2 * targets, SIZE))
        self.keys: npt.NDArray[np.uint64] = np.full(GRAMS, NONE)
        self.parts: npt.NDArray[np.int64] = np.full((LONGEST, GRAMS), -1)
        self.ends: npt.NDArray[np.int64] = np.full((2, GRAMS), -1)

    def add(
        self,
        key: npt.NDArray[np.uint64],
        parts: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64],
        ends: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """``parts`` (length, m) places of the words, ``weights`` (2 * targets, m), ``ends`` (2, m)
        as kept, -1 where there are none."""
        at = bucket(key)
        self.table[0] += np.bincount(at, minlength=GRAMS)
        for number, weight in enumerate(weights):
            self.table[1 + number] += np.bincount(at, weight, GRAMS)
        self._name(at, key, parts, ends)

    def merge(self, other: TextCells) -> None:
        """Add another shard's counts; of colliding keys the smaller names the bucket."""
        self.table += other.table
        self.words += other.words
        better = other.keys < self.keys
        self.keys[better] = other.keys[better]
        self.parts[:, better] = other.parts[:, better]
        self.ends[:, better] = other.ends[:, better]

    def odd(self, least: float, alpha: float) -> tuple[list[Odd], int]:
        """Every n-gram with a larger statistic than ``least``; and how many may be significant."""
        at = np.flatnonzero(self.table[0] >= LEAST_ROWS)
        reach: npt.NDArray[np.int64] = np.zeros(MOST_NATS, np.int64)
        parts = self.parts[:, at]
        length = np.sum(parts >= 0, 0)
        rows = self.table[0, at]
        found: list[Odd] = []
        for target in range(max(2, self.targets)):
            seen, blind = self._of(self.table[:, at], target)
            expected = self._expected(rows, seen, blind, parts, target)
            bound = sigmoid(logit(expected) + np.array((0.0, *SHIFTS))[length])
            ratio = rows * divergence(seen / rows, bound)
            excess = seen * (1 - LEAST_EXCESS) > expected * rows
            ratio[(seen / rows <= bound) | (expected >= USUAL) | ~excess] = 0.0
            most = np.where(expected >= USUAL, 0.0, -rows * np.log(bound))
            nats = np.minimum(most, MOST_NATS - 1).astype(np.int64)
            reach += np.bincount(nats, minlength=MOST_NATS)
            for i in np.flatnonzero(ratio > least):
                beyond = logit(bound[i : i + 1]) - logit(
                    np.clip(blind[i : i + 1] / rows[i], FLOOR, 1)
                )
                numbers = (ratio[i], rows[i], seen[i], expected[i] * rows[i], beyond[0])
                found.append(
                    Odd(int(self.keys[at[i]]), int(length[i]), target, *map(float, numbers))
                )
        return found, payable(reach, alpha)

    def fixed(self, base: npt.NDArray[np.float64]) -> list[Fixed]:
        """Ordinary phrases of three words and one label, by how often their middle word stands
        between the other two, against what it does elsewhere. ``base`` (targets,) label shares."""
        at = np.flatnonzero((self.table[0] >= LEAST_ROWS) & (self.ends[0] >= 0))
        if not len(at):
            return []
        rows = self.table[0, at]
        rest = np.maximum(self.words[0, self.parts[1, at]] - rows, 0.0)
        before, after = (np.maximum(self.table[0, self.ends[i, at]] - rows, 0.0) for i in (0, 1))
        chance = np.minimum(0.5, (before + 1) * (after + 1) / (rest + 2) ** 2)
        share = rows / (rows + rest)
        ratio = np.where(share > chance, (rows + rest) * divergence(share, chance), 0.0)
        found = []
        for target, usual in enumerate(base):
            seen, _ = self._of(self.table[:, at], target)
            leans = rows * divergence(seen / rows, np.full(len(at), min(0.99, max(0.01, usual))))
            pure = (seen >= PURE * rows) & (leans >= LEANS)
            for i in np.flatnonzero(pure & (ratio > 0)):
                numbers = (ratio[i], rows[i], (chance * (rows + rest))[i])
                found.append(Fixed(int(self.keys[at[i]]), target, *map(float, numbers)))
        return found

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
        ends: npt.NDArray[np.int64] | None,
    ) -> None:
        order = np.argsort(key, kind="stable")[::-1]
        at, key, parts = at[order], key[order], parts[:, order]
        ends = np.full((2, len(at)), -1) if ends is None else ends[:, order]
        better = key < self.keys[at]
        self.keys[at[better]] = key[better]
        self.parts[:, at[better]] = -1
        self.parts[: len(parts), at[better]] = parts[:, better]
        self.ends[:, at[better]] = ends[:, better]


def bucket(key: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Where an n-gram is counted: by its upper bits, since the sketch goes by the lower."""
    return np.asarray((key >> np.uint64(40)).astype(np.int64) % GRAMS)


def divergence(q: npt.NDArray[np.float64], p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Kullback-Leibler in nats; exp(-rows * this) bounds the tail (Chernoff, Hoeffding 1956)."""
    q = np.clip(q, 1e-12, 1 - 1e-12)
    return np.asarray(q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)))
