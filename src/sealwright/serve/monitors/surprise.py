"""From a monitor's number to bits of surprise, and from bits to a level that adds up.

Surprise is -log2 of the share of honest queries at least as strange; beyond the strangest 2 % an
exponential tail goes on. A level is a CUSUM (Page 1954) of bits above what the strangest honest
principals show on average, both counted above what is ordinary: it stays low for them however
long they ask.
"""

from __future__ import annotations

import msgspec
import numpy as np

from sealwright.serve.monitors.interface import Floats

MOST_BITS = 20.0
"""What one query can add, at most: a single odd one accuses nobody."""

_TAIL = 0.02
_GRID = 256


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``grid``: equally spaced quantiles of honest numbers, up to where the tail begins."""

    grid: tuple[float, ...]
    slope: float

    @classmethod
    def of(cls, honest: Floats) -> Scale:
        """From what honest queries scored, every principal with as many as any other."""
        found = np.sort(honest[np.isfinite(honest)])
        if not len(found):
            return cls((0.0,), 1.0)
        grid = np.quantile(found, np.linspace(0, 1 - _TAIL, _GRID))
        beyond = found[found > grid[-1]] - grid[-1]
        spread = max(float(found.std()), 1e-6)
        slope = float(beyond.mean()) if len(beyond) else 0.1 * spread
        return cls(tuple(grid.tolist()), max(slope, 1e-3 * spread))

    def bits(self, numbers: Floats) -> Floats:
        """(n,) from 0 to 20; 0 for what cannot be told."""
        grid = np.array(self.grid)
        share = np.searchsorted(grid, numbers, side="left") / len(grid) * (1 - _TAIL)
        bits = -np.log2(1 - share)
        over = (numbers - grid[-1]) / self.slope
        with np.errstate(invalid="ignore"):
            bits = np.where(over > 0, -np.log2(_TAIL) + over / np.log(2), bits)
        return np.where(np.isnan(numbers), 0.0, np.minimum(bits, MOST_BITS))


def levels(start: Floats, steps: Floats, most: Floats) -> Floats:
    """(n, c): the CUSUM after each row, from ``start`` (c,) by ``steps`` (n, c) up to ``most``."""
    out = np.empty_like(steps)
    level = start
    for at, step in enumerate(steps):
        level = np.minimum(np.maximum(0.0, level + step), most)
        out[at] = level
    return out
