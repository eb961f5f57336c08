"""One writer per model: two registrations never get the same version number."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealwright.core.refs import check_name


@contextmanager
def exclusive(scratch: Path, name: str) -> Iterator[None]:
    """Hold the model's lock; waits for whoever has it. The kernel drops it if we are killed."""
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = scratch / f"model-{check_name(name)}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
