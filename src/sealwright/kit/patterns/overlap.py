"""Which matches stay where several fit the same characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sealwright.kit.patterns.interface import Match


def settled(found: Iterable[Match]) -> Iterator[Match]:
    """By place; what lies inside something surer or as sure is left out."""
    ordered = sorted(found, key=lambda m: (m.start, -m.end, -m.confidence))
    kept: list[Match] = []
    for each in ordered:
        inside = [k for k in kept[-8:] if k.end >= each.end and k.start <= each.start]
        if any(_covers(k, each) for k in inside):
            continue
        kept = [k for k in kept if not _covers(each, k)] if _overlaps(kept, each) else kept
        kept.append(each)
    yield from kept


def _overlaps(kept: Sequence[Match], each: Match) -> bool:
    return bool(kept) and any(k.end > each.start for k in kept[-8:])


def _covers(one: Match, other: Match) -> bool:
    """Whether ``one`` leaves nothing for ``other`` to say; a credential gives way to none."""
    secret = [each.category == "credential" for each in (one, other)]
    if secret[0] != secret[1]:
        return secret[0] and one.start < other.end and other.start < one.end
    if (one.start, one.end) == (other.start, other.end):
        same = one.kind == other.kind
        return (
            one.confidence >= other.confidence if same else one.confidence > other.confidence + 15
        )
    if one.start <= other.start and other.end <= one.end:
        return one.confidence >= other.confidence - 10
    crossed = one.start < other.end and other.start < one.end
    return crossed and one.confidence > other.confidence + 15
