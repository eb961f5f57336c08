"""Reading files into records: what is hashed, what is stored and what is signed are one thing.

A file is looked at first (nothing is written while it can still be refused), then stored, and
its records are hashed from what was stored. At every step its stamp must be the one it had when
it was looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import msgspec
import pyarrow as pa

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.ports import Readable, Store, StoredFile
from sealwright.intake import sources, statcache, tables, textfault
from sealwright.intake.leaves import HASHES, Hashed, Spool, hash_rows, key_leaves
from sealwright.intake.manifest import TABLES, FileRecord, Manifest
from sealwright.intake.record import LEAF_BYTES, leaves
from sealwright.intake.schema import RecordSchema, schema_of
from sealwright.intake.sources import Source
from sealwright.intake.statcache import StatCache
from sealwright.intake.streams import Reader, Stamp, Tally, Watched, changed, digest_of
from sealwright.intake.tables import Probe

WORKERS = 4

_One = TypeVar("_One")
_Two = TypeVar("_Two")


class Look(msgspec.Struct, frozen=True):
    """A file as it was found. ``known`` is its record in the version before, if unchanged."""

    name: str
    stamp: Stamp
    read_at_ns: int
    known: FileRecord | None
    probe: Probe | None


class Survey(msgspec.Struct, frozen=True):
    """Everything that can be known before anything is written."""

    source: Source
    schema: RecordSchema
    looks: tuple[Look, ...]
    size_bytes: int


class Taken(msgspec.Struct, frozen=True):
    """One file's record, and its leaves and key hashes if they were asked for."""

    record: FileRecord
    leaves: pa.Array | None = None
    keys: pa.Array | None = None


def survey(source: Source, old: Manifest | None, cache: StatCache | None, tally: Tally) -> Survey:
    """Look at every file. Raises: BadInput, with nothing written anywhere."""
    before = {file.path: file for file in old.files} if old is not None else {}

    looks = _looks(source, before, cache, tally)
    if source.kind in TABLES:
        probes = [
            _recalled(each.known, old) if each.known and old else cast("Probe", each.probe)
            for each in looks
        ]
        schema = tables.unify(source.how, probes)
        _refuse_no_rows(source, sum(each.rows for each in probes))
    else:
        schema = schema_of(sources.tree_schema(source.kind))
    return Survey(source, schema, looks, sum(each.stamp.size for each in looks))


def check_columns(found: Survey, label: str, key: str) -> None:
    """Raises: BadInput unless label and key are columns."""
    columns = [field.name for field in found.schema.fields]
    for role, name in (("label", label), ("key", key)):
        if name and name not in columns:
            raise textfault.no_column(role, name, columns)


class Taking(msgspec.Struct, frozen=True):
    """The terms of one intake: where bytes go, under which secret, what else is wanted."""

    store: Store
    scope: str
    secret: bytes
    external: bool
    key: str
    spools: bool
    scratch: Path
    tally: Tally


def take(found: Survey, old: Manifest | None, terms: Taking) -> list[Taken]:
    """Store and hash every file that is not known. Raises: BadInput (changed meanwhile)."""
    same = old is not None and old.schema == found.schema and old.external == terms.external
    reusable = same and old is not None and (not terms.external or old.key == terms.key)
    if found.source.kind not in TABLES:
        return _take_tree(found, terms, reusable)
    todo = [each for each in found.looks if each.known is None or not reusable]
    if len(todo) == 1:
        with ThreadPoolExecutor(WORKERS) as workers:
            fresh = [_take_table(found, terms, todo[0], workers)]
    else:
        fresh = _spread(partial(_take_table, found, terms), todo)
    taken = {each.name: Taken(each.known) for each in found.looks if each.known is not None}
    taken.update(zip((each.name for each in todo), fresh, strict=True))
    return [taken[each.name] for each in found.looks]


def _looks(
    source: Source, before: Mapping[str, FileRecord], cache: StatCache | None, tally: Tally
) -> tuple[Look, ...]:
    """Every file, those that must be read in threads; in the order of the names."""
    looks: dict[str, Look] = {}
    for name in source.files if cache is not None else ():
        known = _known(source, name, before.get(name), cache)
        if known is not None:
            looks[name] = known
    rest = [name for name in source.files if name not in looks]
    looks.update(zip(rest, _spread(partial(_look, source, tally), rest), strict=True))
    return tuple(looks[name] for name in source.files)


def _known(
    source: Source, name: str, before: FileRecord | None, cache: StatCache | None
) -> Look | None:
    """The file as it was signed before, if the cache has seen it look exactly like this."""
    if before is None or cache is None:
        return None
    with Watched(source.place.open(name), name) as file:
        if cache.digest(name, file.stamp) != before.sha256 or file.size != before.size:
            return None
        return Look(name, file.stamp, statcache.now_ns(), before, None)


def _look(source: Source, tally: Tally, name: str) -> Look:
    shown = source.place.relative(name)
    with Watched(source.place.open(name), shown) as file:
        read_at_ns = statcache.now_ns()
        probe = tables.probe(source.how, file, shown, tally) if source.kind in TABLES else None
        file.check()
        return Look(name, file.stamp, read_at_ns, None, probe)


def _recalled(record: FileRecord, old: Manifest) -> Probe:
    """The probe of a file that was not looked at again, from the signed manifest."""
    columns = tuple(field.name for field in old.schema.fields)
    return Probe(record.path, record.rows, columns, record.fits, old.schema)


def _refuse_no_rows(source: Source, rows: int) -> None:
    if rows:
        return
    raise BadInput(
        f"{source.place.base} has 0 rows",
        why="a version holds at least one record",
        hint="write the data first; a header alone is not data",
    )


def _take_table(found: Survey, terms: Taking, each: Look, workers: Executor | None = None) -> Taken:
    shown = found.source.place.relative(each.name)
    expected = each.probe.rows if each.probe else each.known.rows if each.known else 0
    fits = each.probe.fits if each.probe else each.known.fits if each.known else None
    spool = Spool(terms.scratch) if terms.spools else None
    keys = Spool(terms.scratch) if terms.spools and terms.key else None
    with _reopened(found, each) as file, Hashed(spool, keys) as into:
        sha256, segments, kept = _keep(file, terms)
        rows = tables.batches(found.source.how, kept, shown, found.schema, terms.tally)
        hash_rows(rows, found.schema, terms.secret, into, terms.key, workers)
        file.check()
        if into.tree.rows != expected:
            raise changed(shown)
        record = FileRecord(
            each.name,
            each.stamp.size,
            sha256,
            into.tree.rows,
            into.tree.root,
            segments,
            fits,
            _stored(spool, terms) if terms.external else None,
            _stored(keys, terms) if terms.external else None,
        )
        return Taken(record, _array(spool), _array(keys))


def _take_tree(found: Survey, terms: Taking, reusable: bool) -> list[Taken]:
    """Files that are records: stored and hashed each, then one batch of leaves for all."""

    def one(each: Look) -> tuple[str, int, Digest, tuple[str, ...]]:
        if each.known is not None and reusable:
            return each.name, each.known.size, each.known.sha256, each.known.segments
        with _reopened(found, each) as file:
            sha256, segments, _ = _keep(file, terms)
        return each.name, each.stamp.size, sha256, segments

    kept = _spread(one, found.looks)
    batch = sources.tree_batch(found.source.kind, [each[:3] for each in kept])
    hashes = leaves(batch, found.schema, terms.secret)
    keys = key_leaves(batch, terms.key, terms.secret)
    return [
        Taken(
            FileRecord(name, size, sha256, 1, leaf.hex(), segments),
            pa.array([leaf], HASHES),
            pa.array([key], HASHES),
        )
        for (name, size, sha256, segments), leaf, key in zip(
            kept, _each(hashes), _each(keys), strict=True
        )
    ]


def _keep(file: Watched, terms: Taking) -> tuple[Digest, tuple[str, ...], Readable]:
    """Store or, for external data, hash one open file; then read on from what was kept."""
    if terms.external:
        sha256 = digest_of(file, terms.tally)
        file.check()
        return sha256, (), file
    source = cast("BinaryIO", Reader(file, terms.tally))
    stored = terms.store.put(terms.scope, source)
    file.check()
    if stored.size != file.size:
        raise changed(file.name)
    return stored.sha256, stored.segments, terms.store.open(terms.scope, stored)


def _reopened(found: Survey, each: Look) -> Watched:
    """The file again, if it is still the one that was looked at."""
    place = found.source.place
    file = Watched(place.open(each.name), place.relative(each.name))
    if file.stamp != each.stamp:
        file.close()
        raise changed(file.name)
    return file


def _stored(spool: Spool | None, terms: Taking) -> StoredFile | None:
    return terms.store.put(terms.scope, spool.reader()) if spool is not None else None


def _array(spool: Spool | None) -> pa.Array | None:
    return spool.array() if spool is not None else None


def _each(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + LEAF_BYTES] for at in range(0, len(hashes), LEAF_BYTES)]


def _spread(work: Callable[[_One], _Two], items: Iterable[_One]) -> list[_Two]:
    """``work`` on every item in threads; results in the order of the items."""
    todo = list(items)
    if len(todo) < 2:
        return [work(each) for each in todo]
    with ThreadPoolExecutor(min(WORKERS, len(todo))) as pool:
        futures = [pool.submit(work, each) for each in todo]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
