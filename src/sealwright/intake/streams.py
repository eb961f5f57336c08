"""Bytes that parsers can read: a descriptor that is watched for change, or a stored file."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

from sealwright.core.digest import CHUNK_BYTES, Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import Progress, Readable


class Silent:
    """Progress that says nothing."""

    def advance(self, done: int, total: int, what: str) -> None:
        """Do nothing."""


class Stamp(tuple[int, int, int, int, int]):
    """(device, inode, size, mtime ns, ctime ns): what changes when a file is written."""

    @classmethod
    def of(cls, fd: int) -> Stamp:
        """The stamp of an open file."""
        found = os.fstat(fd)
        return cls(
            (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        )

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return self[2]


class Watched:
    """An open file that must stay as it is until :meth:`check` says so. Closes its descriptor."""

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        self.stamp = Stamp.of(fd)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back; closing twice is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Length in bytes when it was opened."""
        return self.stamp.size

    def pread(self, offset: int, count: int) -> bytes:
        """Bytes as they are now; :meth:`check` afterwards."""
        return os.pread(self.fd, count, offset)

    def pread_into(self, offset: int, out: memoryview) -> int:
        """:meth:`pread` without a copy; returns how many bytes there were."""
        return os.preadv(self.fd, [out], offset)

    def check(self) -> None:
        """Raises: BadInput if the file changed since it was opened."""
        if Stamp.of(self.fd) != self.stamp:
            raise changed(self.name)


def changed(name: str) -> BadInput:
    """The error for a file that moved under the reader."""
    return BadInput(
        f"{name} changed while it was read",
        why="what was hashed and what was stored would not be the same bytes",
        hint="stop whatever writes it, then run the same command again",
    )


class Reader(io.RawIOBase):
    """A seekable binary file over anything with ``size`` and ``pread``.

    ``progress`` hears about every byte; ``total`` is what it counts towards.
    """

    def __init__(self, source: Readable, progress: Tally | None = None) -> None:
        super().__init__()
        self._source = source
        self._at = 0
        self._tally = progress

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; returns the new position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` from the position on; 0 at the end."""
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self._source.size - self._at)]
        if isinstance(self._source, Watched):
            count = self._source.pread_into(self._at, view)
        else:
            data = self._source.pread(self._at, len(view))
            count = len(data)
            view[:count] = data
        self._moved(count)
        return count

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes from the position on; everything that is left if negative."""
        left = max(0, self._source.size - self._at)
        data = self._source.pread(self._at, left if size is None or size < 0 else min(size, left))
        self._moved(len(data))
        return data

    def _moved(self, count: int) -> None:
        self._at += count
        if self._tally is not None:
            self._tally.add(count)


class Tally:
    """Adds up work from several threads for one progress line."""

    def __init__(self, progress: Progress, total: int, what: str) -> None:
        self._progress = progress
        self._total = total
        self._what = what
        self._done = 0

    def add(self, count: int) -> None:
        """``count`` more units are done."""
        self._done += count
        self._progress.advance(min(self._done, self._total), self._total, self._what)


def digest_of(source: Readable, tally: Tally | None = None) -> Digest:
    """The SHA-256 of everything in ``source``."""
    state = hashlib.sha256()
    reader = Reader(source, tally)
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    while count := reader.readinto(buffer):
        state.update(view[:count])
    return state.hexdigest()


class OnDemand:
    """A readable that is opened by the first read and let go of by the one that reaches its end.

    So a version of many files can be handed out at once without as many open descriptors.
    """

    def __init__(self, opened: Callable[[], Readable], size: int) -> None:
        self._opened = opened
        self._size = size
        self._source: Readable | None = None

    @property
    def size(self) -> int:
        """Length in bytes, as signed."""
        return self._size

    def pread(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes. Raises: whatever opening and reading raise."""
        if self._source is None:
            self._source = self._opened()
        data = self._source.pread(offset, count)
        if offset + len(data) >= self._size:
            self._source = None
        return data


class External:
    """A file read where it lies, checked against what was signed.

    ``pread`` in order from the start hashes as it goes and raises no later than the call that
    returns the last byte; any other order hashes the whole file first, and then watches it.
    """

    def __init__(self, fd: int, name: str, size: int, sha256: Digest) -> None:
        self._file = Watched(fd, name)
        self._size = size
        self._sha256 = sha256
        self._state = hashlib.sha256()
        self._at = 0
        self._verified = False
        if self._file.size != size:
            raise self._differs(f"it has {self._file.size:,} bytes, {size:,} were signed")

    @property
    def size(self) -> int:
        """Length in bytes, as signed."""
        return self._size

    def pread(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes. Raises: VerifyError, rule ``data.external-changed``."""
        if not self._verified and offset != self._at:
            self.verify()
        data = self._file.pread(offset, min(count, max(0, self._size - offset)))
        if self._verified:
            if Stamp.of(self._file.fd) != self._file.stamp:
                raise self._differs("it changed while it was read")
            return data
        self._state.update(data)
        self._at += len(data)
        if self._at >= self._size or not data:
            self._settle(self._state.hexdigest())
        return data

    def verify(self) -> None:
        """Hash the whole file now. Raises: VerifyError."""
        self._settle(digest_of(self._file))

    def _settle(self, found: Digest) -> None:
        if found != self._sha256:
            raise self._differs(f"its SHA-256 is {found}, {self._sha256} was signed")
        if Stamp.of(self._file.fd) != self._file.stamp:
            raise self._differs("it changed while it was read")
        self._verified = True

    def _differs(self, why: str) -> VerifyError:
        return VerifyError(
            f"{self._file.name} is not what was signed",
            where=self._file.name,
            why=why,
            hint="put the signed file back, or sign this one: seal data add --reference",
            rule="data.external-changed",
        )
