"""What in the store nobody needs: leftovers of interrupted writes, segments nothing names.

Marking is generous on purpose. A segment lives if any statement of the log names it, or if
any file that a statement names by its segments (manifests, code records) contains its id.
A manifest that cannot be read stops the collection: what it names cannot be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from sealwright.adapters.store_local import LocalStore
from sealwright.core import clock
from sealwright.core import predicates as p
from sealwright.core.errors import Refused, Unavailable
from sealwright.core.locking import exclusive
from sealwright.core.records import Recorded
from sealwright.evidence.history import History
from sealwright.intake import versions
from sealwright.registry import manifest

GRACE = timedelta(hours=1)
"""What is younger may belong to work that has not recorded its statement yet."""

_LOCKS = {"data": versions.lock_of, "model": manifest.lock_of}
_HEX = re.compile(rb"[0-9a-f]{64,}")
_ID_BYTES = 64
_STEP_BYTES = 1 << 20


class Loose(msgspec.Struct, frozen=True):
    """A segment nothing names. ``size_bytes`` is what it takes on disk."""

    scope: str
    segment: str
    size_bytes: int


class Garbage(msgspec.Struct, frozen=True):
    """What a collection would remove, how much lives, and the scopes it left alone."""

    segments: tuple[Loose, ...]
    live: int
    kept_for_now: int
    busy: tuple[str, ...] = ()


@contextmanager
def writers_kept_out(store: LocalStore, scratch: Path) -> Iterator[tuple[str, ...]]:
    """Lock every dataset and model against writers; yields the scopes somebody writes to now.

    Age alone does not tell what an add under way has stored: it may run for hours.
    """
    busy: list[str] = []
    with ExitStack() as held:
        for scope in store.scopes():
            kind, _, name = scope.partition(":")
            if kind in _LOCKS:
                try:
                    held.enter_context(exclusive(_LOCKS[kind](scratch, name), scope, 0))
                except Unavailable:
                    busy.append(scope)
        yield tuple(busy)


def find(history: History, store: LocalStore, now: datetime, busy: tuple[str, ...] = ()) -> Garbage:
    """Mark what lives, list the rest, but for ``busy`` scopes. ``history`` is to be read once
    writers are kept out. Reads only. Raises: VerifyError (a changed manifest)."""
    before = _cutoff(history.entries, now).timestamp()
    named = _named(history.entries)
    live = young = 0
    loose: list[Loose] = []
    for scope in store.scopes():
        if scope in busy:
            continue
        held = store.segments(scope)
        alive = _live(named, store, scope, held)
        live += len(alive)
        for segment in sorted(held - alive):
            facts = store.facts(scope, segment)
            if facts is None:
                continue
            if facts.st_mtime >= before:
                young += 1
            else:
                loose.append(Loose(scope, segment, facts.st_size))
    return Garbage(tuple(loose), live, young, busy)


def remove(garbage: Garbage, store: LocalStore) -> int:
    """Shred what :func:`find` listed; returns how many segments there were."""
    by_scope: dict[str, list[str]] = {}
    for each in garbage.segments:
        by_scope.setdefault(each.scope, []).append(each.segment)
    return sum(store.shred(scope, segments) for scope, segments in by_scope.items())


def _cutoff(entries: Iterable[Recorded], now: datetime) -> datetime:
    """A run that is under way keeps what was stored since it began."""
    opened: dict[str, str] = {}
    for entry in entries:
        predicate = entry.statement.predicate
        kind = entry.statement.predicate_type
        if kind == p.INTENT:
            opened[str(predicate.get("run"))] = str(predicate.get("time"))
        elif kind == p.CLOSED:
            opened.pop(str(predicate.get("run")), None)
        elif kind == p.SLSA_PROVENANCE:
            opened.pop(_invocation(predicate), None)
    oldest = min([now, *(clock.parse(time) for time in opened.values())])
    return oldest - GRACE


def _invocation(predicate: Mapping[str, object]) -> str:
    details = predicate.get("runDetails")
    metadata = details.get("metadata") if isinstance(details, dict) else None
    return str(metadata.get("invocationId")) if isinstance(metadata, dict) else ""


class _Named(msgspec.Struct, frozen=True):
    """What the statements name: every id in them, and the lists that make one file each."""

    ids: frozenset[str]
    files: frozenset[tuple[str, ...]]


def _named(entries: Iterable[Recorded]) -> _Named:
    ids: set[str] = set()
    files: set[tuple[str, ...]] = set()
    for entry in entries:
        ids |= _ids(msgspec.json.encode(entry.statement.predicate))
        files.update(_segment_lists(entry.statement.predicate))
    return _Named(frozenset(ids), frozenset(files))


def _live(named: _Named, store: LocalStore, scope: str, held: frozenset[str]) -> frozenset[str]:
    alive = set(named.ids & held)
    files = {file for file in named.files if held.issuperset(file)}
    listed = {segment for file in files for segment in file}
    files.update((segment,) for segment in alive - listed)
    for file in sorted(files):
        for window in _windows(store, scope, file):
            alive |= _ids(window) & held
    return frozenset(alive)


def _windows(store: LocalStore, scope: str, segments: tuple[str, ...]) -> Iterator[bytes]:
    """The content in pieces that overlap, so that no id falls between two."""
    tail = b""
    for segment in segments:
        try:
            opened = store.open_segment(scope, segment)
        except Refused as error:
            if error.rule in ("store.segment-missing", "keys.destroyed"):
                return
            raise
        for offset in range(0, opened.size, _STEP_BYTES):
            window = tail + opened.pread(offset, _STEP_BYTES)
            yield window
            tail = window[-(_ID_BYTES - 1) :]
        opened.close()


def _ids(data: bytes) -> set[str]:
    """Every 64 hex digits in a row, wherever a longer row of them starts."""
    found: set[str] = set()
    for match in _HEX.finditer(data):
        row = match.group().decode()
        found.update(row[at : at + _ID_BYTES] for at in range(len(row) - _ID_BYTES + 1))
    return found


def _segment_lists(value: object) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if key == "segments" and isinstance(each, list | tuple):
                yield tuple(str(one) for one in each)
            else:
                yield from _segment_lists(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _segment_lists(each)
