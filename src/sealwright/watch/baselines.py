"""What is ordinary for a principal: robust, slow to learn, and not taught by a spike.

Two views of bytes. The last 24 hours against the median day, in median absolute deviations of
its logarithm (Iglewicz and Hoaglin 1993); and hour after hour a CUSUM (Page 1954) of how far
each is above an exponentially weighted mean of hours at work. Neither speaks of small things.
"""

from __future__ import annotations

import math
from statistics import median

import msgspec

from sealwright.watch.events import DAY_S, HOUR_S

DAYS = 28
_CAP = 3.0
"""One hour counts at most e^3 = 20 times the mean, so that no single spike rings."""


class Baseline(msgspec.Struct):
    """One principal's ordinary. ``days`` are bytes of the last days at work; ``mean`` is of ln."""

    days: list[int] = msgspec.field(default_factory=list)
    day: int = -1
    day_bytes: int = 0
    hour: int = -1
    hour_bytes: int = 0
    mean: float = 0.0
    hours: int = 0
    cusum: float = 0.0
    run_bytes: int = 0

    def add(self, time: int, size_bytes: int, drift: float, weight: float) -> None:
        """Take in ``size_bytes`` read at second ``time``; what comes late counts as now."""
        hour, day = time // HOUR_S, time // DAY_S
        if hour > self.hour:
            self._close_hour(drift, weight)
            self.hour, self.hour_bytes = hour, 0
        if day > self.day:
            self._close_day()
            self.day, self.day_bytes = day, 0
        self.hour_bytes += size_bytes
        self.day_bytes += size_bytes

    def deviation(self, size_bytes: int, spread: float) -> float:
        """Robust z of ``size_bytes`` in 24 hours; ``spread`` is the least deviation assumed."""
        logs = [math.log1p(day) for day in self.days]
        middle = median(logs)
        mad = 1.4826 * median(abs(log - middle) for log in logs)
        return (math.log1p(size_bytes) - middle) / max(mad, spread)

    def drifting(self, drift: float) -> tuple[float, int]:
        """The CUSUM with the hour so far, and the bytes since it left zero."""
        level = max(0.0, self.cusum + self._step(drift))
        return level, self.run_bytes + self.hour_bytes if level else 0

    def _step(self, drift: float) -> float:
        return min(_CAP, math.log1p(self.hour_bytes) - self.mean) - drift if self.hours else 0.0

    def _close_hour(self, drift: float, weight: float) -> None:
        if self.hour < 0 or not self.hour_bytes:
            return
        self.cusum = max(0.0, self.cusum + self._step(drift))
        self.run_bytes = self.run_bytes + self.hour_bytes if self.cusum else 0
        value = math.log1p(self.hour_bytes)
        if not self.hours:
            self.mean = value
        else:
            # a big hour teaches no more than one that is e times the mean
            self.mean += weight * min(1.0, value - self.mean)
        self.hours += 1

    def _close_day(self) -> None:
        if self.day >= 0 and self.day_bytes:
            self.days = [*self.days[1 - DAYS :], self.day_bytes]
