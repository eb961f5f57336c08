"""What is read off some texts: places of their words, ends of phrases, and texts that are kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sealwright.scan.poison import text_phrases
from sealwright.scan.poison.text_blind import SIZE
from sealwright.scan.poison.text_cells import bucket
from sealwright.scan.poison.text_tokens import Words, keys, ordinary


class Kept(NamedTuple):
    """One text that holds a phrase: its label, and the log-odds of each target without it."""

    record: int
    target: int
    odds: tuple[float, ...]


def place(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """(m,) where a word is counted."""
    return np.asarray((word % np.uint64(SIZE)).astype(np.int64))


def once(words: Words) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each word's place once for each text."""
    pair = np.unique(words.row * SIZE + place(words.word))
    return pair // SIZE, pair % SIZE


def ends(words: Words, start: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """(2, m) the buckets of the first and the last two of three ordinary words; -1 elsewhere."""
    there = ordinary(words, start, length)
    pairs = np.stack([bucket(keys(words, start + step, length - 1)) for step in (0, 1)])
    return np.where(there, pairs, -1)


def around(words: Words, start: int, length: int) -> text_phrases.Around:
    """The words of one text before and after a phrase, nearest first."""
    row, reach = words.row[start], text_phrases.REACH
    before = range(start - 1, max(-1, start - 1 - reach), -1)
    after = range(start + length, min(len(words.row), start + length + reach))
    sides = (
        tuple(int(words.word[at]) for at in side if words.row[at] == row)
        for side in (before, after)
    )
    first, last = sides
    return first, last
