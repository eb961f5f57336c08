"""Inputs as a surrogate reads them (n, e), and a step against its gradient back among inputs."""

from __future__ import annotations

import numpy as np

from sealwright.redteam.extraction.interface import Array
from sealwright.redteam.extraction.space import Space

_SWAPPED = 3


class Coding:
    """Numbers centred and scaled by the seeds, categories one-hot, counts as log(1 + n)."""

    def __init__(self, space: Space, seeds: Array) -> None:
        self._space = space
        self._numbers = space.numbers
        seen = self._plain(seeds[:, self._numbers])
        self._centre = seen.mean(axis=0) if len(seen) else np.zeros(len(self._numbers))
        spread = seen.std(axis=0) if len(seen) else np.ones(len(self._numbers))
        if space.form == "image":
            spread = np.full_like(spread, max(float(spread.mean()), 1e-6))
        elif space.form == "text":
            self._centre, spread = np.zeros_like(spread), np.full_like(spread, 0.5)
        self._spread = np.maximum(spread, 1e-6)

    @property
    def width(self) -> int:
        """e."""
        return len(self._numbers) + sum(len(names) for names in self._space.values.values())

    def _plain(self, numbers: Array) -> Array:
        return np.log1p(numbers) if self._space.form == "text" else numbers

    def encode(self, inputs: Array) -> Array:
        """(n, d) to (n, e), float32."""
        numbers = (self._plain(inputs[:, self._numbers]) - self._centre) / self._spread
        parts = [np.clip(numbers, -8, 8)]
        for at, names in self._space.values.items():
            parts.append(np.eye(len(names))[inputs[:, at].astype(int)])
        return np.concatenate(parts, axis=1).astype(np.float32)

    def step(self, inputs: Array, slope: Array, size: float) -> Array:
        """Inputs moved along ``slope`` (n, e): numbers by ``size`` of their range and its sign,
        one category to where it is steepest, a few words in and out."""
        moved, wide = inputs.copy(), len(self._numbers)
        along = slope[:, :wide]
        if self._space.form == "text":
            return self._space.fit(moved + _words(along, inputs))
        span = (self._space.high - self._space.low)[self._numbers]
        moved[:, self._numbers] += size * span * np.sign(along)
        start, best = wide, np.full(len(inputs), -np.inf)
        which: Array = np.zeros((len(inputs), 2), int)
        for at, names in self._space.values.items():
            part = slope[:, start : start + len(names)]
            start += len(names)
            gain = part.max(axis=1)
            better = gain > best
            best = np.where(better, gain, best)
            which[better] = np.stack([np.full(len(inputs), at), part.argmax(axis=1)], 1)[better]
        if self._space.values:
            moved[np.arange(len(inputs)), which[:, 0]] = which[:, 1]
        return self._space.fit(moved)


def _words(along: Array, inputs: Array) -> Array:
    """The steepest words in; of those in the text, the steepest downhill out."""
    change, rows = np.zeros_like(inputs), np.arange(len(inputs))[:, None]
    change[rows, np.argsort(-along, axis=1)[:, :_SWAPPED]] += 1
    held = np.where(inputs > 0, along, np.inf)
    out = np.argsort(held, axis=1)[:, :_SWAPPED]
    change[rows, out] -= np.isfinite(np.take_along_axis(held, out, axis=1))
    return change
