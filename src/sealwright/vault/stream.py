"""Stored files read whole, block by block, checked against their digest."""

from __future__ import annotations

import hashlib
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
