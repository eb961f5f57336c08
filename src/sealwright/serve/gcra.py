"""The generic cell rate algorithm (ITU-T I.371): one number says how far ahead a group has asked.

Times are microseconds; ``tat`` is the theoretical arrival time of the next request.
"""

from __future__ import annotations

_SECOND_US = 1_000_000


def interval_us(rate_per_s: int) -> int:
    """What one request costs, rounded up: never a request more than the rate allows."""
    return -(-_SECOND_US // rate_per_s)


def arrive(tat_us: int, now_us: int, cost_us: int, burst_us: int) -> int:
    """The new ``tat``, or minus the microseconds to wait where there is no room for the cost.

    A clock that was set back leaves ``tat`` further ahead: it never makes room.
    """
    ahead = (tat_us if tat_us > now_us else now_us) + cost_us
    early = ahead - now_us - burst_us
    return ahead if early <= 0 else -early
