"""The descriptors between a room and its caller. All are closed when the stack unwinds."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack

from sealwright.train.spec import Channel


class Pipes:
    """stdin is empty; stdout, stderr and bubblewrap's status are pipes out of the room."""

    def __init__(self, stack: ExitStack) -> None:
        self._open: set[int] = set()
        stack.callback(self._close, self._open)
        self.null = self._own(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        self.stdout, self.stdout_write = self._pipe()
        self.stderr, self.stderr_write = self._pipe()
        self.status, self.status_write = self._pipe()

    def close_writing_ends(self) -> None:
        """Once the room holds them: without this the pipes would never end."""
        self._close({self.null, self.stdout_write, self.stderr_write, self.status_write})

    def reading_ends(self) -> tuple[tuple[Channel, int], ...]:
        """Where the room's stdout and stderr come out."""
        return (("stdout", self.stdout), ("stderr", self.stderr))

    def _pipe(self) -> tuple[int, int]:
        read, write = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        return self._own(read), self._own(write)

    def _own(self, fd: int) -> int:
        if fd <= 2:  # the caller runs without a standard stream; stay out of its place
            moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
            os.close(fd)
            fd = moved
        self._open.add(fd)
        return fd

    def _close(self, fds: set[int]) -> None:
        for fd in tuple(fds & self._open):
            self._open.discard(fd)
            os.close(fd)


def memory_file(stack: ExitStack, content: bytes) -> int:
    """A descriptor that reads ``content``, without a name anywhere."""
    fd = os.memfd_create("sealwright", os.MFD_CLOEXEC)
    stack.callback(os.close, fd)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
