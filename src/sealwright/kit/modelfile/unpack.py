"""Compressed streams and tar archives, unpacked into memory within bounds."""

from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zlib
from typing import Any

from sealwright.core.ports import Readable
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.source import Bytes, whole

_CHUNK = 1 << 18

MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
)


def kind_of(head: bytes) -> str:
    """The compression a file begins with, or nothing."""
    for magic, name in MAGICS:
        if head.startswith(magic):
            return name
    zlib_head = len(head) > 1 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0
    return "zlib" if zlib_head and not head[1] & 0x20 else ""


def decompress(source: Readable, kind: str, most: int, ratio: int) -> bytes:
    """One whole compressed stream. Raises: Unsound."""
    state = _decoder(kind)
    out, at, size = list[bytes](), 0, 0
    try:
        while not state.eof and at < source.size:
            data = source.pread(at, _CHUNK)
            if not data:
                break
            at += len(data)
            for piece in _pieces(state, data):
                size += len(piece)
                out.append(piece)
                if size > most or (size > (64 << 20) and size > (at + _CHUNK) * ratio):
                    raise Unsound("archive.bomb", f"unfolds to more than {size:,} bytes")
    except (zlib.error, OSError, lzma.LZMAError, ValueError, EOFError) as error:
        raise Unsound("compressed.broken", f"{kind}: {error}") from error
    if not state.eof:
        raise Unsound("compressed.broken", f"{kind}: it ends early")
    if state.unused_data or at < source.size:
        raise Unsound("compressed.trailing", f"{kind}: something follows the stream")
    return b"".join(out)


def _decoder(kind: str) -> Any:
    if kind in ("gzip", "zlib"):
        return zlib.decompressobj(31 if kind == "gzip" else 15)
    if kind == "bz2":
        return bz2.BZ2Decompressor()
    form = lzma.FORMAT_XZ if kind == "xz" else lzma.FORMAT_ALONE
    return lzma.LZMADecompressor(format=form, memlimit=256 << 20)


def _pieces(state: Any, data: bytes) -> Any:
    if hasattr(state, "unconsumed_tail"):
        yield state.decompress(data, 1 << 24)
        while state.unconsumed_tail:
            yield state.decompress(state.unconsumed_tail, 1 << 24)
        return
    yield state.decompress(data, 1 << 24)
    while not state.eof and not state.needs_input:
        yield state.decompress(b"", 1 << 24)


def tar_members(source: Readable, most: int, members: int) -> list[tuple[str, Bytes]]:
    """The files of a tar archive. Raises: Unsound for links, other kinds and bad names."""
    data = whole(source, most)
    found, names = list[tuple[str, Bytes]](), set[str]()
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as archive:
            for member in archive:
                _plain(member, names, members)
                if member.isfile():
                    stream = archive.extractfile(member)
                    body = stream.read() if stream else b""
                    if len(body) != member.size:
                        raise Unsound("tar.structure", f"{member.name[:80]!r} is cut short")
                    found.append((member.name, Bytes(body)))
            end = archive.offset
    except (tarfile.TarError, ValueError, EOFError, OSError, UnicodeError) as error:
        raise Unsound("tar.structure", str(error)[:200]) from error
    if any(data[end:]):
        raise Unsound("tar.structure", "something follows its end")
    return found


def _plain(member: tarfile.TarInfo, names: set[str], most: int) -> None:
    name = member.name
    if member.issparse() or not (member.isfile() or member.isdir()):
        raise Unsound("archive.link", f"{name[:80]!r} is a link or a special file")
    parts = name.removeprefix("./").split("/")
    if name != "." and (
        not name.isprintable() or "\\" in name or any(one in ("", "..", ".") for one in parts)
    ):
        raise Unsound("zip.name", f"{name[:80]!r} leads out of the archive")
    if name in names:
        raise Unsound("zip.duplicate", f"two entries are called {name[:80]!r}")
    names.add(name)
    if len(names) > most:
        raise Unsound("archive.bomb", f"more than {most:,} entries")
