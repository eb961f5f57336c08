"""The leaves of a version that was added before, from what is kept of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa

from sealwright.core.errors import VerifyError
from sealwright.core.ports import Store, StoredFile
from sealwright.intake import sources, tables
from sealwright.intake.leaves import HASHES, Hashed, Spool, hash_rows, key_leaves
from sealwright.intake.manifest import TABLES, FileRecord, Manifest
from sealwright.intake.record import LEAF_BYTES
from sealwright.intake.streams import Tally
from sealwright.intake.tables import Format


class Memory(msgspec.Struct, frozen=True):
    """Where to recall from: a version's manifest, the store, its scope and record key."""

    manifest: Manifest
    store: Store
    scope: str
    secret: bytes
    scratch: Path


def leaves_of(
    memory: Memory, file: FileRecord, key: str, tally: Tally | None = None
) -> tuple[pa.Array, pa.Array | None]:
    """One file's leaves, and its key hashes under ``key`` (None where nobody kept them).

    Raises: VerifyError (what is kept is not what was signed), Refused (shredded).
    """
    manifest = memory.manifest
    if manifest.kind not in TABLES:
        return _of_tree(memory, file)
    if manifest.external:
        return _of_external(memory, file, key)
    columns = [field.name for field in manifest.schema.fields]
    key = key if key in columns else ""
    source = memory.store.open(memory.scope, file.stored())
    shown = manifest.relative(file.path)
    how = Format(manifest.kind, manifest.options)
    rows = tables.batches(how, source, shown, manifest.schema, tally)
    spool = Spool(memory.scratch)
    with Hashed(spool, Spool(memory.scratch) if key else None) as into:
        hash_rows(rows, manifest.schema, memory.secret, into, key)
        if into.tree.root != file.root:
            raise VerifyError(
                f"{shown}: the stored rows are not those that were signed",
                where=shown,
                why=f"their root is {into.tree.root}, {file.root} was signed",
                hint="restore the store from a backup",
                rule="data.root-changed",
            )
        return spool.array(), into.keys.array() if into.keys else None


def _of_tree(memory: Memory, file: FileRecord) -> tuple[pa.Array, pa.Array]:
    """A file that is a record: its root is its leaf."""
    batch = sources.tree_batch(memory.manifest.kind, [(file.path, file.size, file.sha256)])
    key = key_leaves(batch, "path", memory.secret)
    return pa.array([bytes.fromhex(file.root)], HASHES), pa.array([key], HASHES)


def _of_external(memory: Memory, file: FileRecord, key: str) -> tuple[pa.Array, pa.Array | None]:
    kept_keys = file.keys if memory.manifest.key == key else None
    return kept_leaves(memory, file), _hashes(memory, kept_keys) if kept_keys else None


def kept_leaves(memory: Memory, file: FileRecord) -> pa.Array:
    """The leaves of an external table's file, as they were when it was signed."""
    assert file.leaves is not None  # noqa: S101  external tables always keep them
    return _hashes(memory, file.leaves)


def _hashes(memory: Memory, kept: StoredFile) -> pa.Array:
    data = memory.store.open(memory.scope, kept).pread(0, kept.size)
    return pa.Array.from_buffers(HASHES, len(data) // LEAF_BYTES, [None, pa.py_buffer(data)])
