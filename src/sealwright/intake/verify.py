"""A version read again, every byte of it, against what was signed.

Stored data: every chunk authenticates, the file has its digest, its rows have their root.
External data: the same where it lies; a table that was written again with equal rows passes,
and says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused, SealError, VerifyError
from sealwright.core.ports import Progress, Readable
from sealwright.intake import location, sources, tables
from sealwright.intake.leaves import Hashed, Spool, hash_rows
from sealwright.intake.manifest import TABLES, FileRecord, Manifest
from sealwright.intake.recall import Memory, kept_leaves
from sealwright.intake.record import leaves
from sealwright.intake.streams import Silent, Tally, Watched, digest_of
from sealwright.intake.tables import Format
from sealwright.intake.tree import version_root
from sealwright.intake.versions import Dataset, about

WORKERS = 4


class VerifiedDataset(msgspec.Struct, frozen=True):
    """A version of which every byte was read and found to be what was signed.

    ``rewritten`` names external files that hold equal rows in other bytes.
    """

    dataset: Dataset
    manifest: Manifest
    rewritten: tuple[str, ...]


def verify(
    dataset: Dataset, memory: Memory, project: Path, progress: Progress | None = None
) -> VerifiedDataset:
    """Read everything again.

    Raises: VerifyError naming the first file that is not what was signed, the stored segment
    or, where leaves were kept, the first row that differs; Refused (shredded).
    """
    manifest = memory.manifest
    passes = 2 if manifest.kind in TABLES else 1
    tally = Tally(progress or Silent(), passes * manifest.size_bytes, "bytes")

    def one(file: FileRecord) -> bool | Refused:
        try:
            return _file(dataset, memory, file, project, tally)
        except Refused as error:
            return error

    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(one, manifest.files))
    faults = [each for each in results if isinstance(each, Refused)]
    if faults:
        raise _first(faults, manifest, results)
    if version_root(file.entry() for file in manifest.files) != dataset.root:
        raise VerifyError(
            f"{dataset.ref}: the files do not have the root that was signed",
            where=f"entry {dataset.index}",
            rule="data.root-changed",
        )
    pairs = zip(manifest.files, results, strict=True)
    return VerifiedDataset(
        dataset, manifest, tuple(manifest.relative(file.path) for file, again in pairs if again)
    )


def lies_unchanged(memory: Memory, file: FileRecord, project: Path) -> bool:
    """Whether what lies in the project now, where a file was added from, holds its records.

    True for other bytes with equal rows; false if the file is gone or cannot be read.
    """
    manifest = memory.manifest
    place = location.recorded(manifest.base, manifest.outside, manifest.folder, project)
    try:
        with Watched(place.open(file.path), manifest.relative(file.path)) as found:
            tally = Tally(Silent(), 0, "")
            into = _rows(memory, file, found, digest_of(found), tally)
            found.check()
    except BadInput:
        return False
    return into.tree.root == file.root


def _first(faults: list[Refused], manifest: Manifest, results: Iterable[bool | Refused]) -> Refused:
    """The first fault, which also names the other files at fault."""
    names = [
        manifest.relative(file.path)
        for file, result in zip(manifest.files, results, strict=True)
        if isinstance(result, Refused)
    ]
    first = faults[0]
    if len(names) > 1:
        shown = ", ".join(names[1:6]) + (", …" if len(names) > 6 else "")
        first.why += f"; {len(names) - 1} more: {shown}"
    return first


def _file(dataset: Dataset, memory: Memory, file: FileRecord, project: Path, tally: Tally) -> bool:
    """Check one file; true if it is external and was written again with equal rows."""
    manifest = memory.manifest
    shown = manifest.relative(file.path)
    if not manifest.external:
        try:
            source = memory.store.open(memory.scope, file.stored())
            sha256 = digest_of(source, tally)
            _refuse_digest(shown, sha256, file.sha256)
            _refuse_root(memory, file, _rows(memory, file, source, sha256, tally).tree.root)
        except Refused as error:
            raise _in_store(dataset, shown, error) from None
        return False
    place = location.recorded(manifest.base, manifest.outside, manifest.folder, project)
    try:
        with Watched(place.open(file.path), shown) as found:
            sha256 = digest_of(found, tally)
            same = sha256 == file.sha256
            into = _rows(memory, file, found, sha256, tally, spool=not same)
            found.check()
    except BadInput as error:
        raise VerifyError(
            f"{shown} is not what was signed: {error.what}",
            where=shown,
            why=error.why,
            hint="put the signed file back, or sign this one: seal data add --reference",
            rule="data.external-changed",
        ) from error
    with into:
        if into.tree.root != file.root:
            raise _external_differs(memory, file, shown, into)
    return not same


def _rows(
    memory: Memory,
    file: FileRecord,
    source: Readable,
    sha256: Digest,
    tally: Tally,
    *,
    spool: bool = False,
) -> Hashed:
    manifest = memory.manifest
    into = Hashed(Spool(memory.scratch) if spool else None)
    if manifest.kind not in TABLES:
        batch = sources.tree_batch(manifest.kind, [(file.path, source.size, sha256)])
        into.tree.push(leaves(batch, manifest.schema, memory.secret))
        return into
    how = Format(manifest.kind, manifest.options)
    shown = manifest.relative(file.path)
    rows = tables.batches(how, source, shown, manifest.schema, tally)
    try:
        return hash_rows(rows, manifest.schema, memory.secret, into)
    except BaseException:
        into.__exit__()
        raise


def _refuse_digest(shown: str, found: Digest, signed: Digest) -> None:
    if found != signed:
        raise VerifyError(
            f"{shown} is not the file that was signed",
            where=shown,
            why=f"its SHA-256 is {found}, {signed} was signed",
            hint="restore the store from a backup",
            rule="data.file-changed",
        )


def _refuse_root(memory: Memory, file: FileRecord, found: Digest) -> None:
    if found != file.root:
        shown = memory.manifest.relative(file.path)
        raise VerifyError(
            f"{shown}: the rows are not those that were signed",
            where=shown,
            why=f"their root is {found}, {file.root} was signed",
            hint="restore the store from a backup",
            rule="data.root-changed",
        )


def _in_store(dataset: Dataset, shown: str, error: Refused) -> Refused:
    """The store's own error, with the file it happened in."""
    about(error, f"{dataset.ref}: {shown}")
    error.evidence = (shown, *(each for each in error.evidence if each != shown))
    error.hint = error.hint or "restore the store from a backup, or add the data again"
    return error


def _external_differs(memory: Memory, file: FileRecord, shown: str, into: Hashed) -> VerifyError:
    why = f"its record root is {into.tree.root}, {file.root} was signed"
    where = shown
    if memory.manifest.kind in TABLES and into.spool is not None:
        row = _first_row(memory, file, into.spool.array())
        if row is not None:
            where, why = f"{shown} row {row}", f"row {row} is the first that differs; {why}"
    return VerifyError(
        f"{shown} is not what was signed",
        where=where,
        why=why,
        hint="put the signed file back, or sign this one: seal data add --reference",
        rule="data.external-changed",
    )


def _first_row(memory: Memory, file: FileRecord, found: pa.Array) -> int | None:
    """The first row (from 0) that is not the one that was signed, from the kept leaves."""
    try:
        signed = kept_leaves(memory, file)
    except SealError:
        return None
    common = min(len(signed), len(found))
    differs = pc.indices_nonzero(pc.not_equal(signed.slice(0, common), found.slice(0, common)))
    return int(differs[0].as_py()) if len(differs) else common
