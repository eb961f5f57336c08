"""Time in and out of statements: RFC 3339, UTC, whole seconds, ``Z``."""

from __future__ import annotations

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
