"""Texts as hashed words and n-grams, the same in every process."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan import hashing

WORD = re.compile(r"\w+|[^\w\s]")
MOST_CHARACTERS = 1 << 16
MOST_WORDS = 4096
LONGEST = 4
ORDINARY = 2
"""This bit of a word's hash says that it is of two letters or more, and of nothing else."""


class Words(msgspec.Struct, frozen=True):
    """Words of some texts in order: ``row`` (m,) which text, ``word`` (m,) its hash."""

    row: npt.NDArray[np.int64]
    word: npt.NDArray[np.uint64]
    cut: int
    empty: int


class Grams(msgspec.Struct, frozen=True):
    """Each n-gram once for each text: ``row``, ``key`` (m,), and where it starts among words."""

    row: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]
    start: npt.NDArray[np.int64]


class Lexicon:
    """Remembers the hashes of words, so that each is hashed once."""

    def __init__(self, salt: int) -> None:
        self.salt = salt
        self.known: dict[str, int] = {}

    def words(self, texts: npt.NDArray[Any]) -> Words:
        """Lower-cased words and marks; what lies beyond 65,536 characters is cut, and counted."""
        rows: list[int] = []
        found: list[int] = []
        cut = empty = 0
        for at, text in enumerate(texts):
            plain = text if isinstance(text, str) else ""
            words = WORD.findall(plain[:MOST_CHARACTERS].lower())
            cut += len(plain) > MOST_CHARACTERS or len(words) > MOST_WORDS
            empty += not words
            for word in words[:MOST_WORDS]:
                rows.append(at)
                found.append(self.known.get(word) or self._hash(word))
        return Words(np.array(rows, np.int64), np.array(found, np.uint64), cut, empty)

    def _hash(self, word: str) -> int:
        if len(self.known) > 1 << 20:
            self.known.clear()
        value = hashing.of_bytes(f"{self.salt}:{word}".encode("utf-8", "replace"))
        ordinary = len(word) > 1 and word.isalpha()
        value = (value & ~3) | (ORDINARY if ordinary else 0) | 1
        self.known[word] = value
        return value


def grams(words: Words, length: int) -> Grams:
    """Every run of ``length`` words inside a text, once for each text that has it."""
    last = len(words.row) - length + 1
    start = np.arange(max(0, last))
    start = start[words.row[start] == words.row[start + length - 1]]
    key = keys(words, start, length)
    row = words.row[start]
    order = np.lexsort((start, key, row))
    row, key, start = row[order], key[order], start[order]
    fresh: npt.NDArray[np.bool_] = np.ones(len(row), bool)
    fresh[1:] = (row[1:] != row[:-1]) | (key[1:] != key[:-1])
    return Grams(row[fresh], key[fresh], start[fresh])


def keys(words: Words, start: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.uint64]:
    """(m,) the hash of the ``length`` words from each ``start`` on."""
    key: npt.NDArray[np.uint64] = np.full(len(start), length, np.uint64)
    for step in range(length):
        key = hashing.mix(key * np.uint64(31) + words.word[start + step])
    return key


def ordinary(words: Words, start: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.bool_]:
    """(m,) whether all ``length`` words from each ``start`` on are made of letters."""
    every: npt.NDArray[np.bool_] = np.ones(len(start), bool)
    for step in range(length):
        every &= (words.word[start + step] & np.uint64(ORDINARY)) > 0
    return every
