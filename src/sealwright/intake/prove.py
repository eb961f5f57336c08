"""One record of a version, shown to be in it; and the record itself, if it may be seen."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa

from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import Progress
from sealwright.intake import recordproof, sources, tables
from sealwright.intake.manifest import TABLES, FileRecord, Manifest
from sealwright.intake.recall import Memory, leaves_of
from sealwright.intake.record import LEAF_BYTES, reveal
from sealwright.intake.recordproof import RecordProof, Reveal
from sealwright.intake.streams import Silent, Tally
from sealwright.intake.tables import Format
from sealwright.intake.tree import RecordTree
from sealwright.intake.versions import Dataset, open_file


class Proven(msgspec.Struct, frozen=True):
    """A proof, and the record's values where they were asked for."""

    proof: RecordProof
    reveal: Reveal | None


def prove_row(
    dataset: Dataset,
    memory: Memory,
    row: int,
    project: Path,
    *,
    path: str = "",
    show: bool = False,
    progress: Progress | None = None,
) -> Proven:
    """Prove record ``row``, counted from 0 over the version's files in order, or within the
    file ``path``; ``show`` reveals what it says.

    Raises: BadInput (no such row or file), VerifyError (the data is not what was signed).
    """
    manifest = memory.manifest
    file, inner = _find(manifest, row, path)
    tally = Tally(progress or Silent(), file.size * (2 if show else 1), "bytes")
    found, _ = leaves_of(memory, file, "", tally)
    hashes = bytes(found.buffers()[1])[: len(found) * LEAF_BYTES]
    tree = RecordTree()
    tree.push(hashes)

    def leaves_at(start: int, end: int) -> bytes:
        return hashes[start * LEAF_BYTES : end * LEAF_BYTES]

    entries = tuple(each.entry() for each in manifest.files)
    proof = recordproof.prove(entries, file.path, inner, tree.stems, leaves_at)
    if not show:
        return Proven(proof, None)
    batch, at = _batch(dataset, memory, file, inner, project, tally)
    preimage = reveal(batch, at, manifest.schema, memory.secret)
    if preimage.leaf.hex() != proof.leaf:
        raise VerifyError(
            f"{manifest.relative(file.path)} row {inner} is not the record that was signed",
            where=f"{manifest.relative(file.path)} row {inner}",
            hint=f"seal data verify {dataset.ref}",
            rule="data.external-changed",
        )
    return Proven(proof, recordproof.reveal_of(preimage, manifest.schema))


def _find(manifest: Manifest, row: int, path: str) -> tuple[FileRecord, int]:
    """The file that holds a row, and the row's number in it. Raises: BadInput."""
    files = manifest.files
    if path:
        named = manifest.file(path) or next(
            (file for file in files if manifest.relative(file.path) == path), None
        )
        if named is None:
            raise BadInput(f"the version has no file {path!r}", hint="seal data show lists them")
        files = (named,)
    rest = row
    for file in files:
        if 0 <= rest < file.rows:
            return file, rest
        rest -= file.rows
    total = sum(file.rows for file in files)
    raise BadInput(f"there is no row {row}", why=f"rows run from 0 to {total - 1}")


def _batch(
    dataset: Dataset, memory: Memory, file: FileRecord, row: int, project: Path, tally: Tally
) -> tuple[pa.RecordBatch, int]:
    """The batch a row lies in, and its place there."""
    manifest = memory.manifest
    if manifest.kind not in TABLES:
        batch = sources.tree_batch(manifest.kind, [(file.path, file.size, file.sha256)])
        return batch, 0
    source = open_file(dataset, manifest, file, memory.store, project)
    how = Format(manifest.kind, manifest.options)
    shown = manifest.relative(file.path)
    for batch in tables.batches(how, source, shown, manifest.schema, tally):
        if row < batch.num_rows:
            return batch, row
        row -= batch.num_rows
    raise VerifyError(f"{shown} has fewer rows than were signed", where=shown)
