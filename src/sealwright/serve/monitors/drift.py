"""Input drift of the whole traffic: is what the model is asked still what it was calibrated on?

Two things must hold: a difference beyond chance, and one that is large enough to matter. One busy
principal is no drift: each lends a few rows to a window.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from sealwright.serve.monitors.interface import Floats

WINDOW = 1_000
FROM_EACH = 50
RATE = 0.01
"""Chance that a window of unchanged traffic raises anything, over all channels (Bonferroni)."""

DISTANCE = 0.1
"""Least Kolmogorov distance that counts."""


class Shift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One channel that moved. ``effect``: Kolmogorov distance in thousandths."""

    channel: str
    effect_permille: int
    rows: int


class Traffic:
    """The last rows of everybody, against reference numbers (m, channels)."""

    def __init__(self, channels: Sequence[str], reference: Floats) -> None:
        self._channels = tuple(channels)
        self._reference = [np.sort(_told(reference[:, at])) for at in range(len(self._channels))]
        self._rows = list[tuple[str, Floats]]()

    def add(self, principal: str, numbers: Floats) -> tuple[Shift, ...] | None:
        """Take in rows (n, channels). A full window is judged, and begun anew; else None."""
        held = defaultdict[str, int](int)
        for who, _ in self._rows:
            held[who] += 1
        room = FROM_EACH - held[principal]
        self._rows += [(principal, row) for row in numbers[: max(0, room)]]
        if len(self._rows) < WINDOW:
            return None
        window = np.array([row for _, row in self._rows])
        self._rows.clear()
        return self.judged(window)

    def judged(self, window: Floats) -> tuple[Shift, ...]:
        """The channels of rows (n, channels) that moved, most first."""
        found = []
        for at, channel in enumerate(self._channels):
            before, now = self._reference[at], np.sort(_told(window[:, at]))
            if not len(before) or not len(now):
                continue
            apart = distance(before, now)
            if apart >= DISTANCE and chance(apart, len(before), len(now)) <= RATE / len(
                self._channels
            ):
                found.append(Shift(channel, round(1000 * apart), len(now)))
        return tuple(sorted(found, key=lambda one: (-one.effect_permille, one.channel)))


def distance(one: Floats, other: Floats) -> float:
    """Kolmogorov distance of two sorted samples."""
    places = np.concatenate([one, other])
    left = np.searchsorted(one, places, side="right") / len(one)
    right = np.searchsorted(other, places, side="right") / len(other)
    return float(np.abs(left - right).max())


def chance(apart: float, one: int, other: int) -> float:
    """An upper bound on the probability of that distance by chance (Massart 1990, both sides)."""
    size = one * other / (one + other)
    return min(1.0, 2 * math.exp(-2 * size * apart**2))


def _told(numbers: Floats) -> Floats:
    return numbers[np.isfinite(numbers)]
