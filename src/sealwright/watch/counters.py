"""How much each principal took, by hour: streaming, mergeable, constant memory.

Two halves of a stream counted apart and merged give what the whole gives, in any order.
Distinct artifacts are counted linearly in a bitmap (Whang, Vander-Zanden and Taylor 1990), so
a principal takes the same few kilobytes however much there is to read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from sealwright.watch.events import HOUR_S, Access

HOURS = 48
"""How many hours are kept apart; what is older is only known to have been touched."""

_BITS = 1024


class Cell(msgspec.Struct):
    """One hour of one principal. ``touched`` is a bitmap of artifacts, as hex."""

    reads: int = 0
    size_bytes: int = 0
    exports: int = 0
    export_bytes: int = 0
    denied: int = 0
    compute_ms: int = 0
    touched: str = ""

    def add(self, access: Access) -> None:
        """Count one event."""
        if access.action == "read":
            self.reads += access.count
            self.size_bytes += access.size_bytes
        elif access.action == "export":
            self.exports += access.count
            self.export_bytes += access.size_bytes
        elif access.action == "denied":
            self.denied += access.count
        self.compute_ms += access.compute_ms
        if access.artifact and access.action in ("read", "export"):
            self.touched = _either(self.touched, _bit(access.artifact))

    def merge(self, other: Cell) -> None:
        """Add what another counter saw of the same hour."""
        for name in AMOUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.touched = _either(self.touched, other.touched)


AMOUNTS = ("reads", "size_bytes", "exports", "export_bytes", "denied", "compute_ms")
"""What is summed over hours, by the names that :class:`Cell` has for it."""


class Tally(msgspec.Struct):
    """One principal (or one artifact): the newest hours, and what was touched before them."""

    hours: dict[int, Cell] = msgspec.field(default_factory=dict)
    before: str = ""

    def add(self, access: Access) -> None:
        """Count one event, also one that arrives late."""
        hour = access.time // HOUR_S
        cell = self.hours.get(hour)
        if cell is None:
            cell = self.hours[hour] = Cell()
            cell.add(access)
            self._forget()
        else:
            cell.add(access)

    def merge(self, other: Tally) -> None:
        """Add what another counter saw of the same principal."""
        for hour, cell in other.hours.items():
            self.hours.setdefault(hour, Cell()).merge(cell)
        self.before = _either(self.before, other.before)
        self._forget()

    def total(self, amount: str, until: int, hours: int) -> int:
        """The sum of ``amount`` over the ``hours`` that end with the one of second ``until``."""
        last = until // HOUR_S
        return sum(
            getattr(cell, amount)
            for hour, cell in self.hours.items()
            if last - hours < hour <= last
        )

    def new_artifacts(self, until: int, hours: int) -> int:
        """About how many artifacts were touched in those hours and never before them."""
        last = until // HOUR_S
        now, known = 0, _number(self.before)
        for hour, cell in self.hours.items():
            if hour > last - hours:
                now |= _number(cell.touched)
            else:
                known |= _number(cell.touched)
        fresh = (now & ~known).bit_count()
        free = _BITS - known.bit_count()
        if fresh >= free:
            return _BITS
        return round(-_BITS * math.log(1 - fresh / free)) if fresh else 0

    def _forget(self) -> None:
        oldest = max(self.hours) - HOURS
        for hour in [hour for hour in self.hours if hour <= oldest]:
            self.before = _either(self.before, self.hours.pop(hour).touched)


class Counters(msgspec.Struct):
    """Tallies by principal and by artifact."""

    principals: dict[str, Tally] = msgspec.field(default_factory=dict)
    artifacts: dict[str, Tally] = msgspec.field(default_factory=dict)

    def add(self, access: Access) -> None:
        """Count one event under its principal and its artifact."""
        self.of(access.principal).add(access)
        if access.artifact:
            self.artifacts.setdefault(access.artifact, Tally()).add(access)

    def of(self, principal: str) -> Tally:
        """The tally of a principal; an empty one where there was none."""
        return self.principals.setdefault(principal, Tally())

    def merge(self, other: Counters) -> None:
        """Add what another counter saw."""
        for mine, theirs in (
            (self.principals, other.principals),
            (self.artifacts, other.artifacts),
        ):
            for name, tally in theirs.items():
                mine.setdefault(name, Tally()).merge(tally)


def of(events: Iterable[Access]) -> Counters:
    """Counters over events, in whatever order they come."""
    counters = Counters()
    for event in events:
        counters.add(event)
    return counters


def _bit(artifact: str) -> str:
    place = int.from_bytes(blake2b(artifact.encode(), digest_size=4).digest(), "big") % _BITS
    return f"{1 << place:x}"


def _number(bitmap: str) -> int:
    return int(bitmap, 16) if bitmap else 0


def _either(one: str, other: str) -> str:
    if not one or one == other:
        return other
    return f"{_number(one) | _number(other):x}" if other else one
