"""The form of a model's inputs as anybody knows it: pixels, columns, or words.

Everything is a float64 matrix (n, d): numbers as they are, categories as codes, texts as counts
over a vocabulary (their order is lost, which a bag-of-words model does not see).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Form = Literal["image", "table", "text"]

WORDS = 2000
_WORD = re.compile(r"(?u)\b\w\w+\b")  # as scikit-learn's vectorisers cut words


class Space(msgspec.Struct, frozen=True):
    """``low`` and ``high`` (d,) bound a cell; ``values`` name a category's codes by column;
    ``whole`` (d,) cells hold integers; ``shape`` of a picture; ``words`` of a text."""

    form: Form
    low: Array
    high: Array
    whole: Array
    values: dict[int, tuple[str, ...]] = msgspec.field(default_factory=dict)
    shape: tuple[int, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """d."""
        return len(self.low)

    @property
    def numbers(self) -> Array:
        """Which columns are no categories."""
        return np.array([at for at in range(self.width) if at not in self.values], np.int64)

    def fit(self, inputs: Array) -> Array:
        """Cells within their bounds, whole where they must be."""
        kept = np.clip(np.nan_to_num(inputs), self.low, self.high)
        return np.where(self.whole, np.round(kept), kept)

    def render(self, inputs: Array) -> Array:
        """What goes to the model: numbers (n, d); texts (n,) or mixed cells (n, d) as ``str``."""
        if self.form == "text":
            return np.array([self._text(row) for row in inputs], dtype=str)
        if not self.values:
            return inputs
        cells = np.empty(inputs.shape, dtype=object)
        for at in range(self.width):
            if names := self.values.get(at):
                cells[:, at] = np.array(names, object)[inputs[:, at].astype(int)]
            else:
                cells[:, at] = [f"{one:.10g}" for one in inputs[:, at]]
        return cells.astype(str)

    def _text(self, row: Array) -> str:
        return " ".join(" ".join([self.words[at]] * int(row[at])) for at in np.nonzero(row)[0])

    def counts(self, texts: Sequence[str]) -> Array:
        """Texts as counts over ``words``; a word that is not among them is dropped."""
        place = {word: at for at, word in enumerate(self.words)}
        out = np.zeros((len(texts), self.width))
        for row, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                if word in place:
                    out[row, place[word]] += 1
        return out


def of_numbers(seeds: Array, shape: tuple[int, ...] = ()) -> Space:
    """Pictures (``shape``) or columns of numbers, bounded by what the seeds (n, d) hold."""
    low, high = seeds.min(axis=0), seeds.max(axis=0)
    if shape:
        low, high = np.full_like(low, seeds.min()), np.full_like(high, seeds.max())
    whole = (seeds == np.round(seeds)).all(axis=0) & (high - low >= 1) & (not shape)
    return Space("image" if shape else "table", low, high, whole, shape=shape)


def of_columns(seeds: Array, values: dict[int, tuple[str, ...]]) -> Space:
    """A table some of whose columns are codes of categories."""
    plain = of_numbers(seeds)
    high, whole = plain.high.copy(), plain.whole.copy()
    low = plain.low.copy()
    for at, names in values.items():
        low[at], high[at], whole[at] = 0, len(names) - 1, True
    return Space("table", low, high, whole, values=values)


def of_texts(texts: Sequence[str], most: int = WORDS) -> Space:
    """Texts, by the most frequent words of those that are public."""
    seen = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    words = tuple(word for word, _ in seen.most_common(most)) or ("word",)
    width = len(words)
    return Space("text", np.zeros(width), np.full(width, 9.0), np.ones(width, bool), words=words)
