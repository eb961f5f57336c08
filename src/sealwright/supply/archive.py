"""What an archive holds, as far as two of them can differ: a wheel, a tar, a layer, an image.

Everything is read in memory and bounded; nothing is written or run. Sources: APPNOTE 6.3 (zip),
POSIX pax, RFC 1952 (gzip), OCI image-spec v1.1.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.reading import small_file
from sealwright.supply import image as images
from sealwright.supply.oci import Layout, descriptor_of

MOST_BYTES = 1 << 30
"""The largest file that is read, and the most that it may unpack to."""
MOST_MEMBERS = 100_000
KEPT_BYTES = 4 << 20
"""Contents up to here are kept, so that a difference in them can be explained."""
_GZIP = b"\x1f\x8b"
_LOCAL = 30


class Member(msgspec.Struct, frozen=True):
    """One entry. ``packed`` is the digest of compressed bytes, ``odd`` the rest of its header."""

    path: str
    kind: str
    sha256: Digest
    data: bytes | None = None
    mode: int = 0
    owner: str = ""
    mtime: str = ""
    method: str = ""
    packed: Digest = ""
    odd: str = ""


class Wrapping(msgspec.Struct, frozen=True):
    """A gzip stream around an archive: the digest of its bytes, and the time in its header."""

    path: str
    packed: Digest
    mtime: int


class Contents(msgspec.Struct, frozen=True):
    """An archive taken apart. ``sha256`` names it: a file's, or an image's manifest."""

    kind: str
    sha256: Digest
    members: tuple[Member, ...]
    wrappings: tuple[Wrapping, ...] = ()


def read(path: Path) -> Contents:
    """A wheel, zip, tar, tar.gz or OCI layout. Raises: BadInput, VerifyError (a layout's blob)."""
    if path.is_dir():
        return _layout(path)
    return of_bytes(small_file(path, MOST_BYTES), path.name)


def of_bytes(data: bytes, name: str) -> Contents:
    """The same of bytes; ``name`` is for messages. Raises: BadInput (none of these, too large)."""
    digest = _sha256(data)
    try:
        if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return Contents("zip", digest, tuple(_zip(data)))
        plain, wrappings = _unwrapped(data, name)
        return Contents("tar", digest, tuple(_tar(plain, "")), wrappings)
    except (
        zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError,
        NotImplementedError, RuntimeError,
    ) as error:  # fmt: skip
        raise BadInput(
            f"{name} is no archive that can be compared",
            why=str(error)[:160] or type(error).__name__,
            hint="a wheel, a zip, a tar, a tar.gz or an OCI layout",
        ) from error


def _zip(data: bytes) -> Iterator[Member]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        _bounded(len(entries), sum(entry.file_size for entry in entries))
        for entry in entries:
            content = archive.read(entry)
            at = entry.header_offset
            names = int.from_bytes(data[at + 26 : at + 28], "little")
            extras = int.from_bytes(data[at + 28 : at + 30], "little")
            begin = at + _LOCAL + names + extras
            yield Member(
                path=entry.filename,
                kind="folder" if entry.is_dir() else "file",
                sha256=_sha256(content),
                data=_kept(content),
                mode=entry.external_attr >> 16 & 0o7777,
                mtime="{}-{:02}-{:02} {:02}:{:02}:{:02}".format(*entry.date_time),
                method=f"method {entry.compress_type}",
                packed=_sha256(data[begin : begin + entry.compress_size]),
                odd=f"{entry.create_system} {entry.create_version} {entry.flag_bits} "
                f"{entry.extra.hex()} {entry.comment.hex()}",
            )


def _tar(data: bytes, prefix: str) -> Iterator[Member]:
    size = 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for number, member in enumerate(archive):
            # a sparse member says a size that its bytes do not have
            size += member.size
            _bounded(number, size)
            stream = archive.extractfile(member) if member.isreg() else None
            content = stream.read() if stream is not None else member.linkname.encode()
            extra = {k: v for k, v in member.pax_headers.items() if k not in ("mtime", "path")}
            yield Member(
                path=prefix + member.name,
                kind="file" if member.isreg() else "folder" if member.isdir() else "link"
                if member.issym() or member.islnk() else "special",
                sha256=_sha256(content),
                data=_kept(content),
                mode=member.mode & 0o7777,
                owner=f"{member.uid}:{member.gid} {member.uname}:{member.gname}",
                mtime=str(member.mtime),
                odd=f"{member.devmajor}:{member.devminor} {sorted(extra.items())}",
            )  # fmt: skip


def _layout(root: Path) -> Contents:
    layout = Layout(root)
    descriptor = images.pick(layout)
    manifest = layout.manifest(descriptor)
    members: list[Member] = []
    wrappings: list[Wrapping] = []
    config = layout.blob(descriptor_of(manifest.get("config")))
    layers = manifest.get("layers")
    for number, row in enumerate(layers if isinstance(layers, list) else ()):
        name = f"layer {number}"
        data = layout.blob(descriptor_of(row), MOST_BYTES)
        try:
            plain, around = _unwrapped(data, name)
            members += _tar(plain, f"{name}: ")
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
            raise BadInput(f"{name} cannot be unpacked", why=str(error)[:160]) from error
        wrappings += around
        _bounded(len(members), 0)
    # the layers' own digests follow from the layers, which are compared
    whole = {**json.loads(config), "rootfs": None}
    text = json.dumps(whole, sort_keys=True, indent=0).encode()
    members.append(Member("config.json", "file", _sha256(text), text))
    notes = json.dumps(manifest.get("annotations") or {}, sort_keys=True, indent=0).encode()
    members.append(Member("annotations", "file", _sha256(notes), notes))
    return Contents("image", descriptor.sha256, tuple(members), tuple(wrappings))


def _unwrapped(data: bytes, name: str) -> tuple[bytes, tuple[Wrapping, ...]]:
    """The tar inside, and what was around it."""
    if data[:2] != _GZIP:
        return data, ()
    wrapping = Wrapping(name, _sha256(data), int.from_bytes(data[4:8], "little"))
    return gunzipped(data, MOST_BYTES), (wrapping,)


def gunzipped(data: bytes, most: int) -> bytes:
    """One gzip stream and nothing after it. Raises: ValueError, zlib.error, EOFError."""
    engine = zlib.decompressobj(wbits=31)
    plain = engine.decompress(data, most)
    if engine.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
    if not engine.eof:
        raise EOFError("it ends early")
    if engine.unused_data.strip(b"\0"):
        raise ValueError("something follows the gzip stream")
    return plain


def _bounded(members: int, size: int) -> None:
    if members > MOST_MEMBERS or size > MOST_BYTES:
        raise ValueError(f"more than {MOST_MEMBERS:,} entries or {MOST_BYTES:,} bytes")


def _kept(data: bytes) -> bytes | None:
    return data if len(data) <= KEPT_BYTES else None


def _sha256(data: bytes) -> Digest:
    return hashlib.sha256(data).hexdigest()
