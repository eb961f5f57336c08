"""Stored files as streams: whole content checked against its digest, or a seekable file."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from typing import BinaryIO, Protocol, cast

from sealwright.core.errors import VerifyError
from sealwright.core.ports import Readable, StoredFile

BLOCK_BYTES = 1 << 20


class _Filling(Protocol):
    def pread_into(self, offset: int, out: memoryview) -> int: ...


def blocks(readable: Readable, file: StoredFile) -> Iterator[memoryview]:
    """All of a file, in blocks of 1 MiB in a buffer that is reused.

    The last block is handed out only once the whole content's SHA-256 is what ``file`` says.
    Raises: VerifyError (rule ``store.content-changed``, or a chunk that does not authenticate).
    """
    if readable.size != file.size:
        raise _changed(file, f"{readable.size} bytes, not {file.size}")
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(min(BLOCK_BYTES, file.size)))
    for offset in range(0, file.size, BLOCK_BYTES):
        block = buffer[: min(BLOCK_BYTES, file.size - offset)]
        _fill(readable, offset, block)
        digest.update(block)
        if offset + len(block) < file.size:
            yield block
    if digest.hexdigest() != file.sha256:
        raise _changed(file, f"its SHA-256 is {digest.hexdigest()}")
    if file.size:
        yield block


def copy(readable: Readable, file: StoredFile, sink: BinaryIO) -> None:
    """Write all of a file to ``sink``. Raises: VerifyError; drop ``sink`` when it does."""
    for block in blocks(readable, file):
        sink.write(block)


def check(readable: Readable, file: StoredFile) -> StoredFile:
    """Read all of a file; return ``file`` if the content is what it says. Raises: VerifyError."""
    for _ in blocks(readable, file):
        continue
    return file


def as_file(readable: Readable) -> BinaryIO:
    """A seekable, read-only binary file over ``readable`` (for pyarrow, tarfile and such).

    Every byte read was authenticated by its chunk; the whole content's digest is not checked.
    """
    return cast("BinaryIO", io.BufferedReader(_Raw(readable), BLOCK_BYTES))


class _Raw(io.RawIOBase):
    def __init__(self, readable: Readable) -> None:
        self._readable = readable
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._readable.size}[whence]
        if base + offset < 0:
            raise OSError("a negative position")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        window = memoryview(buffer).cast("B")
        count = max(0, min(len(window), self._readable.size - self._at))
        _fill(self._readable, self._at, window[:count])
        self._at += count
        return count


def _fill(readable: Readable, offset: int, out: memoryview) -> None:
    into = getattr(readable, "pread_into", None)
    if into is not None:
        cast("_Filling", readable).pread_into(offset, out)
    else:
        out[:] = readable.pread(offset, len(out))


def _changed(file: StoredFile, why: str) -> VerifyError:
    return VerifyError(
        "a stored file's content is not what it was",
        where=f"sha256 {file.sha256}",
        why=why,
        rule="store.content-changed",
        hint="seal restore from a backup, or add the data again",
    )
