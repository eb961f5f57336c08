"""A file that has no name until it is whole: a crash leaves nothing half-written behind.

O_TMPFILE where the file system has it (man 2 open), else a hidden name of its own.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)


class Partial:
    """``fd`` is open for writing; ``name_it`` puts it in place, over what was there."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._hidden = f".sealwright-{secrets.token_hex(8)}.partial"
        self._has_hidden_name = False
        flags = os.O_WRONLY | os.O_CLOEXEC
        try:
            self.fd = os.open(".", flags | os.O_TMPFILE, 0o600, dir_fd=folder)
        except (OSError, AttributeError) as error:
            if isinstance(error, OSError) and error.errno not in _UNSUPPORTED:
                raise
            flags |= os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self.fd = os.open(self._hidden, flags, 0o600, dir_fd=folder)
            self._has_hidden_name = True

    def name_it(self, name: str) -> None:
        """Atomically: a reader sees the old file or the whole new one. Raises: OSError."""
        if not self._has_hidden_name:
            source = f"/proc/self/fd/{self.fd}"
            with suppress(FileExistsError):
                os.link(source, name, dst_dir_fd=self._folder, follow_symlinks=True)
                return
            os.link(source, self._hidden, dst_dir_fd=self._folder, follow_symlinks=True)
            self._has_hidden_name = True
        os.rename(self._hidden, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._has_hidden_name = False

    def forget(self) -> None:
        """Let go of it; unless it was named, nothing of it stays."""
        os.close(self.fd)
        if self._has_hidden_name:
            os.unlink(self._hidden, dir_fd=self._folder)


@contextmanager
def nameless(folder: int) -> Iterator[Partial]:
    """A new file in the directory ``folder`` (a descriptor)."""
    partial = Partial(folder)
    try:
        yield partial
    finally:
        partial.forget()
