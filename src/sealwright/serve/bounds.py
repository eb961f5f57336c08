"""What a ledger is asked is checked before anything else, and how it says no."""

from __future__ import annotations

from collections.abc import Sequence

from sealwright.core.errors import BadInput, Refused, Unavailable
from sealwright.serve.interface import CELL_BITS, RUNGS, Allowance, Ask, Rung

MOST_MBITS = 1 << 50
"""Amounts stay below this, so that sums are exact in Lua's doubles (2^53): 10^12 bits."""
MOST_CELLS = 1 << CELL_BITS
MOST_RATE = 1_000_000
MOST_KNOTS, MOST_PACED_MBITS = 16, 1 << 40
"""Of a pace; times the cells that is below 2^53."""
MOST_NAME = 256
MOST_ROWS = 1 << 20
MOST_MS = 1 << 43
"""A time in milliseconds: the year 2248, still exact in a double as microseconds."""
ONE_BIT = 1000
"""What a refusal for coverage tells the caller, in millibits."""


def check_ask(ask: Ask) -> None:
    """Raises: BadInput."""
    check_name("a principal", ask.principal)
    check_name("a model", ask.model)
    check_amounts(ask)


def check_amounts(ask: Ask) -> None:
    """The numbers of an ask whose names are known to be good. Raises: BadInput."""
    mbits, at_ms, weight = ask.mbits, ask.at_ms, ask.weight
    if not (
        (type(mbits) is int and 0 <= mbits <= MOST_MBITS)
        and (type(at_ms) is int and 0 <= at_ms <= MOST_MS)
        and (type(weight) is int and 1 <= weight <= MOST_RATE)
    ):
        _number("mbits", mbits, 0, MOST_MBITS)
        _number("at_ms", at_ms, 0, MOST_MS)
        _number("weight", weight, 1, MOST_RATE)


def check_allowance(allowance: Allowance) -> None:
    """Raises: BadInput."""
    _number("group_mbits", allowance.group_mbits, 0, MOST_MBITS)
    _number("model_mbits", allowance.model_mbits, 0, MOST_MBITS)
    _number("cells", allowance.cells, 0, MOST_CELLS)
    _number("rate_per_s", allowance.rate_per_s, 1, MOST_RATE)
    _number("burst", allowance.burst, 1, MOST_RATE)
    if allowance.pace:
        check_pace(allowance.pace)


def check_pace(pace: Sequence[Sequence[int]]) -> None:
    """Raises: BadInput (too many, not rising, out of bounds)."""
    if len(pace) > MOST_KNOTS or any(len(knot) != 2 for knot in pace):
        raise BadInput("a pace that is none", why=f"at most {MOST_KNOTS} pairs of amount and cells")
    spent = touched = 0
    for mbits, cells in pace:
        _number("an amount of a pace", mbits, spent + 1, MOST_PACED_MBITS)
        _number("the cells of a pace", cells, max(1, touched), MOST_CELLS)
        spent, touched = mbits, cells


def room(allowance: Allowance, spent_mbits: int) -> int:
    """How many cells a group may have touched that spent so much; 0 is no cap."""
    before = most = 0
    for mbits, cells in allowance.pace:
        if spent_mbits < mbits:
            most += (cells - most) * (spent_mbits - before) // (mbits - before)
            break
        before, most = mbits, cells
    else:
        if not allowance.pace:
            return allowance.cells
    most = max(1, most)
    return min(most, allowance.cells) if allowance.cells else most


def check_release(mbits: int, cells: Sequence[int], anomaly_mbits: int) -> int:
    """The cells as a bitmap, a whole number. Raises: BadInput."""
    if type(mbits) is not int or not 0 <= mbits <= MOST_MBITS:
        _number("mbits", mbits, 0, MOST_MBITS)
    if type(anomaly_mbits) is not int or not 0 <= anomaly_mbits <= MOST_MBITS:
        _number("anomaly_mbits", anomaly_mbits, 0, MOST_MBITS)
    if len(cells) > MOST_ROWS:
        raise BadInput(f"{len(cells)} cells at once", why=f"at most {MOST_ROWS}")
    bitmap = 0
    for cell in cells:
        if type(cell) is not int or not 0 <= cell < MOST_CELLS:
            _number("a cell", cell, 0, MOST_CELLS - 1)
        bitmap |= 1 << cell
    return bitmap


def check_rung(rung: Rung, until_ms: int) -> None:
    """Raises: BadInput."""
    if rung not in RUNGS:
        raise BadInput(f"{rung!r} is no rung", why=f"one of {', '.join(RUNGS)}")
    _number("until_ms", until_ms, 0, MOST_MS)


def check_name(what: str, name: str) -> None:
    """Raises: BadInput (empty, long, or not printable)."""
    if type(name) is not str or not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise BadInput(
            f"{what} cannot be called {name!r:.80}",
            why=f"1 to {MOST_NAME} printable characters",
        )


def _number(what: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise BadInput(f"{what} is {value!r:.40}", why=f"a whole number from {least} to {most}")


def too_fast(group: str, wait_us: int) -> Refused:
    """``guard.rate``."""
    return Refused(
        f"{group} asks faster than it may",
        why=f"there is room again in {-(-wait_us // 1000)} ms",
        hint="ask again later, or for fewer rows at once",
        rule="guard.rate",
    )


def too_many_rows(group: str, weight: int, burst: int) -> Refused:
    """``guard.rate``, for ever: the request weighs more than a whole burst."""
    return Refused(
        f"{group} asks for more at once than it ever may",
        why=f"the request weighs {weight}, a burst is {burst}",
        hint="split it into smaller batches",
        rule="guard.rate",
    )


def spent(group: str, ask: Ask, left_mbits: int) -> Refused:
    """``guard.budget``."""
    return Refused(
        f"the budget of {group} for {ask.model} is used up",
        why=f"this answer could release {ask.mbits} millibits, {max(0, left_mbits)} are left",
        hint="seal serve budget",
        rule="guard.budget",
    )


def model_spent(ask: Ask, left_mbits: int) -> Refused:
    """``guard.model-budget``."""
    return Refused(
        f"the lifetime budget of {ask.model} is used up",
        why=f"this answer could release {ask.mbits} millibits, {max(0, left_mbits)} are left"
        " for everybody together",
        hint="seal serve budget",
        rule="guard.model-budget",
    )


def covered(group: str, model: str, cells: int, cap: int) -> Refused:
    """``guard.coverage``."""
    return Refused(
        f"{group} has seen as much of {model} as it may",
        why=f"{cells} cells of its feature space are touched, {cap} are allowed",
        hint="seal serve budget",
        rule="guard.coverage",
    )


def blocked(group: str, model: str, until_ms: int) -> Refused:
    """``guard.blocked``."""
    return Refused(
        f"{group} is blocked from {model}",
        why=f"until {until_ms} (milliseconds since 1970)",
        hint="seal serve thaw",
        rule="guard.blocked",
    )


def unknown_reservation() -> Refused:
    """``guard.reservation``: settled before, another's, expired, or lost with its counters."""
    return Refused(
        "this reservation cannot be settled",
        why="it was settled before, is somebody else's, or the ledger started anew since;"
        " what it took stays charged and the answer must not leave",
        hint="ask again",
        rule="guard.reservation",
    )


def above_reserved(mbits: int, reserved_mbits: int) -> Refused:
    """``guard.reservation``: more would be released than was reserved."""
    return Refused(
        "more would be released than was reserved",
        why=f"{mbits} millibits of {reserved_mbits}; the reservation stays charged in full",
        hint="reserve the most that the answer could release",
        rule="guard.reservation",
    )


def unavailable(what: str, why: str, hint: str) -> Unavailable:
    """``guard.ledger``: the ledger cannot tell, so nothing is answered."""
    return Unavailable(f"guard.ledger: {what}", why=why, hint=hint)
