"""Time in and out of statements: RFC 3339, UTC, whole seconds, ``Z``."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sealwright.core.errors import BadInput


def now() -> datetime:
    """The system clock. ``app.wiring`` hands this on; nothing else calls it."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """``2026-11-23T08:30:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> datetime:
    """The inverse of :func:`stamp`. Raises: BadInput."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInput(f"not a UTC time: {text!r}", why="2026-01-31T12:00:00Z wanted") from error


def steady_us() -> Callable[[], int]:
    """A clock of microseconds since 1970 that nobody sets: anchored now, it runs with the machine.

    Setting the system's clock moves it neither back nor forward; a suspended machine counts.
    """
    ticking = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    told_ns = time.clock_gettime_ns
    anchor_us = (time.time_ns() - told_ns(ticking)) // 1000
    return lambda: anchor_us + told_ns(ticking) // 1000


def forward_ms() -> Callable[[], int]:
    """The system's clock, in milliseconds, which may be set forward but not back while this runs.

    What ended by it has ended; after a jump forward it is right again when the system's is.
    """
    started, since = time.time_ns(), time.monotonic_ns()
    return lambda: max(time.time_ns(), started + time.monotonic_ns() - since) // 1_000_000
