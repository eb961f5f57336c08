"""Whether the sides of a split are apart: equal records, near ones, one entity, or time.

Arrays in, counts and record ids out. A leak is counted on the side that is held out, but for
time, where the record that is too late is the one trained on. Records are compared by 64-bit
hashes of their cells: a false match among 10^7 and 10^6 records has probability 5e-7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.digest import Digest, of_bytes
from sealwright.evidence import jcs
from sealwright.kit import neardup
from sealwright.kit.neardup import Pairs, Pictures

FIRST = 5
ROLES: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")
"""In the order of time; a leak goes from an earlier side into a later one."""

Kind = Literal["exact", "near", "entity", "time", "untimed"]


class SideData(msgspec.Struct, frozen=True):
    """One side, record by record. What was not asked for is None.

    ``exact`` (n,) uint64 hashes; ``entities`` the same of the key column, ``keyed`` where there
    is a key; ``times`` int64 microseconds, ``timed`` where there is a time.
    ``texts`` are signatures of the records ``text_ids``; ``pictures`` of ``picture_ids``.
    """

    role: Literal["train", "validation", "test"]
    records: int
    exact: npt.NDArray[np.uint64]
    entities: npt.NDArray[np.uint64] | None = None
    keyed: npt.NDArray[np.bool_] | None = None
    times: npt.NDArray[np.int64] | None = None
    timed: npt.NDArray[np.bool_] | None = None
    texts: npt.NDArray[np.uint32] | None = None
    text_ids: npt.NDArray[np.int64] | None = None
    pictures: Pictures | None = None
    picture_ids: npt.NDArray[np.int64] | None = None
    unread: int = 0


class Leak(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``count`` records of ``target`` that ``source`` gives away, the ``first`` of them and
    their partners ``first_source``, by their places in their versions."""

    kind: Kind
    source: str
    target: str
    count: int
    first: tuple[int, ...] = ()
    first_source: tuple[int, ...] = ()

    def words(self) -> str:
        """For people; no value."""
        what = {
            "exact": "records also in",
            "near": "records nearly equal to ones in",
            "entity": "records of entities in",
            "time": "records later than the first in",
            "untimed": "records without a readable time, against",
        }[self.kind]
        told = f"split.{self.kind}: {self.count:,} {self.target} {what} {self.source}"
        if self.first:
            told += f", first {', '.join(map(str, self.first))}"
        if self.first_source:
            told += f" (there {', '.join(map(str, self.first_source))})"
        return told


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every leak between the sides. ``unread`` records could not be looked at."""

    records: dict[str, int]
    leaks: tuple[Leak, ...]
    unread: int

    @property
    def total(self) -> int:
        """Records that leak; one that leaks in two ways counts in each."""
        return sum(leak.count for leak in self.leaks)

    @property
    def digest(self) -> Digest:
        """SHA-256 over its canonical JSON."""
        return of_bytes(jcs.canonical(msgspec.to_builtins(self)))


def compare(sides: Sequence[SideData], near: float) -> Report:
    """Every earlier side against every later one. ``near`` 0 looks for equal records only."""
    ordered = sorted(sides, key=lambda side: ROLES.index(side.role))
    leaks = [
        leak
        for at, source in enumerate(ordered)
        for target in ordered[at + 1 :]
        for leak in _between(source, target, near)
    ]
    records: dict[str, int] = {side.role: side.records for side in ordered}
    return Report(records, tuple(leaks), sum(side.unread for side in ordered))


def _between(source: SideData, target: SideData, near: float) -> Iterator[Leak]:
    equal = _shared(target.exact, source.exact)
    yield from _leak("exact", source, target, equal)
    if near:
        yield from _leak("near", source, target, _near(source, target, near, equal.target))
    if source.entities is not None and target.entities is not None:
        assert source.keyed is not None  # noqa: S101  they come together
        assert target.keyed is not None  # noqa: S101
        ours, theirs = np.flatnonzero(target.keyed), np.flatnonzero(source.keyed)
        same = _shared(target.entities[ours], source.entities[theirs])
        yield from _leak("entity", source, target, Pairs(ours[same.target], theirs[same.source]))
    yield from _late(source, target)


def _shared(target: npt.NDArray[np.uint64], source: npt.NDArray[np.uint64]) -> Pairs:
    """Targets whose hash is among the sources', with the first of those."""
    if not len(source) or not len(target):
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    order = np.argsort(source, kind="stable")
    at = np.searchsorted(source, target, "left", sorter=order)
    at = np.minimum(at, len(source) - 1)
    found = np.flatnonzero(source[order[at]] == target)
    return Pairs(found.astype(np.int64), order[at[found]].astype(np.int64))


def _near(source: SideData, target: SideData, near: float, equal: npt.NDArray[np.int64]) -> Pairs:
    """Near and not equal."""
    pairs: list[Pairs] = []
    if source.texts is not None and target.texts is not None:
        found = neardup.near_texts(target.texts, source.texts, near)
        pairs.append(_placed(found, target.text_ids, source.text_ids))
    if source.pictures is not None and target.pictures is not None:
        found = neardup.near_pictures(target.pictures, source.pictures)
        pairs.append(_placed(found, target.picture_ids, source.picture_ids))
    if not pairs:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    ours = np.concatenate([each.target for each in pairs])
    theirs = np.concatenate([each.source for each in pairs])
    ours, first = np.unique(ours, return_index=True)
    fresh = ~np.isin(ours, equal)
    return Pairs(ours[fresh], theirs[first][fresh])


def _placed(found: Pairs, ours: Any, theirs: Any) -> Pairs:
    return Pairs(ours[found.target], theirs[found.source])


def _late(source: SideData, target: SideData) -> Iterator[Leak]:
    """What is learned from must be older than what is held out."""
    if source.times is None or target.times is None:
        return
    assert source.timed is not None  # noqa: S101  they come together
    assert target.timed is not None  # noqa: S101
    for side, other in ((source, target), (target, source)):
        assert side.timed is not None  # noqa: S101
        lost = np.flatnonzero(~side.timed)
        if len(lost):
            yield Leak("untimed", other.role, side.role, len(lost), _first(lost))
    if not target.timed.any():
        return
    begin = target.times[target.timed].min()
    late = np.flatnonzero(source.timed & (source.times >= begin))
    if len(late):
        yield Leak("time", target.role, source.role, len(late), _first(late))


def _leak(kind: Kind, source: SideData, target: SideData, pairs: Pairs) -> Iterator[Leak]:
    if len(pairs.target):
        order = np.argsort(pairs.target, kind="stable")[:FIRST]
        yield Leak(
            kind,
            source.role,
            target.role,
            len(pairs.target),
            _first(pairs.target[order]),
            _first(pairs.source[order]),
        )


def _first(ids: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(each) for each in ids[:FIRST])
