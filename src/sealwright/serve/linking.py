"""Which accounts are one: links with a score and a reason, and the groups they make.

A link is one thing two principals share. Strong things (a certificate, a subject) link by
themselves; weak ones (a network, shared queries) only together. What very many share is a carrier's
address or a public sample and links nobody. Groups follow from the links alone, so taking links
back takes the group back. docs/spec/monitors-v1.md says what this cannot see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Literal

import msgspec

from sealwright.serve import coverage
from sealwright.serve.interface import Caller

Kind = Literal[
    "certificate", "subject", "organisation", "issuer", "network", "queries", "coverage", "person"
]

SCORES: dict[Kind, int] = {
    "certificate": 100,
    "subject": 100,
    "organisation": 100,
    "network": 40,
    "issuer": 20,
    "queries": 100,
    "coverage": 40,
    "person": 1_000,
}
"""What one link is worth, at most; a pair is one group from :data:`ENOUGH` on."""

ENOUGH = 100

MOST: dict[Kind, int] = {
    "certificate": 1_000,
    "subject": 1_000,
    "organisation": 10_000,
    "network": 8,
    "issuer": 64,
}
"""How many principals may share a value before it says nothing: a carrier's address is no link."""

SHARED_QUERIES = 10
"""Near-duplicate queries that two share, at least."""

ENOUGH_SHARE = 0.4
"""So much of what two ask, weighed by how rare it is, links them by itself; less scores less. It is
1.5 times the most that two calibration users of the bench share, in a closed set of texts."""

LEAST_SHARE = 0.2
"""Below it nothing is said."""

COMPLEMENT_CELLS = 100
"""Cells that each of two has touched, at least, before their coverage can say anything."""

COMPLEMENT_RATIO = 0.25
"""Overlap below this share of what chance gives: two who tile the space between them."""


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """Two principals, the lesser name first, and what they share. ``score`` of 100 is enough."""

    one: str
    other: str
    kind: Kind
    score: int
    why: str


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Principals who share one budget, named after the first of them, and the links that say so."""

    name: str
    members: tuple[str, ...]
    links: tuple[Link, ...]


def by_identity(callers: Sequence[Caller]) -> tuple[Link, ...]:
    """Links from what is known of callers. A value that too many share gives none."""
    fields: tuple[tuple[Kind, str], ...] = (
        ("certificate", "certificate"),
        ("subject", "subject"),
        ("organisation", "organisation"),
        ("issuer", "issuer"),
        ("network", "network"),
    )
    known = {caller.principal: caller for caller in callers}
    links = list[Link]()
    for kind, field in fields:
        holders = defaultdict[str, list[str]](list)
        for name, caller in sorted(known.items()):
            if value := _value(caller, field):
                holders[value].append(name)
        for sharers in holders.values():
            if len(sharers) <= MOST[kind]:
                links += _chained(sharers, kind, f"the same {kind}")
    return tuple(links)


def by_share(one: str, other: str, share: float, count: int) -> tuple[Link, ...]:
    """From the share of two principals' rare queries that both asked, ``count`` of a sample.

    A query is the less worth the more principals asked it: a public sample links nobody.
    """
    if share < LEAST_SHARE or count < SHARED_QUERIES:
        return ()
    score = min(SCORES["queries"], int(SCORES["queries"] * share / ENOUGH_SHARE))
    why = f"{count} rare queries of a sample in common, a share of {share:.2f}"
    return (Link(min(one, other), max(one, other), "queries", score, why),)


def by_coverage(bitmaps: dict[str, bytes], honest_overlap: float) -> tuple[Link, ...]:
    """Pairs whose cells hardly overlap though both touched many: parts of one survey.

    ``honest_overlap``: how many times chance two honest principals overlap (the median; 1 or more).
    Each principal is linked with the one it complements best, and only mutually.
    """
    counts = {name: coverage.count(bitmap) for name, bitmap in bitmaps.items()}
    wide = sorted(name for name, count in counts.items() if count >= COMPLEMENT_CELLS)
    ratios = dict[tuple[str, str], float]()
    for one, other in combinations(wide, 2):
        both = counts[one] + counts[other]
        both -= coverage.count(coverage.union(bitmaps[one], bitmaps[other]))
        chance = counts[one] * counts[other] / coverage.CELLS
        ratios[one, other] = ratios[other, one] = both / (chance * max(1.0, honest_overlap))
    best = {
        name: min((ratios[name, other], other) for other in wide if other != name)
        for name in wide
        if len(wide) > 1
    }
    links = []
    for one, (ratio, other) in sorted(best.items()):
        if one < other and best[other][1] == one and ratio <= COMPLEMENT_RATIO:
            why = f"cells overlap {ratio:.2f} times as much as those of honest principals"
            links.append(Link(one, other, "coverage", SCORES["coverage"], why))
    return tuple(links)


def by_person(one: str, other: str, by: str, reason: str) -> Link:
    """A person says that two accounts are one."""
    return Link(min(one, other), max(one, other), "person", SCORES["person"], f"{by}: {reason}")


def groups(
    principals: Iterable[str],
    links: Iterable[Link],
    apart: Iterable[tuple[str, str]] = (),
) -> tuple[Group, ...]:
    """Every principal in exactly one group; ``apart`` are pairs that a person took apart.

    Union-find over pairs whose links of different kinds score 100 together. Taking a pair apart
    takes away the links between the two, not those that lead around them.
    """
    split = {(min(pair), max(pair)) for pair in apart}
    held = [link for link in sorted(set(links)) if (link.one, link.other) not in split]
    parent = {name: name for name in sorted(set(principals))}
    for link in held:
        parent.setdefault(link.one, link.one)
        parent.setdefault(link.other, link.other)

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    scores = defaultdict[tuple[str, str], dict[Kind, int]](dict)
    for link in held:
        kinds = scores[link.one, link.other]
        kinds[link.kind] = max(link.score, kinds.get(link.kind, 0))
    for (one, other), kinds in scores.items():
        if sum(kinds.values()) >= ENOUGH:
            first, last = sorted((root(one), root(other)))
            parent[last] = first
    members = defaultdict[str, list[str]](list)
    for name in sorted(parent):
        members[root(name)].append(name)
    inside = {name: head for head, names in members.items() for name in names}
    told = defaultdict[str, list[Link]](list)
    for link in held:
        if inside[link.one] == inside[link.other]:
            told[inside[link.one]].append(link)
    return tuple(
        Group(head, tuple(names), tuple(told[head])) for head, names in sorted(members.items())
    )


def _value(caller: Caller, field: str) -> str:
    value: str = getattr(caller, field)
    if field == "subject":  # a subject is only unique within its issuer
        return f"{caller.issuer}\0{value}" if value else ""
    return value


def _chained(sharers: Sequence[str], kind: Kind, why: str) -> list[Link]:
    """Strong: each with the next, which already joins all. Weak: every pair, to add up."""
    pairs = pairwise(sharers) if SCORES[kind] >= ENOUGH else combinations(sharers, 2)
    return [Link(one, other, kind, SCORES[kind], why) for one, other in pairs]
