"""Benchmarks: each prints its yardsticks from the same run, and says whether a target was met.

A module here is one bench: ``rows(quick) -> list[Row]``. Times are CPU seconds unless the
unit says otherwise, medians of repeated runs.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from typing import Literal

import msgspec

Better = Literal["higher", "lower"]


class Row(msgspec.Struct, frozen=True):
    """One measured figure. ``met`` is None where there is no target or the yardstick is absent."""

    what: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None
    yardsticks: dict[str, float] = msgspec.field(default_factory=dict)


def measure(
    what: str,
    value: float,
    unit: str,
    *,
    target: float | None = None,
    better: Better = "higher",
    yardsticks: dict[str, float] | None = None,
) -> Row:
    """A row whose ``met`` follows from ``target``."""
    met = None
    words = ""
    if target is not None:
        met = value >= target if better == "higher" else value <= target
        words = f"{'>=' if better == 'higher' else '<='} {target:g}"
    return Row(what, value, unit, words, met, yardsticks or {})


def cpu_s(work: Callable[[], object], repeat: int = 3) -> float:
    """Median CPU seconds (user and system, all threads, and children) of ``work``."""
    return statistics.median(_once(work, _cpu) for _ in range(repeat))


def wall_s(work: Callable[[], object], repeat: int = 3) -> float:
    """Median wall seconds of ``work``."""
    return statistics.median(_once(work, time.perf_counter) for _ in range(repeat))


def figure(value: float) -> str:
    """Four digits that a person can read: 34,700 and 0.0213, never 3.47e+04."""
    if abs(value) >= 1000:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.3g}"


def _once(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def _cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
