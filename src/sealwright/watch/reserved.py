"""Counting before instead of after: what an access would pass, and what it gave back.

The rules themselves are in ``rules``, which detection was measured with and which stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from sealwright.watch import rules
from sealwright.watch.counters import Tally
from sealwright.watch.events import HOUR_S, Access
from sealwright.watch.rules import Breach, Limits, State


def feed(state: State, access: Access, limits: Limits) -> Iterator[Breach]:
    """As :func:`rules.feed`; what was not taken after all is given back, and passes nothing."""
    if access.action in ("unread", "unexport"):
        _give_back(state.counters.principals, access.principal, access)
        _give_back(state.counters.artifacts, access.artifact, access)
        return
    yield from rules.feed(state, access, limits)


def would_pass(state: State, accesses: Iterable[Access], limits: Limits) -> tuple[Breach, ...]:
    """The hard limits that these events would pass, were they counted; ``state`` stays as it is.

    What is only unusual for somebody, and what a run will compute, cannot be said before.
    """
    asked = tuple(accesses)
    tried = State()
    for access in asked:
        for mine, theirs, name in (
            (tried.counters.principals, state.counters.principals, access.principal),
            (tried.counters.artifacts, state.counters.artifacts, access.artifact),
        ):
            if name in theirs and name not in mine:
                mine[name] = Tally()
                mine[name].merge(theirs[name])
    hard = msgspec.structs.replace(limits, statistics=False)
    found = {b.rule: b for access in asked for b in rules.feed(tried, access, hard)}
    return tuple(found.values())


def _give_back(tallies: dict[str, Tally], name: str, access: Access) -> None:
    """In the hour it was reserved in; an hour nobody remembers holds nobody to anything."""
    cell = tallies[name].hours.get(access.time // HOUR_S) if name in tallies else None
    if cell is None:
        return
    if access.action == "unexport":
        cell.exports -= access.count
        cell.export_bytes -= access.size_bytes
    else:
        cell.size_bytes -= access.size_bytes
