"""Texts that nobody would write: what roughness is to pictures.

Bits a word under pairs of words, smoothed (Witten and Bell 1991), learnt from reference texts.
Words at random, exchanged along a gradient, or of another kind of text read badly.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.serve.monitors.interface import Floats, Sight

_WORD = re.compile(r"\w+|[^\w\s]")
_LONGEST = 2_000
_FEWEST_WORDS = 3
_FEWEST_LETTERS = 12
_LETTER_PRIOR = 0.2


class Fluency:
    """Fitted from reference texts (m,)."""

    def __init__(self, texts: npt.NDArray[Any]) -> None:
        words = [_words(text) for text in texts.tolist()]
        self._single = Counter(word for row in words for word in row)
        self._pairs = Counter(pair for row in words for pair in pairwise(row))
        self._firsts = Counter(first for first, _ in self._pairs.elements())
        self._kinds = Counter(first for first, _ in self._pairs)
        self._total = sum(self._single.values())

    def look(self, sight: Sight) -> Floats:
        """(n,): bits a word; a text of fewer than 3 words cannot be told."""
        return np.array([self._bits(str(text)) for text in sight.inputs.tolist()])

    def _bits(self, text: str) -> float:
        words = _words(text)
        if len(words) < _FEWEST_WORDS:
            return float("nan")
        bits = sum(self._pair_bits(one, two) for one, two in pairwise(words))
        return bits / (len(words) - 1)

    def knows(self, word: str) -> bool:
        """Whether a reference text has it."""
        return word in self._single

    def beyond(self, one: str, two: str) -> float:
        """Bits of ``two`` after ``one``, less those it has by itself."""
        return self._pair_bits(one, two) + float(np.log2(self._alone(two)))

    def _alone(self, word: str) -> float:
        vocabulary = len(self._single) + 1
        return (self._single[word] + 0.1) / (self._total + 0.1 * vocabulary)

    def _pair_bits(self, one: str, two: str) -> float:
        alone = self._alone(two)
        seen, kinds = self._firsts[one], self._kinds[one] + 1
        return -float(np.log2((self._pairs[one, two] + kinds * alone) / (seen + kinds)))


class Order:
    """How badly known words follow each other: whoever exchanges or shuffles words loses it, and
    who mistypes them does not. Made of a fitted :class:`Fluency`."""

    def __init__(self, fluency: Fluency) -> None:
        self._fluency = fluency

    def look(self, sight: Sight) -> Floats:
        """(n,): bits a word beyond its own rarity; three known pairs of words are needed."""
        return np.array([self._bits(str(text)) for text in sight.inputs.tolist()])

    def _bits(self, text: str) -> float:
        told = [
            self._fluency.beyond(one, two)
            for one, two in pairwise(_words(text))
            if self._fluency.knows(one) and self._fluency.knows(two)
        ]
        return sum(told) / len(told) if len(told) >= _FEWEST_WORDS else float("nan")


class Spelling:
    """Letters that nobody would write here: slang, other languages, code, another register.

    Bits a character after the three before it, learnt from reference texts (m,), whatever their
    case and spacing, beyond what a reference text has under the others; over the square root of
    the length, as chance would have it. A typing error costs a few characters, another kind of
    text all.
    """

    def __init__(self, texts: npt.NDArray[Any]) -> None:
        self._four, self._three = Counter[str](), Counter[str]()
        for text in texts.tolist():
            for four in _fours(text):
                self._four[four] += 1
                self._three[four[:3]] += 1
        self._letters = len({four[3] for four in self._four}) + 1
        own = [self._letter_bits(four, 1) for four in self._four.elements()]
        self._usual = sum(own) / max(1, len(own))

    def look(self, sight: Sight) -> Floats:
        """(n,): excess bits; of a text of fewer than 12 characters they cannot be told."""
        return np.array([self._bits(text) for text in sight.inputs.tolist()])

    def _bits(self, text: Any) -> float:
        fours = _fours(text)
        if len(fours) < _FEWEST_LETTERS:
            return float("nan")
        excess = sum(self._letter_bits(four) - self._usual for four in fours)
        return excess / math.sqrt(len(fours))

    def _letter_bits(self, four: str, less: int = 0) -> float:
        """``less``: so many times it is not counted."""
        seen = self._three[four[:3]] - less + _LETTER_PRIOR * self._letters
        return -math.log2((self._four[four] - less + _LETTER_PRIOR) / seen)


def _fours(text: Any) -> list[str]:
    """Every four characters that follow each other, words and signs apart by one blank."""
    line = "  " + " ".join(_words(text))[:_LONGEST]
    return [line[at - 3 : at + 1] for at in range(3, len(line))]


def _words(text: Any) -> list[str]:
    return _WORD.findall(str(text or "").lower()[:_LONGEST])
