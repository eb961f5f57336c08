"""Access events: who did what to which artifact, how many bytes, when.

Drawn from statements, so that what the watch knows can always be drawn again from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from sealwright.core import clock
from sealwright.core import predicates as p
from sealwright.core.errors import BadInput
from sealwright.core.records import Json, Recorded
from sealwright.evidence.history import History
from sealwright.policy import settlements

Action = Literal["read", "export", "denied", "run", "unread", "unexport"]
"""``unread`` and ``unexport`` give back what was reserved and not taken."""

HOUR_S = 3600
DAY_S = 86_400


class Access(msgspec.Struct, frozen=True):
    """``count`` times ``action`` by ``principal``; ``time`` in seconds since 1970, UTC. Not
    ``shown``: bytes were checked, and nobody saw a value."""

    principal: str
    action: Action
    artifact: str
    size_bytes: int
    time: int
    count: int = 1
    compute_ms: int = 0
    shown: bool = True


def weekday(time: int) -> int:
    """0 is Monday. The first of January 1970 was a Thursday."""
    return (time // DAY_S + 3) % 7


def hour_of_day(time: int) -> int:
    """0 to 23, UTC."""
    return time % DAY_S // HOUR_S


def drawn(history: History, start: int = 0) -> Iterator[Access]:
    """The access events of a verified history from entry ``start`` on, in log order.

    Time never goes back: an entry that claims to be older than one before it counts as now.
    """
    times = _Times(history, start)
    with_reads = {e.statement.predicate.get("run") for e in history.of_type(p.READ)}
    for entry in history.entries[start:]:
        moment = times.of(entry)
        draw = _DRAWS.get(entry.statement.predicate_type)
        if draw is not None:
            yield from draw(entry, moment, history, with_reads)


class _Times:
    """Seconds since 1970 that only grow, in log order."""

    def __init__(self, history: History, start: int) -> None:
        self._newest = 0
        for entry in history.entries[max(0, start - 64) : start]:
            self.of(entry)

    def of(self, entry: Recorded) -> int:
        """The entry's own time, or the newest before it."""
        said = entry.statement.predicate.get("time")
        if isinstance(said, str):
            try:
                self._newest = max(self._newest, int(clock.parse(said).timestamp()))
            except BadInput:
                return self._newest
        return self._newest


def _read(entry: Recorded, time: int, history: History, runs: set[Json]) -> Iterator[Access]:
    """Bytes that may go out from here on: counted before they do."""
    predicate = entry.statement.predicate
    action: Action = "export" if predicate.get("action") == "export" else "read"
    size = predicate.get("size_bytes")
    subjects = entry.statement.subjects
    for number, subject in enumerate(subjects):
        taken = size if isinstance(size, int) and number == 0 else 0
        shown = predicate.get("action") != "inspect"
        yield Access(_actor(entry), action, subject.digest, taken, time, shown=shown)


def _settled(entry: Recorded, time: int, history: History, runs: set[Json]) -> Iterator[Access]:
    """What a read did not take, in the hour it was reserved in. Only the first counts."""
    read = settlements.read_of(entry, history)
    earlier = [e for e in history.of_type(p.READ_SETTLED) if e.index < entry.index]
    if read is None or any(settlements.read_of(e, history) is read for e in earlier):
        return
    reserved, taken = (e.statement.predicate.get("size_bytes") for e in (read, entry))
    if not isinstance(reserved, int) or not isinstance(taken, int):
        return
    said = clock.parse(str(read.statement.predicate["time"]))
    export = read.statement.predicate.get("action") == "export"
    yield Access(
        _actor(read),
        "unexport" if export else "unread",
        read.statement.subjects[0].digest,
        reserved - taken,
        min(time, int(said.timestamp())),
        count=int(taken == 0),
    )


def _begun(entry: Recorded, time: int, history: History, runs: set[Json]) -> Iterator[Access]:
    """A run reads its inputs, where no read statement says so."""
    if entry.statement.predicate.get("run") in runs:
        return
    for subject in entry.statement.subjects:
        if subject.name.startswith("data:"):
            size = _size(history, subject.digest, p.DATASET_VERSION)
            yield Access(_actor(entry), "read", subject.digest, size, time)


def _exported(entry: Recorded, time: int, history: History, runs: set[Json]) -> Iterator[Access]:
    """An export that nobody was asked about: else it was counted when it was allowed."""
    if _was_reserved(entry, history):
        return
    for subject in entry.statement.subjects:
        size = _size(history, subject.digest, p.MODEL_VERSION)
        yield Access(_actor(entry), "export", subject.digest, size, time)


def _was_reserved(entry: Recorded, history: History) -> bool:
    """Whether more exports of it were allowed to its actor, and not given back, than were made."""
    balance = 0
    for other in history.about(entry.statement.subjects[0].digest):
        predicate, kind = other.statement.predicate, other.statement.predicate_type
        if other.index >= entry.index or predicate.get("actor") != _actor(entry):
            continue
        if kind == p.READ and predicate.get("action") == "export":
            balance += 1
        elif kind == p.EXPORT:
            balance -= 1
        elif kind == p.READ_SETTLED and predicate.get("size_bytes") == 0:
            read = settlements.read_of(other, history)
            balance -= read is not None and read.statement.predicate.get("action") == "export"
    return balance > 0


def _decided(entry: Recorded, time: int, history: History, runs: set[Json]) -> Iterator[Access]:
    if entry.statement.predicate.get("allowed") is False:
        yield Access(_actor(entry), "denied", entry.statement.subjects[0].digest, 0, time)


def _made(entry: Recorded, time: int, history: History, runs: set[Json]) -> Iterator[Access]:
    """What a run used, as its provenance says; who ran it is in its intent."""
    predicate: Any = entry.statement.predicate
    try:
        run = predicate["runDetails"]["metadata"]["invocationId"]
        used = predicate["buildDefinition"]["internalParameters"]["room"]["usage"]["cpu_ms"]
    except (KeyError, TypeError):
        return
    begun = [e for e in history.of_type(p.INTENT) if e.statement.predicate.get("run") == run]
    if begun and isinstance(used, int):
        yield Access(_actor(begun[-1]), "run", "", 0, time, compute_ms=used)


_DRAWS: dict[str, Callable[[Recorded, int, History, set[Json]], Iterator[Access]]] = {
    p.READ: _read,
    p.READ_SETTLED: _settled,
    p.INTENT: _begun,
    p.EXPORT: _exported,
    p.DECISION: _decided,
    p.ACCESS: _decided,
    p.SLSA_PROVENANCE: _made,
}


def _actor(entry: Recorded) -> str:
    return str(entry.statement.predicate.get("actor", ""))


def _size(history: History, digest: str, kind: str) -> int:
    for entry in history.about(digest):
        size = entry.statement.predicate.get("size_bytes")
        if entry.statement.predicate_type == kind and isinstance(size, int):
            return size
    return 0
