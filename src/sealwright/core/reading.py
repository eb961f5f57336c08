"""Small files that somebody else may have put there: plain, of a bounded size, never waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from sealwright.core.errors import BadInput

MOST_BYTES = 4 << 20


def open_plain(path: Path) -> BinaryIO:
    """A plain file, opened for reading; a link is followed. Raises: BadInput (a special file)."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return open(fd, "rb")
    os.close(fd)
    raise BadInput(f"{path} is not a plain file", hint=f"ls -l {path}")


def small_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a plain file; a link is followed, a named pipe is not opened for good.

    Raises: BadInput (a special file, or larger), FileNotFoundError, OSError.
    """
    with open_plain(path) as stream:
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise BadInput(f"{path} is too large", why=f"at most {most_bytes:,} bytes are read")
    return data
