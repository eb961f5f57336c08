"""The manifest of a dataset version: every file, its digest, its record root, where it is kept.

Canonical JSON; its SHA-256 is the version's digest. It holds no name and no version number,
so equal data under equal terms has an equal digest. Source: docs/spec/dataset-manifest-v1.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import VerifyError
from sealwright.core.ports import StoredFile
from sealwright.intake.schema import RecordSchema
from sealwright.intake.tree import FileEntry, version_root

MEDIA_TYPE = "application/vnd.sealwright.dataset+json"
FORMAT: Literal["sealwright dataset v1"] = "sealwright dataset v1"

Kind = Literal["csv", "jsonl", "parquet", "images", "files"]
TABLES: frozenset[Kind] = frozenset({"csv", "jsonl", "parquet"})
"""Kinds whose records are rows inside files; in the others a file is a record."""


class FileRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. ``segments`` is where its bytes are kept (none for external data).

    ``fits`` are the column types its cells allow (text kinds; see csvtext and jsonlines);
    ``leaves`` and ``keys`` the stored hashes of external rows, whose bytes are not kept.
    """

    path: str
    size: int
    sha256: Digest
    rows: int
    root: Digest
    segments: tuple[str, ...] = ()
    fits: Any = None
    leaves: StoredFile | None = None
    keys: StoredFile | None = None

    def entry(self) -> FileEntry:
        """This file in the version tree."""
        return FileEntry(self.path, self.rows, self.root)

    def stored(self) -> StoredFile:
        """This file as the store knows it."""
        return StoredFile(self.sha256, self.size, self.segments)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole version. ``base`` is the file or folder it was added from: relative to the
    project, or absolute where ``outside``. Files are sorted by the bytes of their paths.
    ``again`` counts how often equal data was signed anew on purpose, which gives it a digest of
    its own."""

    format: Literal["sealwright dataset v1"]
    kind: Kind
    base: str
    folder: bool
    outside: bool
    external: bool
    label: str
    key: str
    options: Mapping[str, str]
    schema: RecordSchema
    root: Digest
    rows: int
    size_bytes: int
    again: int
    files: tuple[FileRecord, ...]

    def segments(self) -> frozenset[str]:
        """Every segment this version needs, but for those of the manifest itself."""
        data = {segment for file in self.files for segment in file.segments}
        for file in self.files:
            for blob in (file.leaves, file.keys):
                data.update(blob.segments if blob is not None else ())
        return frozenset(data)

    def relative(self, path: str) -> str:
        """Where a script reads that file: relative to the project, or absolute."""
        if not self.folder:
            return self.base
        return path if self.base == "." else f"{self.base}/{path}"

    def columns(self) -> tuple[tuple[str, str], ...]:
        """Name and type of every column, in order."""
        return tuple((field.name, field.type.kind) for field in self.schema.fields)

    def file(self, path: str) -> FileRecord | None:
        """The file of that path, or None."""
        return next((file for file in self.files if file.path == path), None)


def encode(manifest: Manifest) -> bytes:
    """The canonical bytes (RFC 8785; a test holds msgspec's ordered output to that)."""
    return msgspec.json.encode(manifest, order="sorted")


def decode(data: bytes, digest: Digest) -> Manifest:
    """The manifest, once its bytes are those that were signed and it agrees with itself.

    Raises: VerifyError (rules ``data.manifest-changed``, ``data.manifest-malformed``).
    """
    if of_bytes(data) != digest:
        raise VerifyError(
            "a dataset's manifest is not the one that was signed",
            where=digest,
            why=f"its SHA-256 is {of_bytes(data)}",
            hint="restore the store from a backup, or add the data again",
            rule="data.manifest-changed",
        )
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise _malformed(digest, str(error)) from error
    if encode(manifest) != data:
        raise _malformed(digest, "it is not in canonical form")
    if version_root(file.entry() for file in manifest.files) != manifest.root:
        raise _malformed(digest, "its root is not that of its files")
    if sum(file.rows for file in manifest.files) != manifest.rows:
        raise _malformed(digest, "its row count is not that of its files")
    return manifest


def _malformed(digest: Digest, why: str) -> VerifyError:
    return VerifyError(
        "a dataset's manifest makes no sense",
        where=digest,
        why=why,
        hint="it was signed like this: ask whoever signed it, or add the data again",
        rule="data.manifest-malformed",
    )
