"""Keeping a run's code and environment record in the store, and getting them back.

Small files travel in one pack, so that a project of a thousand files is not a thousand
segments; a file of 64 KiB or more is kept by itself, once for all runs that used it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.core.ports import Readable, Store, StoredFile
from sealwright.core.records import Json
from sealwright.evidence import jcs
from sealwright.train import snapshot
from sealwright.train.environment import Environment, Identity, identity_from_bytes
from sealwright.train.snapshot import CodeFile, Snapshot

SCOPE = "run"
FORMAT = "sealwright.code/v1"
PACKED_BELOW_BYTES = 64 << 10


class KeptCode(msgspec.Struct, frozen=True):
    """A code tree in the store; ``files`` and ``contents`` are those of the snapshot it was."""

    files: tuple[CodeFile, ...]
    store: Store
    pack: StoredFile
    large: Mapping[Digest, StoredFile]

    @property
    def digest(self) -> Digest:
        """The snapshot's digest."""
        return digest.of_bytes(snapshot.manifest_of(self.files))

    def contents(self) -> Iterator[tuple[CodeFile, bytes]]:
        """Every file with its bytes (none for a link). Raises: VerifyError, Refused (shredded)."""
        pack = self.store.open(SCOPE, self.pack)
        offsets = _offsets(self.files)
        for file in self.files:
            if file.mode == "link":
                yield file, b""
                continue
            if file.sha256 in offsets:
                content = _bytes(pack, offsets[file.sha256], file.size)
            elif file.sha256 in self.large:
                content = _read(self.store, self.large[file.sha256])
            else:
                content = b""
            if digest.of_bytes(content) != file.sha256:
                raise VerifyError(
                    f"the kept copy of {file.path} is not what was sealed",
                    where=file.path,
                    rule="snapshot.kept-changed",
                )
            yield file, content


def save_code(store: Store, code: Snapshot) -> StoredFile:
    """Keep the code; the returned record finds it again, and belongs into the provenance.

    Raises: VerifyError (``snapshot.changed``) when the project changed since it was hashed.
    """
    offsets = _offsets(code.files)
    small: dict[Digest, bytes] = {}
    large: dict[Digest, StoredFile] = {}
    for file, content in code.contents():
        if file.mode == "link":
            continue
        if file.sha256 in offsets:
            small[file.sha256] = content
        elif file.sha256 not in large:
            large[file.sha256] = store.put(SCOPE, io.BytesIO(content))
    pack = store.put(SCOPE, io.BytesIO(b"".join(small[name] for name in offsets)))
    record: dict[str, Json] = {
        "format": FORMAT,
        "manifest": jcs.parse(code.manifest()),
        "pack": msgspec.to_builtins(pack),
        "large": {name: msgspec.to_builtins(large[name]) for name in sorted(large)},
    }
    return store.put(SCOPE, io.BytesIO(jcs.canonical(record)))


def load_code(store: Store, record: StoredFile, expected: Digest) -> KeptCode:
    """The code tree whose digest is ``expected``. Raises: VerifyError, Refused (shredded)."""
    document = jcs.parse(_read(store, record))
    try:
        read = msgspec.convert(document, _Record)
    except msgspec.ValidationError as error:
        raise VerifyError(
            "a code record is malformed", why=str(error), rule="snapshot.malformed"
        ) from error
    manifest = jcs.canonical(read.manifest)
    if read.format != FORMAT or digest.of_bytes(manifest) != expected:
        raise VerifyError(
            "the kept code is not the run's",
            why=f"the run used {expected}, this is {digest.of_bytes(manifest)}",
            rule="snapshot.kept-changed",
        )
    return KeptCode(snapshot.files_of(manifest), store, read.pack, read.large)


def save_environment(store: Store, environment: Environment) -> StoredFile:
    """Keep the environment record, so that a later difference can be named by package."""
    return store.put(SCOPE, io.BytesIO(environment.to_bytes()))


def load_environment(store: Store, record: StoredFile, expected: Digest) -> Identity:
    """The identity whose digest is ``expected``. Raises: VerifyError, Refused (shredded)."""
    identity = identity_from_bytes(_read(store, record))
    if identity.digest != expected:
        raise VerifyError(
            "the kept environment record is not the run's", rule="environment.kept-changed"
        )
    return identity


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    manifest: dict[str, Any]
    pack: StoredFile
    large: dict[str, StoredFile]


def _read(store: Store, file: StoredFile) -> bytes:
    return _bytes(store.open(SCOPE, file), 0, file.size)


def _bytes(source: Readable, offset: int, count: int) -> bytes:
    pieces = []
    while count and (piece := source.pread(offset, count)):
        pieces.append(piece)
        offset, count = offset + len(piece), count - len(piece)
    return b"".join(pieces)


def _offsets(files: Sequence[CodeFile]) -> dict[Digest, int]:
    """Where each small file's content lies in the pack: unique contents, ordered by digest."""
    sizes = {
        file.sha256: file.size
        for file in files
        if file.mode != "link" and file.size < PACKED_BELOW_BYTES
    }
    offsets, end = {}, 0
    for name in sorted(sizes):
        offsets[name] = end
        end += sizes[name]
    return offsets
