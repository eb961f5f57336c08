"""A file opened once, by descriptor, following no link, and held to be the same to the end."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from sealwright.core.digest import CHUNK_BYTES, Digest
from sealwright.kit.modelfile.report import Unsound


class Opened:
    """A ``Readable`` over a regular file; close it when done."""

    def __init__(self, path: Path | str) -> None:
        """Raises: Unsound (file.special), OSError."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        if Path(path).is_symlink():
            raise Unsound("file.special", "it is a link, whose target can change")
        self.fd = os.open(path, flags)
        found = os.fstat(self.fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(self.fd)
            raise Unsound("file.special", "it is no plain file")
        self.size = found.st_size
        self._as_opened = _stamp(found)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self.fd)

    def pread(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset``."""
        count = max(0, min(count, self.size - offset))
        parts = list[bytes]()
        while count:
            part = os.pread(self.fd, min(count, 1 << 30), offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def digest(self) -> Digest:
        """The SHA-256 of the whole file."""
        state, at = hashlib.sha256(), 0
        while part := self.pread(at, CHUNK_BYTES):
            state.update(part)
            at += len(part)
        return state.hexdigest()

    def unchanged(self) -> None:
        """Raises: Unsound (file.changed) where it was written to since it was opened."""
        if _stamp(os.fstat(self.fd)) != self._as_opened:
            raise Unsound("file.changed", "it was written to while it was read")


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
