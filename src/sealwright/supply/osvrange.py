"""Whether a version is affected, exactly as OSV evaluates it, in the order of its ecosystem.

Source: the evaluation algorithm of the OSV schema ("Evaluation"); PEP 440; ``osversions``.
A local part (``2.13.0+cpu``) is a rebuild of the public version and is judged as that.
"""

from __future__ import annotations

from typing import Any, Literal

from sealwright.supply import ecosystem
from sealwright.supply.ecosystem import Order
from sealwright.supply.ecosystem import public as public
from sealwright.supply.osv import Affected, Range

State = Literal["affected", "not affected", "unknown"]


def judge(version: str, affected: Affected) -> State:
    """``unknown`` where the version, or what it is held against, cannot be ordered.

    Enumerated versions count as they stand; ranges beside them, as the format wants it.
    """
    if version in affected.versions:
        return "affected"
    order = ecosystem.order(affected.ecosystem)
    ours = order(version)
    if ours is None:
        return "unknown"
    if any(order(one) == ours for one in affected.versions):
        return "affected"
    verdicts = [_within(ours, one, order) for one in affected.ranges]
    if "affected" in verdicts:
        return "affected"
    if "unknown" in verdicts or not (affected.ranges or affected.versions):
        return "unknown"
    return "not affected"


def fixed_in(version: str, affected: Affected) -> str:
    """The lowest release after ``version`` that ends a range it is in; empty where none does."""
    order = ecosystem.order(affected.ecosystem)
    ours = order(version)
    if ours is None:
        return ""
    later = [
        (found, text)
        for stretch in affected.ranges
        if _within(ours, stretch, order) == "affected"
        for kind, text in stretch.events
        if kind == "fixed" and (found := order(text)) is not None and found > ours
    ]
    return min(later)[1] if later else ""


def _within(ours: Any, stretch: Range, order: Order) -> State:
    ordered: list[tuple[int, Any, int, str]] = []
    limits: list[Any] = []
    for kind, text in stretch.events:
        if text == "*" and kind == "limit":
            continue
        if (kind, text) == ("introduced", "0"):
            ordered.append((0, 0, 0, kind))  # before every version
            continue
        place = order(text)
        if place is None:
            return "unknown"
        if kind == "limit":
            limits.append(place)
        else:
            ordered.append((1, place, 0 if kind == "introduced" else 1, kind))
    if limits and not any(ours < limit for limit in limits):
        return "not affected"
    inside = False
    for known, place, _, what in sorted(ordered):
        if what == "introduced" and (not known or ours >= place):
            inside = True
        elif (what == "fixed" and ours >= place) or (what == "last_affected" and ours > place):
            inside = False
    return "affected" if inside else "not affected"
