"""Walks: rows on a straight line between two of an account's own that were answered differently.

Whoever looks for where a model changes its mind halves the way between two rows (Lowd and Meek
2005; Tramèr 2016): numbers lie straight between them, words are one's or the other's. Honest rows
hardly ever do. A walk touches few cells and tells much, so each of its steps is charged more, as
cells that follow from the row itself: they merge over accounts like any others, and the same row
costs nothing twice. What it finds, and whom, is measured: docs/concepts/extraction.md.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.serve.columns import as_numbers, flat
from sealwright.serve.coverage import CELLS
from sealwright.serve.monitors.interface import Floats

REMEMBERED = 128
"""Rows of its own past that an account is compared with."""

CHARGED = 8
"""Cells that a step of a walk touches beyond its own."""

_NEAREST = 3
_CANDIDATES = 8
_INSIDE = 0.04
"""How far from both ends, as a share of the way, a step is at least."""
_COLUMNS = 2
"""Columns that move along the way, at least: one column alone is a what-if question."""
_MOST_COLUMNS = 256
_DISTINCT = 8
_SLACK, _EXACT, _FAR = 0.02, 0.005, 1e6

Words: TypeAlias = npt.NDArray[np.int64]


class Past(NamedTuple):
    """An account's last rows: ``numbers`` (m, c) in ranges of their columns, ``words`` (m, w) and
    ``labels`` (m,) as they were answered."""

    numbers: Floats
    words: Words
    labels: npt.NDArray[np.int64]

    def joined(self, other: Past) -> Past:
        """Of two groups that are one: the last half of each."""
        half = REMEMBERED // 2
        return Past(
            np.concatenate([self.numbers[-half:], other.numbers[-half:]]),
            np.concatenate([self.words[-half:], other.words[-half:]]),
            np.concatenate([self.labels[-half:], other.labels[-half:]]),
        )


class Ruler(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What rows are measured by: their ``form``, each column's range (0: it holds words), and how
    exactly each of the others is asked. ``blind``: texts."""

    form: tuple[int, ...]
    spans: tuple[float, ...]
    exact: tuple[float, ...]
    blind: bool


def ruler(inputs: npt.NDArray[Any]) -> Ruler:
    """Of reference rows: pictures, cells of a table, or texts, in which no walk is looked for."""
    blind = inputs.ndim < 2
    cells = flat(inputs, _MOST_COLUMNS) if not blind else np.zeros((0, 0))
    sides = [_ruled(as_numbers(cells[:, at])) for at in range(cells.shape[1])]
    if inputs.dtype.kind in "fiub":  # a pixel that was always white may change too
        widest = max((one for one in sides if one), default=(1.0, 0.005))
        sides = [one or widest for one in sides]
    spans = tuple(one[0] if one else 0.0 for one in sides)
    return Ruler(inputs.shape[1:], spans, tuple(one[1] for one in sides if one), blind)


class Walks:
    """Made of reference rows: which columns are numbers, and how exactly they are asked."""

    def __init__(self, inputs: npt.NDArray[Any] | Ruler) -> None:
        """``inputs``: reference rows, or what was learnt of them."""
        self.ruler = inputs if isinstance(inputs, Ruler) else ruler(inputs)
        self.blind, self._form = self.ruler.blind, self.ruler.form
        self._spans = self.ruler.spans
        self._exact = np.array(self.ruler.exact)
        self._slack = 2 * float(np.sqrt((self._exact**2).sum()))
        self._same = 1e-6 * max(1, len(self._spans))

    def blank(self) -> Past:
        """Of an account that never asked."""
        width = len(self._exact)
        words = len(self._spans) - width + 1
        return Past(np.zeros((0, width)), np.zeros((0, words), np.int64), np.zeros(0, np.int64))

    def look(
        self, inputs: npt.NDArray[Any], labels: npt.NDArray[np.int64], past: Past
    ) -> tuple[list[tuple[int, ...]], Past]:
        """For each of n rows, in order, the cells that it touches as a step of a walk; none for
        rows of another form than the reference's."""
        if self.blind or inputs.shape[1:] != self._form:
            return [()] * len(labels), past
        numbers, words = self._read(inputs)
        whole = Past(
            np.concatenate([past.numbers, numbers]),
            np.concatenate([past.words, words]),
            np.concatenate([past.labels, labels]),
        )
        found = list[tuple[int, ...]]()
        for start in range(len(past.labels), len(whole.labels), REMEMBERED):
            found += self._block(whole, start)
        kept = slice(-REMEMBERED, None)
        return found, Past(whole.numbers[kept], whole.words[kept], whole.labels[kept])

    def _read(self, inputs: npt.NDArray[Any]) -> tuple[Floats, Words]:
        cells = flat(inputs, _MOST_COLUMNS)
        numbers = [as_numbers(cells[:, at]) / span for at, span in enumerate(self._spans) if span]
        words = [_words(cells[:, at]) for at, span in enumerate(self._spans) if not span]
        side = np.stack(numbers, 1) if numbers else np.zeros((len(cells), 0))
        lacking = (~np.isfinite(side)) @ (np.int64(1) << (np.arange(side.shape[1]) % 62))
        known = np.clip(np.nan_to_num(side), -_FAR, _FAR)
        return known, np.stack([*words, lacking], 1)

    def _block(self, whole: Past, start: int) -> list[tuple[int, ...]]:
        """At most 128 rows from ``start``, each with those before it."""
        first, end = max(0, start - REMEMBERED), min(start + REMEMBERED, len(whole.labels))
        here = slice(first, end)
        near = Past(whole.numbers[here], whole.words[here], whole.labels[here])
        if (near.labels == near.labels[0]).all():
            return [()] * (end - start)
        squares = (near.numbers**2).sum(axis=1)
        apart = squares[:, None] + squares - 2 * near.numbers @ near.numbers.T
        apart = np.sqrt(np.maximum(apart, 0))
        return [
            charged(near.numbers[at], near.words[at]) if self._walked(near, apart, at) else ()
            for at in range(start - first, end - first)
        ]

    def _walked(self, near: Past, apart: Floats, at: int) -> bool:
        """Whether row ``at`` lies between two before it that were answered differently."""
        first = max(0, at - REMEMBERED)
        labels, other = near.labels[first:at], near.words[first:at] != near.words[at]
        away = apart[at, first:at]
        order = away + other.sum(axis=1)
        if len(order) < 2 or not order.min() > self._same:
            return False  # it was asked before
        for one in np.argpartition(order, min(_NEAREST, len(order) - 1))[:_NEAREST]:
            longer = away[one] + away - apart[first + one, first:at] * (1 + _SLACK) - self._slack
            places = np.flatnonzero((longer <= 0) & (labels != labels[one]))
            for two in places[np.argsort(longer[places])[:_CANDIDATES]]:
                mixed = not (other[one] & other[two]).any()
                if mixed and self._between(*near.numbers[[at, first + one, first + two]]):
                    return True
        return False

    def _between(self, row: Floats, one: Floats, two: Floats) -> bool:
        """On the line from ``one`` to ``two``, as exactly as each column is asked."""
        way = (two - one) / self._exact
        wide = np.abs(way)
        if (wide > 2).sum() < _COLUMNS:
            return False
        lead = int(wide.argmax())
        along = (row - one) / self._exact
        share = along[lead] / way[lead]
        if not _INSIDE < share < 1 - _INSIDE:
            return False
        return bool((np.abs(along - share * way) <= 1).all())


def charged(numbers: Floats, words: Words) -> tuple[int, ...]:
    """The cells of a row that is a step: the same ones each time it is asked."""
    said = hashlib.blake2b(numbers.tobytes() + words.tobytes(), digest_size=2 * CHARGED).digest()
    return tuple(int(one) % CELLS for one in np.frombuffer(said, "<u2"))


def _ruled(numbers: Floats) -> tuple[float, float] | None:
    """A column's range, and by how much of it two numbers may differ that are meant to be the
    same: rounding, or 0.5 %. None where it holds words."""
    found = numbers[np.isfinite(numbers)]
    if len(found) <= len(numbers) / 2 or len(np.unique(found[:1_000])) <= _DISTINCT:
        return None
    span = max(float(found.max() - found.min()), 1e-12)
    whole = span >= 1 and bool((found == np.round(found)).all())
    return span, 0.75 / span if whole else _EXACT


def _words(cells: npt.NDArray[Any]) -> Words:
    return np.array([zlib.crc32(str(cell).encode("utf-8", "replace")) for cell in cells], np.int64)
