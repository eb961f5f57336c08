"""Access events: who did what to which artifact, how many bytes, when.

Drawn from statements, so that what the watch knows can always be drawn again from the log.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Action = Literal["read", "export", "denied", "run"]
HOUR_S = 3600
DAY_S = 86_400


class Access(msgspec.Struct, frozen=True):
    """``count`` times ``action`` by ``principal``; ``time`` in seconds since 1970, UTC."""

    principal: str
    action: Action
    artifact: str
    size_bytes: int
    time: int
    count: int = 1
    compute_ms: int = 0


def weekday(time: int) -> int:
    """0 is Monday. The first of January 1970 was a Thursday."""
    return (time // DAY_S + 3) % 7


def hour_of_day(time: int) -> int:
    """0 to 23, UTC."""
    return time % DAY_S // HOUR_S
