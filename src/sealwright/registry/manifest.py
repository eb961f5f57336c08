"""The model manifest: canonical JSON that says which stored bytes a model version is made of."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec

from sealwright.core.digest import Digest, of_bytes, of_tree
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import Readable, Store, StoredFile
from sealwright.core.refs import check_name
from sealwright.evidence import jcs
from sealwright.registry.files import CHUNK_BYTES, ModelFile, checked_name

MEDIA_TYPE = "application/vnd.sealwright.model+json"
TYPE = "urn:sealwright:model-manifest/v1"
MAX_BYTES = 256 << 20


class StoredModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model in the store: path inside the model, size, SHA-256, segments."""

    path: str
    size: int
    sha256: Digest
    segments: tuple[str, ...]

    def stored(self) -> StoredFile:
        """As the store knows it."""
        return StoredFile(self.sha256, self.size, self.segments)

    def plain(self) -> ModelFile:
        """As a signature knows it."""
        return ModelFile(self.path, self.size, self.sha256)


class ModelManifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"kind": "type"}
):
    """A version's files, and its OpenSSF signature, as they lie in the store."""

    name: str
    version: int
    files: tuple[StoredModelFile, ...]
    signature: StoredFile
    kind: str = TYPE

    @property
    def digest(self) -> Digest:
        """The model digest (see ``core.digest.of_tree``)."""
        return of_tree((file.path, file.sha256) for file in self.files)

    def segments(self) -> frozenset[str]:
        """Every segment the version needs, but for those of the manifest itself."""
        kept = {segment for file in self.files for segment in file.segments}
        return frozenset(kept.union(self.signature.segments))

    def encode(self) -> bytes:
        """Canonical JSON; its SHA-256 is what the model-version statement names."""
        return jcs.canonical(msgspec.to_builtins(self))


def scope_of(name: str) -> str:
    """The store's scope of a model."""
    return f"model:{name}"


def lock_of(scratch: Path, name: str) -> Path:
    """The file whose lock keeps two registrations of one model, and ``seal gc``, apart."""
    return scratch / f"model-{check_name(name)}.lock"


def decode(data: bytes, digest: Digest) -> ModelManifest:
    """The manifest whose SHA-256 is ``digest``. Raises: VerifyError, rule ``model.manifest``."""
    if of_bytes(data) != digest:
        raise _bad("it is not the one that was signed")
    value: Any = jcs.parse(data)
    try:
        manifest = msgspec.convert(value, ModelManifest, strict=True)
        names = [checked_name(file.path) for file in manifest.files]
    except (msgspec.ValidationError, BadInput) as error:
        raise _bad(str(error)) from error
    if manifest.kind != TYPE or not names or len(set(names)) != len(names):
        raise _bad("its type is unknown, or a file is listed twice, or none is")
    return manifest


def put(store: Store, manifest: ModelManifest) -> StoredFile:
    """Keep a manifest in its model's scope."""
    return store.put(scope_of(manifest.name), io.BytesIO(manifest.encode()))


def load(store: Store, name: str, stored: StoredFile) -> ModelManifest:
    """Read a manifest back. Raises: VerifyError, Refused (shredded or missing)."""
    if stored.size > MAX_BYTES:
        raise _bad(f"it is larger than {MAX_BYTES >> 20} MiB")
    return decode(read_all(store.open(scope_of(name), stored)), stored.sha256)


def read_all(readable: Readable) -> bytes:
    """Every byte of a small stored file."""
    parts: list[bytes] = []
    at = 0
    while at < readable.size:
        parts.append(readable.pread(at, CHUNK_BYTES))
        at += len(parts[-1])
        if not parts[-1]:
            raise _bad("it is cut short")
    return b"".join(parts)


def _bad(why: str) -> VerifyError:
    return VerifyError("a model's manifest does not hold", why=why, rule="model.manifest")
