"""Whether a version is affected, exactly as OSV evaluates it, with versions ordered by PEP 440.

Source: the evaluation algorithm of the OSV schema ("Evaluation"); PEP 440.
A local part (``2.13.0+cpu``) is a rebuild of the public version and is judged as that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from packaging.version import InvalidVersion, Version

from sealwright.supply.osv import Affected, Range

State = Literal["affected", "not affected", "unknown"]


def judge(version: str, affected: Affected) -> State:
    """``unknown`` where the version, or what it is held against, cannot be ordered.

    Enumerated versions count as they stand; ranges beside them, as the format wants it.
    """
    if version in affected.versions:
        return "affected"
    ours = public(version)
    if ours is None:
        return "unknown"
    if any(public(one) == ours for one in affected.versions):
        return "affected"
    verdicts = [_within(ours, one) for one in affected.ranges]
    if "affected" in verdicts:
        return "affected"
    if "unknown" in verdicts or not (affected.ranges or affected.versions):
        return "unknown"
    return "not affected"


def fixed_in(version: str, affected: Affected) -> str:
    """The lowest release after ``version`` that ends a range it is in; empty where none does."""
    ours = public(version)
    if ours is None:
        return ""
    later = [
        (found, text)
        for stretch in affected.ranges
        if _within(ours, stretch) == "affected"
        for kind, text in stretch.events
        if kind == "fixed" and (found := public(text)) is not None and found > ours
    ]
    return min(later)[1] if later else ""


@lru_cache(maxsize=65536)
def public(text: str) -> Version | None:
    """The version without its local part; None where PEP 440 does not know it."""
    try:
        return Version(Version(text).public)
    except InvalidVersion:
        return None


def _within(ours: Version, stretch: Range) -> State:
    ordered: list[tuple[Version, int, str]] = []
    limits: list[Version] = []
    lowest = Version("0.dev0")
    for kind, text in stretch.events:
        place = lowest if (kind, text) == ("introduced", "0") else public(text)
        if text == "*" and kind == "limit":
            continue
        if place is None:
            return "unknown"
        if kind == "limit":
            limits.append(place)
        else:
            ordered.append((place, 0 if kind == "introduced" else 1, kind))
    if limits and not any(ours < limit for limit in limits):
        return "not affected"
    inside = False
    for place, _, what in sorted(ordered):
        if what == "introduced" and ours >= place:
            inside = True
        elif (what == "fixed" and ours >= place) or (what == "last_affected" and ours > place):
            inside = False
    return "affected" if inside else "not affected"
