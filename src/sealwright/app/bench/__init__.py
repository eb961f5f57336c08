"""Benchmarks: each prints its yardsticks from the same run, and says whether a target was met.

A module here is one bench: ``rows(quick) -> list[Row]``, or ``answer(ask) -> Answer`` where it has
sections. Times are CPU seconds unless the unit says otherwise, medians of repeated runs.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

Better = Literal["higher", "lower"]


class Row(msgspec.Struct, frozen=True):
    """One measured figure. ``met`` is None where there is no target or the yardstick is absent.

    ``value`` is None where nothing could be measured; ``note`` says why, or how it was.
    """

    what: str
    value: float | None
    unit: str
    target: str = ""
    met: bool | None = None
    yardsticks: dict[str, float] = msgspec.field(default_factory=dict)
    note: str = ""


class Ask(msgspec.Struct, frozen=True):
    """What the command line asks of a bench that has sections of its own. ``note`` says how far."""

    quick: bool
    only: tuple[str, ...] = ()
    held_out: str = ""
    fixtures: str = ""
    jobs: int = 0
    draws: int = 0
    note: Callable[[str], None] = lambda _: None
    model: bool = False


class Answer(NamedTuple):
    """Rows, and what else the page shows."""

    rows: list[Row]
    plates: list[Plate]


class Plate(NamedTuple):
    """Pictures (PNG), lines or charts (SVG) under a title. For the page only, never in JSON."""

    title: str
    caption: str
    pictures: tuple[tuple[str, bytes], ...] = ()
    lines: tuple[tuple[str, tuple[str, ...]], ...] = ()
    charts: tuple[str, ...] = ()


def measure(
    what: str,
    value: float,
    unit: str,
    *,
    target: float | None = None,
    better: Better = "higher",
    yardsticks: dict[str, float] | None = None,
    note: str = "",
) -> Row:
    """A row whose ``met`` follows from ``target``."""
    met = None
    words = ""
    if target is not None:
        met = value >= target if better == "higher" else value <= target
        words = f"{'>=' if better == 'higher' else '<='} {target:g}"
    return Row(what, value, unit, words, met, yardsticks or {}, note)


def cpu_s(work: Callable[[], object], repeat: int = 3) -> float:
    """Median CPU seconds (user and system, all threads, and children) of ``work``."""
    return statistics.median(_once(work, _cpu) for _ in range(repeat))


def wall_s(work: Callable[[], object], repeat: int = 3) -> float:
    """Median wall seconds of ``work``."""
    return statistics.median(_once(work, time.perf_counter) for _ in range(repeat))


def figure(value: float | None) -> str:
    """Four digits that a person can read: 34,700 and 0.0213, never 3.47e+04; none is a dash."""
    if value is None:
        return "-"
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
