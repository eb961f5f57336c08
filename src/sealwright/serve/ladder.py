"""The ladder: what a group's signals move it to, and how it comes down again.

observe → warn → throttle → step-up → degrade → block. Up at once, as far as the strongest signal
says; down one rung at a time, and only when its time is over and the signals have fallen below
where they put it. Automatic up to degrade: block is for the hard budget, and for a person. Every
change is a :class:`Change`, which the caller makes an event; nothing here keeps time or state of
its own. States and moves: docs/spec/monitors-v1.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from sealwright.core.errors import BadInput
from sealwright.serve.interface import RUNGS, Balance, Rung

Cause = Literal["signal", "budget", "decay", "thaw", "person"]

TOP_AUTOMATIC: Rung = "degrade"
FOREVER_MS = 2**53
"""A rung that only a person ends."""

MINUTE_MS = 60_000
HOLD_MS: dict[Rung, int] = {
    "observe": 0,
    "warn": 15 * MINUTE_MS,
    "throttle": 60 * MINUTE_MS,
    "step-up": 6 * 60 * MINUTE_MS,
    "degrade": 24 * 60 * MINUTE_MS,
    "block": FOREVER_MS,
}
"""How long a rung lasts at least, from the last time that signals called for it."""

ENTERED_PERMILLE: dict[Rung, int] = {
    "observe": 0,
    "warn": 700,
    "throttle": 1_000,
    "step-up": 1_500,
    "degrade": 2_500,
}
"""Where a level, in thousandths of its threshold, puts a group."""

LEFT_PERMILLE = 800
"""A rung is left below this share of where it is entered (hysteresis)."""

SCARCE_PERMILLE = 200
"""With less of its budget left a group is warned."""


class Signal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strongly a monitor speaks: 1000 is its threshold."""

    monitor: str
    permille: int


class Standing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a group stands on the ladder. ``by``: what put it there."""

    rung: Rung = "observe"
    until_ms: int = 0
    by: Cause = "decay"


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A move, told to whoever must know. ``why`` names monitors and shares, never contents."""

    before: Rung
    after: Rung
    until_ms: int
    cause: Cause
    why: str


class Step(NamedTuple):
    """Where the group stands now; a change, or None where the rung stayed the same."""

    standing: Standing
    change: Change | None


def step(
    standing: Standing,
    signals: Sequence[Signal],
    balance: Balance,
    now_ms: int,
    enforced: bool = True,
) -> Step:
    """The next standing. Without ``enforced`` (too few honest principals seen) only the budget
    moves anybody."""
    if standing.rung == "block" and standing.until_ms > now_ms:
        return Step(standing, None)
    if balance.left_mbits <= 0:
        return _moved(standing, "block", now_ms, "budget", "nothing is left of the budget")
    strongest = _strongest(signals) if enforced else Signal("", 0)
    wanted, cause, why = _wanted(strongest, balance)
    if _above(wanted, standing.rung):
        return _moved(standing, wanted, now_ms, cause, why)
    if standing.rung == "observe":
        return Step(standing, None)
    if wanted == standing.rung or _still(standing, strongest):
        held = max(standing.until_ms, now_ms + HOLD_MS[standing.rung])
        return Step(Standing(standing.rung, held, standing.by), None)
    if now_ms < standing.until_ms:
        return Step(standing, None)
    lower = RUNGS[RUNGS.index(standing.rung) - 1]
    return _moved(standing, lower, now_ms, "decay", f"quiet since {standing.rung}")


def thaw(standing: Standing, by: str, reason: str, now_ms: int) -> Step:
    """A person takes a group back to observe, after an appeal. The caller also clears its levels.

    Raises: BadInput (nobody named, no reason).
    """
    _person(by, reason)
    return _moved(standing, "observe", now_ms, "thaw", f"{by}: {reason}")


def put(
    standing: Standing, rung: Rung, by: str, reason: str, now_ms: int, hold_ms: int = 0
) -> Step:
    """A person sets a rung, block included. Raises: BadInput (nobody named, no reason)."""
    _person(by, reason)
    step = _moved(standing, rung, now_ms, "person", f"{by}: {reason}")
    until = now_ms + hold_ms if hold_ms else step.standing.until_ms
    change = step.change and msgspec.structs.replace(step.change, until_ms=until)
    return Step(Standing(rung, until, "person"), change)


def joined(one: Standing, other: Standing) -> Standing:
    """Of two groups that are one: the higher rung, for the longer time."""
    key = RUNGS.index(one.rung), one.until_ms
    return one if key >= (RUNGS.index(other.rung), other.until_ms) else other


def _strongest(signals: Sequence[Signal]) -> Signal:
    return max(signals, key=lambda one: (one.permille, one.monitor), default=Signal("", 0))


def _wanted(strongest: Signal, balance: Balance) -> tuple[Rung, Cause, str]:
    reached = [rung for rung, at in ENTERED_PERMILLE.items() if strongest.permille >= at]
    if reached[-1] != "observe":
        why = f"{strongest.monitor} at {strongest.permille / 1000:.2f} of its threshold"
        return reached[-1], "signal", why
    whole = balance.spent_mbits + balance.left_mbits
    if balance.left_mbits * 1000 < whole * SCARCE_PERMILLE:
        return "warn", "budget", f"{balance.left_mbits * 100 // max(whole, 1)} % of the budget left"
    return "observe", "decay", ""


def _still(standing: Standing, strongest: Signal) -> bool:
    """Signals fell, but not yet far enough below where this rung is entered."""
    entered = ENTERED_PERMILLE.get(standing.rung, 0)
    return entered > 0 and strongest.permille * 1000 >= entered * LEFT_PERMILLE


def _above(one: Rung, other: Rung) -> bool:
    return RUNGS.index(one) > RUNGS.index(other)


def _moved(standing: Standing, rung: Rung, now_ms: int, cause: Cause, why: str) -> Step:
    hold = HOLD_MS[rung]
    until = FOREVER_MS if hold == FOREVER_MS else now_ms + hold
    after = Standing(rung, 0 if rung == "observe" else until, cause)
    if rung == standing.rung:
        return Step(after, None)
    return Step(after, Change(standing.rung, rung, after.until_ms, cause, why))


def _person(by: str, reason: str) -> None:
    if not by or not reason.strip():
        raise BadInput(
            "the ladder is not moved without a name and a reason",
            why="every change is a signed event that somebody answers for",
            hint="say --reason",
        )
