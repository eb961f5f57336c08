"""Bytes handed to the child without a copy through a pipe: the parent writes, the child maps.

The parent reads nothing back from there, so it does not matter what a child does to its mapping;
its limits keep it from making the memory grow.
"""

from __future__ import annotations

import mmap
import os


class Handed:
    """Memory without a name. ``fd`` is for the child to inherit."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("pickle", os.MFD_CLOEXEC)

    def put(self, data: bytes) -> None:
        """``data``, and nothing of what lay there before."""
        os.ftruncate(self.fd, 0)
        view, at = memoryview(data), 0
        while at < len(view):
            at += os.pwrite(self.fd, view[at:], at)

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.fd)


def mapped(fd: int, size: int) -> memoryview:
    """The child's end: what was put there. Raises: ValueError, OSError (there is less)."""
    return memoryview(mmap.mmap(fd, size, prot=mmap.PROT_READ) if size else b"")
