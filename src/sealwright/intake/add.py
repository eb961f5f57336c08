"""``seal data add``: data in, one immutable signed version out, or a reason why not.

Order is the crash safety: segments first, then the manifest, then the statement. Killed at any
moment, there is either a whole version or none; segments nobody names are left for ``seal gc``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import BinaryIO, Literal, cast

import msgspec

from sealwright.core import clock, predicates
from sealwright.core.errors import BadInput, Refused, SealError, Unavailable
from sealwright.core.locking import exclusive
from sealwright.core.ports import Clock, Kms, Progress, Recorder, Store
from sealwright.core.records import Artifact, Statement
from sealwright.core.sensitivity import Sensitivity, highest
from sealwright.evidence.classified import confirmed
from sealwright.evidence.history import History
from sealwright.intake import change, ingest, location, sources
from sealwright.intake.ingest import Survey, Taken, Taking
from sealwright.intake.manifest import FORMAT, MEDIA_TYPE, TABLES, FileRecord, Manifest, encode
from sealwright.intake.recall import Memory, leaves_of
from sealwright.intake.sources import Source
from sealwright.intake.statcache import StatCache
from sealwright.intake.streams import Silent, Tally
from sealwright.intake.tree import version_root
from sealwright.intake.versions import (
    Change,
    Dataset,
    Datasets,
    Parent,
    Previous,
    Version,
    Where,
    lock_of,
    scope_of,
)

RECORD_KEY_LABEL = b"record-nonce/v1"

Outcome = Literal["added", "unchanged", "same-records"]


class Ports(msgspec.Struct, frozen=True):
    """What adding needs from outside. ``scratch`` is ``.seal/tmp``; ``cache`` lies in the state
    directory. ``history`` reads the ledger anew at each call."""

    store: Store
    kms: Kms
    recorder: Recorder
    history: Callable[[], History]
    clock: Clock
    project: Path
    scratch: Path
    cache: Path


class AddRequest(msgspec.Struct, frozen=True):
    """What to add. ``label``, ``key`` and ``sensitivity`` None mean as in the version before.

    ``inputs``, ``stage`` and ``run`` say where derived data came from; ``reread`` trusts no
    stat cache; ``force_version`` makes a version even of equal records. ``lowered``: a person
    confirmed that it is less sensitive than what it is made from.
    """

    path: str
    name: str
    actor: str
    reason: str = ""
    label: str | None = None
    key: str | None = None
    sensitivity: Sensitivity | None = None
    kind: str = ""
    reference: bool = False
    inputs: tuple[Artifact, ...] = ()
    stage: str = ""
    run: str = ""
    reread: bool = False
    force_version: bool = False
    lowered: bool = False


class Added(msgspec.Struct, frozen=True):
    """The version the data now is: a new one, or the one before where nothing changed."""

    dataset: Dataset
    outcome: Outcome
    notes: tuple[str, ...] = ()


class _Before(msgspec.Struct, frozen=True):
    """The version that the new one would follow, and the segments the store held then.

    ``manifest`` is None where it cannot be read.
    """

    dataset: Dataset | None
    manifest: Manifest | None
    held: frozenset[str]
    notes: tuple[str, ...] = ()

    @property
    def sensitivity(self) -> Sensitivity:
        return self.dataset.signed.sensitivity if self.dataset else ""


def add(request: AddRequest, ports: Ports, progress: Progress | None = None) -> Added:
    """Add data as the next version of a dataset.

    Raises: BadInput (with the workspace as it was), Unavailable (disk full, ledger locked).
    """
    scope = scope_of(request.name)
    place = location.locate(request.path, ports.project, reference=request.reference)
    before = _before(request.name, ports)
    source = sources.inspect(place, request.kind)
    cache = StatCache(ports.cache / f"data-{request.name}.stat")
    tally = Tally(progress or Silent(), _total(source), "bytes")
    trusted = None if request.reread else cache
    found = ingest.survey(source, _usable(before), trusted, tally)
    label, key = _roles(request, found, before)
    sensitivity, raised = _sensitivity(request, before, ports)
    with exclusive(lock_of(ports.scratch, request.name), f"data:{request.name}", inf):
        _refuse_overtaken(request, before, ports)
        ports.kms.create(scope)
        terms = Taking(
            store=ports.store,
            scope=scope,
            secret=ports.kms.derive(scope, RECORD_KEY_LABEL),
            external=request.reference,
            key=key,
            spools=request.reference or before.dataset is not None,
            scratch=ports.scratch,
            tally=tally,
        )
        with _cleared(ports, request.name, before.held) as named:
            taken = ingest.take(found, before.manifest, terms)
            manifest = _manifest(found, taken, request.reference, label, key)
            outcome = _outcome(before.manifest, manifest)
            anew = request.force_version or sensitivity != before.sensitivity
            if anew and outcome != "added" and before.manifest is not None:
                again = before.manifest.again + (outcome == "unchanged")
                outcome, manifest = "added", msgspec.structs.replace(manifest, again=again)
            if before.dataset is not None and outcome != "added":
                added = Added(before.dataset, outcome, (*before.notes, *_notes(source)))
            else:
                added = _record(request, ports, before, manifest, taken, terms, source, sensitivity)
                named.update(manifest.segments(), added.dataset.signed.manifest.segments)
    _remember(cache, found, taken)
    return msgspec.structs.replace(added, notes=(*added.notes, *raised))


def _before(name: str, ports: Ports) -> _Before:
    datasets = Datasets(ports.history(), ports.store)
    held = ports.store.segments(scope_of(name))
    dataset = datasets.latest(name)
    if dataset is None:
        return _Before(None, None, held)
    try:
        return _Before(dataset, datasets.manifest(dataset), held)
    except Refused as error:
        note = f"{dataset.ref} cannot be read any more ({error.what}); every record counts as new"
        return _Before(dataset, None, held, (note,))


def _usable(before: _Before) -> Manifest | None:
    """The manifest before, without files whose bytes or leaves the store has lost."""
    if before.manifest is None:
        return None

    def kept(file: FileRecord) -> bool:
        blobs = [blob.segments for blob in (file.leaves, file.keys) if blob is not None]
        return all(before.held.issuperset(each) for each in (file.segments, *blobs))

    files = tuple(file for file in before.manifest.files if kept(file))
    return msgspec.structs.replace(before.manifest, files=files)


def _roles(request: AddRequest, found: Survey, before: _Before) -> tuple[str, str]:
    """The label and key columns: as asked, else as before. Raises: BadInput (no such column)."""
    if found.source.kind not in TABLES:
        label, key = ("label" if found.source.kind == "images" else ""), "path"
    else:
        label = key = ""
        if before.dataset is not None and before.dataset.kind in TABLES:
            label, key = before.dataset.label, before.dataset.key
    label = label if request.label is None else request.label
    key = key if request.key is None else request.key
    ingest.check_columns(found, label, key)
    return label, key


def _sensitivity(
    request: AddRequest, before: _Before, ports: Ports
) -> tuple[Sensitivity, tuple[str, ...]]:
    """As asked, else as before, and never below what it is made from unless a person confirmed
    that; a note where it rose."""
    asked = before.sensitivity if request.sensitivity is None else request.sensitivity
    parents = {each.digest for each in request.inputs}
    known = Datasets(ports.history(), ports.store).all() if parents else ()
    raised = confirmed(ports.history()) if parents else {}
    least = highest(
        level
        for one in known
        if one.digest in parents
        for level in (one.signed.sensitivity, raised.get(one.digest, ""))
    )
    if request.lowered or highest((asked, least)) == asked:
        return asked, ()
    return least, (f"data:{request.name} is {least}, as what it is made from is",)


def _refuse_overtaken(request: AddRequest, before: _Before, ports: Ports) -> None:
    now = Datasets(ports.history(), ports.store).latest(request.name)
    if now != before.dataset:
        raise BadInput(
            f"another version of data:{request.name} was added meanwhile",
            why=f"{now.ref if now else 'nothing'} is the newest now",
            hint="run the same command again",
        )


def _manifest(found: Survey, taken: list[Taken], external: bool, label: str, key: str) -> Manifest:
    place = found.source.place
    files = tuple(each.record for each in taken)
    return Manifest(
        format=FORMAT,
        kind=found.source.kind,
        base=place.base,
        folder=place.folder,
        outside=place.outside,
        external=external,
        label=label,
        key=key,
        options=dict(found.source.how.options),
        schema=found.schema,
        root=version_root(file.entry() for file in files),
        rows=sum(file.rows for file in files),
        size_bytes=sum(file.size for file in files),
        again=0,
        files=files,
    )


def _outcome(old: Manifest | None, new: Manifest) -> Outcome:
    """Equal records in other bytes are no new version where the old bytes are kept; external
    data has only the new bytes, so its version must be signed over them."""
    if old is None or _terms(old) != _terms(new):
        return "added"
    if _contents(old) == _contents(new):
        return "unchanged"
    if old.root == new.root and not new.external:
        return "same-records"
    return "added"


def _terms(of: Manifest) -> tuple[object, ...]:
    place = (of.kind, of.base, of.folder, of.outside, of.external)
    return (*place, of.label, of.key, dict(of.options), of.schema)


def _contents(of: Manifest) -> list[tuple[object, ...]]:
    return [(file.path, file.size, file.sha256, file.rows, file.root) for file in of.files]


def _record(
    request: AddRequest,
    ports: Ports,
    before: _Before,
    manifest: Manifest,
    taken: list[Taken],
    terms: Taking,
    source: Source,
    sensitivity: Sensitivity,
) -> Added:
    changed, notes = _change(before, manifest, taken, terms)
    stored = ports.store.put(terms.scope, cast("BinaryIO", io.BytesIO(encode(manifest))))
    _refuse_lost(ports.store.segments(terms.scope), manifest)
    old = before.dataset
    signed = Version(
        name=request.name,
        version=old.version + 1 if old else 1,
        kind=manifest.kind,
        rows=manifest.rows,
        files=len(manifest.files),
        size_bytes=manifest.size_bytes,
        root=manifest.root,
        previous=Previous(old.version, old.digest, old.root) if old else None,
        change=changed,
        inputs=tuple(Parent(each.name, each.digest) for each in request.inputs),
        stage=request.stage,
        run=request.run,
        external=manifest.external,
        label=manifest.label,
        key=manifest.key,
        manifest=Where(stored.size, stored.segments),
        actor=request.actor,
        reason=request.reason,
        time=clock.stamp(ports.clock()),
        sensitivity=sensitivity,
    )
    subject = Artifact(f"data:{request.name}@{signed.version}", stored.sha256, MEDIA_TYPE)
    predicate = msgspec.to_builtins(signed)
    receipt = ports.recorder.record(Statement((subject,), predicates.DATASET_VERSION, predicate))
    notes = (*notes, *_notes(source))
    return Added(Dataset.of(signed, stored.sha256, receipt.index), "added", notes)


def _refuse_lost(held: frozenset[str], manifest: Manifest) -> None:
    if not held.issuperset(manifest.segments()):
        raise Unavailable(
            f"{manifest.base} was stored, but parts of it are gone again",
            why="something cleared the store while the data was being read",
            hint="run the same command again",
        )


def _notes(source: Source) -> tuple[str, ...]:
    """What a person might not expect about how the data was read."""
    notes = []
    if source.skipped:
        some = ", ".join(source.skipped[:3]) + (", …" if len(source.skipped) > 3 else "")
        notes.append(f"left out, as names that start with '.' or '_' are: {some}")
    mixed = sorted({suffix for suffix in source.suffixes if suffix in sources.TABLE_SUFFIXES})
    if source.kind == "files" and mixed:
        notes.append(
            f"{source.place.base} is a mixed folder: each file is one record, rows inside "
            f"{', '.join(mixed)} files are not told apart (--kind, or add those files alone)"
        )
    return tuple(notes)


def _change(
    before: _Before, manifest: Manifest, taken: list[Taken], terms: Taking
) -> tuple[Change, tuple[str, ...]]:
    """Counts over the files that differ; files with equal rows on both sides cancel out."""
    if before.dataset is None or before.manifest is None:
        gone = before.dataset.rows if before.dataset else 0
        return Change(manifest.rows, gone, 0), before.notes
    memory = Memory(before.manifest, terms.store, terms.scope, terms.secret, terms.scratch)
    known_first = sorted(taken, key=lambda each: each.leaves is not None)
    left_old, left_new = change.unmatched(
        [(file.rows, file.root) for file in before.manifest.files],
        [(each.record.rows, each.record.root) for each in known_first],
    )
    files = [before.manifest.files[index] for index in left_old]
    fresh = [known_first[index] for index in left_new]
    try:
        old = [leaves_of(memory, file, terms.key, terms.tally) for file in files]
    except Refused as error:
        note = f"{before.dataset.ref} cannot be compared ({error.what}); its files count as gone"
        added, gone = sum(each.record.rows for each in fresh), sum(file.rows for file in files)
        return Change(added, gone, 0), (note,)
    new = [(each.leaves, each.keys) for each in fresh]
    return change.count(change.side_of([], old), change.side_of([], new)), ()


@contextmanager
def _cleared(ports: Ports, name: str, held: frozenset[str]) -> Iterator[set[str]]:
    """Shred, at the end, what this attempt stored and no version names.

    A version that was signed says so by putting its segments into the set. Otherwise what the
    ledger says decides, not what we think happened: an interrupted append may have been
    durable. The lock keeps others away.
    """
    named: set[str] = set()
    try:
        yield named
    finally:
        loose = frozenset() if named else ports.store.segments(scope_of(name)) - held
        if loose:
            with suppress(SealError):  # what cannot be decided now is left to `seal gc`
                datasets = Datasets(ports.history(), ports.store)
                newest = datasets.latest(name)
                live = datasets.segments(newest) if newest is not None else frozenset()
                ports.store.shred(scope_of(name), sorted(loose - live))


def _remember(cache: StatCache, found: Survey, taken: list[Taken]) -> None:
    for look, each in zip(found.looks, taken, strict=True):
        if look.known is not None and look.known.sha256 == each.record.sha256:
            cache.keep(look.name)
        else:
            cache.remember(look.name, look.stamp, each.record.sha256, look.read_at_ns)
    with suppress(OSError):  # the cache only saves time
        cache.save()


def _total(source: Source) -> int:
    """Bytes to read: text is read to find its types, then to store it, then to hash it."""
    size = sum(source.place.at(name).lstat().st_size for name in source.files)
    return size * {"csv": 3, "jsonl": 3, "parquet": 2}.get(source.kind, 1)
