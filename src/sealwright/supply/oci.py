"""An OCI image layout, read without a daemon and without trusting a byte of it.

Every blob is held against the digest it is called by; layers are unpacked in memory, bounded,
and nothing of them touches the disk. Source: OCI image-spec v1.1 (image-layout, manifest, layer).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.supply import layercodec

INDEX = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFEST = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_BLOB_BYTES = 8 << 30
_JSON_BYTES = 4 << 20
_UNPACKED_BYTES = 16 << 30
_ENTRIES = 2_000_000
_KEPT_BYTES = 4 << 20
_MANIFESTS = 256
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_CAPABILITY = "SCHILY.xattr.security.capability"


class Descriptor(msgspec.Struct, frozen=True):
    """A blob as another blob names it."""

    media_type: str
    sha256: Digest
    size: int
    annotations: Mapping[str, str]
    artifact_type: str = ""


class Entry(msgspec.Struct, frozen=True):
    """One path of one layer. ``data`` is kept for small files only; None where it is not."""

    path: str
    mode: int
    uid: int
    size: int
    kind: str
    layer: int
    capability: bool = False
    data: bytes | None = None


class Image(msgspec.Struct, frozen=True):
    """A manifest with its configuration and layers. ``refused`` are layers nobody could read."""

    descriptor: Descriptor
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    layers: tuple[tuple[Entry, ...], ...]
    refused: tuple[tuple[int, str], ...]

    def final(self) -> dict[str, Entry]:
        """The file system a container sees: layers in order, whiteouts applied."""
        seen: dict[str, Entry] = {}
        for layer in self.layers:
            for entry in layer:
                folder, _, name = entry.path.rpartition("/")
                if name == _OPAQUE:
                    _forget(seen, folder, entry.layer)
                elif name.startswith(_WHITEOUT):
                    gone = f"{folder}/{name[len(_WHITEOUT) :]}".lstrip("/")
                    seen.pop(gone, None)
                    _forget(seen, gone, entry.layer)
                else:
                    seen[entry.path] = entry
        return seen

    def every(self) -> Iterator[Entry]:
        """Every file of every layer, also those that a later one deletes."""
        for layer in self.layers:
            yield from layer


class Layout:
    """A layout folder. Raises on the first thing that is not what it says it is."""

    def __init__(self, root: Path) -> None:
        marker = root / "oci-layout"
        if not marker.is_file():
            raise BadInput(
                f"{root} is no OCI layout",
                why="there is no oci-layout file in it",
                hint="skopeo copy docker://IMAGE oci:FOLDER, or buildah push IMAGE oci:FOLDER",
            )
        self._root = root
        self.index = _json(_bounded(root / "index.json", _JSON_BYTES), "index.json")

    def manifests(self) -> list[Descriptor]:
        """Every manifest, nested indexes opened."""
        found: list[Descriptor] = []
        waiting = [descriptor_of(row) for row in _rows(self.index, "manifests")]
        while waiting:
            one = waiting.pop(0)
            if len(found) + len(waiting) > _MANIFESTS:
                raise BadInput(f"the layout holds more than {_MANIFESTS} manifests")
            if one.media_type in INDEX:
                inner = _json(self.blob(one, _JSON_BYTES), one.sha256)
                waiting += [descriptor_of(row) for row in _rows(inner, "manifests")]
            else:
                found.append(one)
        return found

    def manifest(self, descriptor: Descriptor) -> Mapping[str, Any]:
        """A manifest, its bytes verified."""
        return _json(self.blob(descriptor, _JSON_BYTES), descriptor.sha256)

    def image(self, descriptor: Descriptor) -> Image:
        """Configuration and layers of one manifest. Raises: VerifyError, BadInput."""
        manifest = self.manifest(descriptor)
        if not isinstance(manifest.get("config"), dict):
            raise BadInput(f"manifest {descriptor.sha256[:16]} has no configuration")
        config = _json(self.blob(descriptor_of(manifest["config"]), _JSON_BYTES), "config")
        layers: list[tuple[Entry, ...]] = []
        refused: list[tuple[int, str]] = []
        left = _UNPACKED_BYTES
        for number, row in enumerate(_rows(manifest, "layers")):
            one = descriptor_of(row)
            try:
                entries, used = _layer(self._path(one), one, number, left)
            except BadInput as error:
                refused.append((number, error.what))
                entries, used = (), 0
            left -= used
            layers.append(entries)
        return Image(descriptor, manifest, config, tuple(layers), tuple(refused))

    def blob(self, descriptor: Descriptor, most: int = _JSON_BYTES) -> bytes:
        """A blob's bytes, held against digest and size. Raises: VerifyError."""
        data = _bounded(self._path(descriptor), most)
        if hashlib.sha256(data).hexdigest() != descriptor.sha256 or len(data) != descriptor.size:
            raise _mismatch(descriptor)
        return data

    def _path(self, descriptor: Descriptor) -> Path:
        path = self._root / "blobs" / "sha256" / descriptor.sha256
        if path.is_symlink() or not path.is_file():
            raise VerifyError(
                "a blob of the image is not there",
                where=f"sha256:{descriptor.sha256}",
                why="the layout names it, and has no such file",
                rule="supply.image-incomplete",
                hint="copy the image again",
            )
        return path


def _forget(seen: dict[str, Entry], folder: str, layer: int) -> None:
    for path in [p for p in seen if p.startswith(f"{folder}/") or not folder]:
        if seen[path].layer < layer:
            del seen[path]


def _layer(
    path: Path, descriptor: Descriptor, number: int, left: int
) -> tuple[tuple[Entry, ...], int]:
    """The entries of one layer and how many bytes they unpack to.

    The digest is checked over exactly the bytes that are unpacked.
    """
    entries: list[Entry] = []
    with _Hashed(path, descriptor) as raw:
        stream = _Unpacked(raw, descriptor.media_type, left)
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
                for member in archive:
                    if len(entries) >= _ENTRIES:
                        raise BadInput(f"layer {number} has more than {_ENTRIES:,} entries")
                    entries.append(_entry(archive, member, number))
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
            raise BadInput(f"layer {number} cannot be unpacked: {error}"[:200]) from error
        stream.drain()
    return tuple(entries), stream.used


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, layer: int) -> Entry:
    path = "/".join(part for part in member.name.split("/") if part not in ("", "."))
    if ".." in path.split("/") or "\0" in path:
        raise BadInput(f"layer {layer} has a path that leaves it: {path[:80]!r}")
    data = None
    if member.isreg() and member.size <= _KEPT_BYTES:
        source = archive.extractfile(member)
        data = source.read() if source is not None else b""
    kind = (
        "file" if member.isreg() else "folder" if member.isdir()
        else "link" if member.islnk() or member.issym() else "special"
    )  # fmt: skip
    return Entry(
        path, member.mode, member.uid, member.size, kind, layer,
        _CAPABILITY in member.pax_headers, data,
    )  # fmt: skip


class _Hashed(io.RawIOBase):
    """A blob that hashes what is read of it, and compares at its end."""

    def __init__(self, path: Path, descriptor: Descriptor) -> None:
        self._stream = path.open("rb")
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self._size = 0

    def read(self, count: int = -1) -> bytes:
        data = self._stream.read(count if count >= 0 else 1 << 20)
        self._hash.update(data)
        self._size += len(data)
        if self._size > _BLOB_BYTES:
            raise BadInput("a layer is larger than any image's would be")
        return data

    def finish(self) -> None:
        while self.read(1 << 20):
            pass
        expected = self._descriptor
        if self._hash.hexdigest() != expected.sha256 or self._size != expected.size:
            raise _mismatch(expected)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Unpacked:
    """A tar stream out of a layer: plain, gzip or zstd; bounded."""

    def __init__(self, raw: _Hashed, media_type: str, left: int) -> None:
        self._raw = raw
        self._left = left
        self.used = 0
        head = raw.read(1 << 16)
        self._decoder = layercodec.decoder(head, media_type)
        self._held = self._decode(head)

    def read(self, count: int) -> bytes:
        while len(self._held) < count:
            piece = self._raw.read(1 << 18)
            if not piece:
                break
            self._held += self._decode(piece)
        out, self._held = self._held[:count], self._held[count:]
        return out

    def drain(self) -> None:
        """Read to the end, so that the digest is over everything; then compare it."""
        self._held = b""
        while piece := self._raw.read(1 << 18):
            self._decode(piece)
        self._raw.finish()

    def _decode(self, data: bytes) -> bytes:
        out = self._decoder(data)
        self.used += len(out)
        if self.used > self._left:
            raise BadInput("the image unpacks to more than any would")
        return out


def descriptor_of(row: object) -> Descriptor:
    """A descriptor as a manifest or index holds it. Raises: BadInput."""
    if not isinstance(row, dict):
        raise BadInput("a descriptor of the layout is no object")
    digest = _DIGEST.fullmatch(str(row.get("digest", "")))
    size = row.get("size")
    if digest is None or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadInput("a descriptor of the layout has no SHA-256 and size", why=str(row)[:120])
    notes = row.get("annotations") or {}
    return Descriptor(
        str(row.get("mediaType", "")),
        digest[1],
        size,
        {str(k): str(v) for k, v in notes.items()} if isinstance(notes, dict) else {},
        str(row.get("artifactType", "")),
    )


def _rows(document: Mapping[str, Any], name: str) -> Sequence[Any]:
    rows = document.get(name)
    if not isinstance(rows, list):
        raise BadInput(f"the layout has no list of {name}")
    return rows


def _json(data: bytes, where: str) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} of the layout is no JSON", why=str(error)[:120]) from error
    if not isinstance(document, dict):
        raise BadInput(f"{where} of the layout is no JSON object")
    return document


def _bounded(path: Path, most: int) -> bytes:
    if not path.is_file():
        raise BadInput(f"{path.name} of the layout is missing")
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise BadInput(f"{path.name} of the layout is too large")
    return data


def _mismatch(descriptor: Descriptor) -> VerifyError:
    return VerifyError(
        "a blob of the image is not what it is called",
        where=f"sha256:{descriptor.sha256}",
        why="its bytes have another SHA-256 or size",
        rule="supply.image-digest",
        hint="copy the image again, and find out who changed it",
    )
