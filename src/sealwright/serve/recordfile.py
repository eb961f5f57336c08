"""A file of lines, mapped: a line that is added costs a copy in memory, and no system call.

What lies in the map lies in the kernel's page cache and outlives this process, as what ``write``
took does. Space is taken from the disk ahead, so that a full one is an error and no signal. Behind
the last line stand zeros, and a line's break is stored after the rest of it: what was begun when
the process was killed is no line.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

STEP_BYTES = 1 << 20
"""Taken from the disk at a time."""
_BREAK = 0x0A


class RecordFile:
    """One file, made anew, that this process alone appends to."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        self.size = 0
        self._room = STEP_BYTES
        try:
            os.posix_fallocate(self._fd, 0, STEP_BYTES)
            self._map = mmap.mmap(self._fd, STEP_BYTES)
        except BaseException:
            os.close(self._fd)
            path.unlink()
            raise

    def append(self, line: bytes) -> None:
        """In the file on return, whatever becomes of this process. ``line``: no break, no zero.

        Raises: OSError (no space), ValueError (closed).
        """
        at, end = self.size, self.size + len(line)
        if end >= self._room:
            self._grow(end + 1)
        self._map[at:end] = line
        self._map[end] = _BREAK
        self.size = end + 1

    def sync(self) -> None:
        """On the disk on return. Blocks; may run beside :meth:`append`. Raises: OSError."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Give back what was taken ahead."""
        self._map.close()
        os.ftruncate(self._fd, self.size)
        os.close(self._fd)

    def _grow(self, least: int) -> None:
        room = -(-least // STEP_BYTES) * STEP_BYTES
        os.posix_fallocate(self._fd, self._room, room - self._room)
        self._map.resize(room)
        self._room = room


def lines_of(path: Path) -> Iterator[bytes]:
    """The whole lines of such a file; also of one that was not closed, or that grows."""
    with open(path, "rb") as stream:
        for line in stream:
            if b"\0" in line or not line.endswith(b"\n"):
                return
            yield line[:-1]
