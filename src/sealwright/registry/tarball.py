"""Tar files with one spelling: sorted plain files, no times, no owners; read without extracting.

A reader that only takes what the writer writes has nothing to fear from links, absolute
paths, sparse files, duplicates or devices: none of them can be spelt.
"""

from __future__ import annotations

import io
import os
import tarfile
from typing import BinaryIO

import msgspec

from sealwright.core.errors import BadInput, VerifyError
from sealwright.registry.files import CHUNK_BYTES, checked_name

BLOCK = 512
END = b"\0" * (2 * BLOCK)
MAX_MEMBERS = 1_000_000
_MAX_PAX = 8 * BLOCK
_PAX = b"x"


class Span(msgspec.Struct, frozen=True):
    """Where a member's bytes lie in the archive."""

    offset: int
    size: int


def header(name: str, size: int) -> bytes:
    """The header blocks of a plain file (POSIX pax; extended only for long names and sizes)."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def padding(size: int) -> bytes:
    """The zeros between a member's bytes and the next block."""
    return b"\0" * (-size % BLOCK)


def index(archive: BinaryIO) -> dict[str, Span]:
    """Every member of an archive, by name.

    Raises: VerifyError (rule ``bundle.tar``) for anything :func:`header` would not write.
    """
    end = archive.seek(0, io.SEEK_END)
    members: dict[str, Span] = {}
    at, last = 0, ""
    while (raw := _read(archive, at, BLOCK, last)) != END[:BLOCK]:
        name, size, spelling = _member(archive, at, raw, last)
        start = at + len(spelling)
        if _read(archive, at, len(spelling), name) != spelling:
            raise _bad(name, "its header is not spelt as `seal model export` writes it")
        if name <= last or len(members) >= MAX_MEMBERS:
            raise _bad(name, "members are not sorted, one is there twice, or there are too many")
        at = start + size + len(padding(size))
        if at > end or _read(archive, start + size, -size % BLOCK, name) != padding(size):
            raise _bad(name, "it is cut short, or its padding is not zero")
        members[name], last = Span(start, size), name
    if _read(archive, at, end - at, last, limit=len(END)) != END:
        raise _bad(last, "something follows the last member")
    return members


def _member(archive: BinaryIO, at: int, raw: bytes, last: str) -> tuple[str, int, bytes]:
    """Name, size and the whole header in its one spelling."""
    try:
        size = tarfile.nti(raw[124:136])  # type: ignore[attr-defined]
        if raw[156:157] == _PAX:
            if not 0 < size <= _MAX_PAX:
                raise _bad(last, "an extended header has an odd size")
            records = _pax(_read(archive, at + BLOCK, size, last))
            rest = _read(archive, at + BLOCK + size + len(padding(size)), BLOCK, last)
            name = (
                records.get("path")
                or tarfile.nts(  # type: ignore[attr-defined]
                    rest[:100], "utf-8", "strict"
                )
            )
            size = int(records.get("size") or tarfile.nti(rest[124:136]))  # type: ignore[attr-defined]
        else:
            tail = tarfile.nts(raw[:100], "utf-8", "strict")  # type: ignore[attr-defined]
            lead = tarfile.nts(raw[345:500], "utf-8", "strict")  # type: ignore[attr-defined]
            name = f"{lead}/{tail}" if lead else tail
        if size < 0:
            raise ValueError("a negative size")
        return checked_name(name), size, header(name, size)
    except (tarfile.HeaderError, ValueError, BadInput) as error:
        raise _bad(last, f"the header after it is no plain file's: {error}") from error


def _pax(data: bytes) -> dict[str, str]:
    out: dict[str, str] = {}
    at = 0
    while at < len(data):
        length, _, _ = data[at : at + 20].partition(b" ")
        end = at + int(length)
        key, _, value = data[at + len(length) + 1 : end - 1].partition(b"=")
        if end <= at or end > len(data):
            raise ValueError("an extended record is cut short")
        out[key.decode()] = value.decode()
        at = end
    return out


def _read(archive: BinaryIO, offset: int, count: int, last: str, limit: int = 1 << 16) -> bytes:
    if count > limit:
        raise _bad(last, "something follows the last member")
    data = os.pread(archive.fileno(), count, offset)
    if len(data) != count:
        raise _bad(last, "the archive is cut short")
    return data


def _bad(name: str, why: str) -> VerifyError:
    where = name or "the first member"
    return VerifyError(
        f"not an archive as `seal model export` writes it, at {where}",
        where=where,
        why=why,
        hint="if you packed it again yourself, unpack it and verify the directory",
        rule="bundle.tar",
    )


class SpanReader(io.RawIOBase):
    """The bytes of one member, read where they lie."""

    def __init__(self, fd: int, span: Span) -> None:
        self._fd, self._at, self._end = fd, span.offset, span.offset + span.size

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` from where the last call stopped; 0 at the end."""
        count = min(len(buffer), self._end - self._at, CHUNK_BYTES)
        data = os.pread(self._fd, count, self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
