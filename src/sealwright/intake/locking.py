"""One writer per dataset: adding and clearing away never meet."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealwright.core import refs


@contextmanager
def exclusive(scratch: Path, name: str) -> Iterator[None]:
    """Hold the dataset's lock; waits for whoever has it. The kernel drops it if we are killed."""
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = scratch / f"data-{refs.check_name(name)}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
