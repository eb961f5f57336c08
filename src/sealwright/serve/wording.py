"""Texts as points, where the model behind shows none: which words are in them, and how many.

Signed feature hashing (Weinberger et al. 2009) of words into 64 numbers, roots of counts, length
one. Two texts with the same words are near each other; what the model makes of them is not seen.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH = 64
LONGEST = 2_000
"""Characters of a text that are looked at."""

_WORD = re.compile(r"\w+|[^\w\s]")


def features(texts: Sequence[str] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(n, 64) of n texts; a text without a word is nought."""
    out = np.zeros((len(texts), WIDTH))
    for row, text in zip(out, texts, strict=True):
        for word, count in Counter(_WORD.findall(str(text)[:LONGEST].lower())).items():
            place = zlib.crc32(word.encode("utf-8", "replace"))
            row[place % WIDTH] += count**0.5 if place & WIDTH else -(count**0.5)
    lengths = np.sqrt((out**2).sum(axis=1, keepdims=True))
    return np.asarray(out / np.maximum(lengths, 1e-9))
