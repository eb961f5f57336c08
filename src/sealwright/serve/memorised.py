"""Runs of words that stand in the training data, found in text by hashes of n words in a row.

The set holds no text: one 64-bit number for each run of ``n`` words. Runs that stand in many
records are nobody's secret and are left out. docs/spec/text-egress-v1.md has the file's format.
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import BadInput

WORDS = 8
COMMON = 5
"""A run of words that stands in this many records or more is common speech."""

_MAGIC = b"SEALNG1\n"
_HEAD = struct.Struct("<8sIIQ")
_WORD = re.compile(r"[^\W_]+")
_MOST_MET = 1 << 16
_PRIME = (1 << 61) - 1
_BASE = 0x1D3F_7A91_C04B_65E7 % _PRIME


def number(word: str) -> int:
    """One word as a number; case makes no difference."""
    return zlib.crc32(word.casefold().encode("utf-8", "surrogatepass")) + 1


class _Met(dict[str, int]):
    """Words that were met, and their numbers."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_MET:
            self.clear()
        found = self[word] = number(word)
        return found


_number_of = _Met().__getitem__


class Run:
    """The last ``n`` words of a text as one number, moved on a word at a time."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._top = pow(_BASE, n, _PRIME)
        self._last: list[int] = []
        self._value = 0

    def over(self, words: Iterable[str]) -> list[int]:
        """For each word the number of the n words that end with it, -1 while there are fewer."""
        value, n, top = self._value, self._n, self._top
        short = n - len(self._last)
        every = [*self._last, *map(_number_of, words)]
        fresh = every[n - short :]
        out: list[int] = []
        for new in fresh[:short]:
            value = (value * _BASE + new) % _PRIME
            out.append(-1)
        if short and len(fresh) >= short:
            out[-1] = value
        add = out.append
        for new, old in zip(fresh[short:], every, strict=False):
            value = (value * _BASE + new - old * top) % _PRIME
            add(value)
        self._last, self._value = every[-n:], value
        return out


class Memorised:
    """A set of runs of ``words`` words, in a sorted array of 64-bit numbers."""

    def __init__(self, words: int, numbers: npt.NDArray[np.uint64]) -> None:
        self.words = words
        self._numbers = memoryview(numbers)
        # sixteen bits a number say of most runs at once that they are not there
        size = 1 << max(3, (2 * len(numbers)).bit_length())
        self._mask = size - 1
        marks: npt.NDArray[np.uint8] = np.zeros(size, np.uint8)
        np.bitwise_or.at(
            marks,
            (numbers >> np.uint64(3)) & np.uint64(self._mask),
            np.uint8(1) << (numbers & np.uint64(7)).astype(np.uint8),
        )
        self._marks = marks.tobytes()

    def __len__(self) -> int:
        return len(self._numbers)

    def hits(self, runs: Sequence[int]) -> list[int]:
        """Which of ``runs`` are in the set, by their place."""
        marks, mask = self._marks, self._mask
        likely = [at for at, run in enumerate(runs) if marks[(run >> 3) & mask] >> (run & 7) & 1]
        return [at for at in likely if runs[at] in self]

    def __contains__(self, run: int) -> bool:
        at = bisect_left(self._numbers, run)
        return at < len(self._numbers) and self._numbers[at] == run


def words_of(text: str, start: int = 0) -> list[str]:
    """Every word of ``text`` from ``start`` on."""
    return _WORD.findall(text, start)


def spans_of(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Where each of them begins and ends."""
    return [word.span() for word in _WORD.finditer(text, start)]


def written(records: Iterable[str], n: int = WORDS, common: int = COMMON) -> bytes:
    """The file of a data version's records. Raises: BadInput (a run of fewer than 4 words)."""
    if not 4 <= n <= 64:
        raise BadInput("a run has 4 to 64 words", hint="8 tells a quotation from common speech")
    parts = [np.array(sorted(_runs(record, n)), np.uint64) for record in records]
    every = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    kept, counts = np.unique(every, return_counts=True)
    kept = kept[counts < common]
    return _HEAD.pack(_MAGIC, n, 0, len(kept)) + bytes(kept.astype("<u8").data)


def _runs(record: str, n: int) -> set[int]:
    return set(Run(n).over(words_of(record))) - {-1}


def read(data: bytes | memoryview) -> Memorised:
    """The set in a file's bytes (a map of the file will do). Raises: BadInput (no such file)."""
    view = memoryview(data)
    if len(view) < _HEAD.size or bytes(view[:8]) != _MAGIC:
        raise BadInput("this is no set of memorised runs", hint="seal serve memorised makes one")
    _, n, zero, count = _HEAD.unpack(view[: _HEAD.size])
    numbers = np.frombuffer(view[_HEAD.size :], "<u8") if (len(view) % 8) == 0 else None
    if numbers is None or zero or not 4 <= n <= 64 or len(numbers) != count:
        raise BadInput("this set of memorised runs is damaged", hint="make it again")
    if count > 1 and not (numbers[1:] > numbers[:-1]).all():
        raise BadInput("this set of memorised runs is not sorted", hint="make it again")
    return Memorised(n, numbers)
