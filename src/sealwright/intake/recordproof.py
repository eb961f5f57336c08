"""One record, shown to be in one version of a dataset, without the dataset.

A :class:`RecordProof` holds hashes only and may be published. What the record says is a
:class:`Reveal`, handed over separately, by whoever holds the data. Source:
docs/spec/record-hash-v1.md, "Proofs".
"""

from __future__ import annotations

import base64
import binascii
from functools import cache
from typing import Literal

import msgspec

from sealwright.core.digest import Digest, check
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.records import Json
from sealwright.evidence import merkle
from sealwright.intake.decode import values_of
from sealwright.intake.record import Preimage
from sealwright.intake.schema import RecordSchema
from sealwright.intake.tree import (
    BLOCK_ROWS,
    FileEntry,
    LeavesAt,
    record_path,
    sorted_files,
    version_path,
    version_root,
)

_RULE = "record.inclusion"


class RecordProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Row ``row`` of ``rows`` of file number ``file`` of ``files`` (all from 0).

    ``root`` is the file's; ``leaf`` the record's. The paths are base64 of concatenated 32-byte
    hashes, leaf end first.
    """

    format: Literal["sealwright record-proof v1"]
    leaf: Digest
    row: int
    rows: int
    row_path: str
    path: str
    root: Digest
    file: int
    files: int
    file_path: str


class VerifiedRecord(msgspec.Struct, frozen=True):
    """A record known to be in the version with that root. Only :func:`verify_record` makes it."""

    version: Digest
    path: str
    row: int
    leaf: Digest


class ShownRecord(msgspec.Struct, frozen=True):
    """A verified record and what it says. Only :func:`verify_reveal` makes it."""

    record: VerifiedRecord
    values: dict[str, Json]


class Reveal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one record says: its schema, and its leaf's preimage in base64. Not for publication."""

    format: Literal["sealwright record-reveal v1"]
    schema: RecordSchema
    preimage: str


def prove(
    files: tuple[FileEntry, ...], path: str, row: int, stems: bytes, leaves_at: LeavesAt
) -> RecordProof:
    """Prove row ``row`` of the file at ``path``; ``stems`` and ``leaves_at`` are that file's.

    The proof is checked before it is handed out.
    Raises: BadInput (no such file or row), VerifyError (the file is not what it was).
    """
    ordered = sorted_files(files)
    index = next((at for at, each in enumerate(ordered) if each.path == path), None)
    if index is None:
        raise BadInput(f"no file {path!r} in this version")
    entry, read = ordered[index], cache(leaves_at)
    row_path = record_path(row, entry.rows, stems, read)
    base = row - row % BLOCK_ROWS
    block = read(base, min(base + BLOCK_ROWS, entry.rows))
    proof = RecordProof(
        format="sealwright record-proof v1",
        leaf=block[(row - base) * 32 : (row - base + 1) * 32].hex(),
        row=row,
        rows=entry.rows,
        row_path=_text(row_path),
        path=path,
        root=entry.root,
        file=index,
        files=len(ordered),
        file_path=_text(version_path(index, ordered)),
    )
    verify_record(proof, version_root(ordered))
    return proof


def verify_record(proof: RecordProof, version: Digest) -> VerifiedRecord:
    """Check a proof against a version's root, which must come from a verified statement.

    Raises: VerifyError (rule ``record.inclusion``), naming the file and row.
    """
    where = f"{proof.path} row {proof.row}"
    try:
        file_leaf = FileEntry(proof.path, proof.rows, proof.root).leaf()
        leaf, root = bytes.fromhex(check(proof.leaf)), bytes.fromhex(proof.root)
        top = bytes.fromhex(check(version))
        row_path, file_path = _hashes(proof.row_path), _hashes(proof.file_path)
        merkle.verify_inclusion(proof.row, proof.rows, leaf, row_path, root)
        merkle.verify_inclusion(proof.file, proof.files, file_leaf, file_path, top)
    except (BadInput, VerifyError, ValueError, OverflowError) as error:
        raise VerifyError(
            "the proof does not show this record in this version",
            where=where,
            why=str(error),
            hint="ask for the proof again: seal data prove --row N",
            rule=_RULE,
        ) from error
    return VerifiedRecord(version, proof.path, proof.row, proof.leaf)


def reveal_of(preimage: Preimage, schema: RecordSchema) -> Reveal:
    """What to hand to somebody who may see this record."""
    text = base64.b64encode(preimage.data).decode()
    return Reveal("sealwright record-reveal v1", schema, text)


def verify_reveal(reveal: Reveal, record: VerifiedRecord) -> ShownRecord:
    """The record's values, once the preimage is shown to be its own.

    Raises: VerifyError (rule ``record.preimage-changed`` or ``record.preimage-malformed``).
    """
    where = f"{record.path} row {record.row}"
    try:
        preimage = Preimage(base64.b64decode(reveal.preimage, validate=True))
    except binascii.Error as error:
        raise _changed("the preimage is not base64", where) from error
    if preimage.schema != reveal.schema.digest:
        raise _changed("the preimage is bound to another schema", where)
    if preimage.leaf.hex() != record.leaf:
        raise _changed("the preimage hashes to another leaf", where)
    return ShownRecord(record, values_of(preimage.fields, reveal.schema))


def _changed(why: str, where: str) -> VerifyError:
    return VerifyError(
        "these values are not the record's",
        where=where,
        why=why,
        hint="ask whoever holds the data for the reveal again",
        rule="record.preimage-changed",
    )


def _text(hashes: list[bytes]) -> str:
    return base64.b64encode(b"".join(hashes)).decode()


def _hashes(text: str) -> list[bytes]:
    """Raises: ValueError."""
    data = base64.b64decode(text, validate=True)
    if len(data) % merkle.HASH_BYTES:
        raise ValueError("a path is a run of 32-byte hashes")
    return [data[at : at + 32] for at in range(0, len(data), merkle.HASH_BYTES)]
