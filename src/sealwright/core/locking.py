"""One writer at a time, between processes. The kernel drops a lock whose holder is killed."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealwright.core.errors import Unavailable

WAIT_S = 15.0
_POLL_S = 0.01


@contextmanager
def exclusive(path: Path, what: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path``, making it where it is missing.

    ``wait_s`` may be ``math.inf``. Raises: Unavailable (``what`` is busy for longer).
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if wait_s == math.inf:
            fcntl.flock(fd, fcntl.LOCK_EX)
        else:
            _wait(fd, what, wait_s)
        yield
    finally:
        os.close(fd)


@contextmanager
def directory(path: Path, *, alone: bool) -> Iterator[None]:
    """Lock a directory that is there: many may share it, or one be ``alone``. Waits for that."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock on ``path``; a file that is not there is free."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(fd)
    finally:
        os.close(fd)


def _wait(fd: int, what: str, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while not _try_lock(fd):
        if time.monotonic() > until:
            raise Unavailable(
                f"{what} is locked by another process",
                hint="wait for the other seal command to end, then try again",
            )
        time.sleep(_POLL_S)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
