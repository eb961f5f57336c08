"""Sockets in the file system: one that nobody answers on is left over, and may be taken over."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path


def clear_stale(path: Path) -> None:
    """Remove a socket that nobody answers on. Raises: OSError (somebody does: EADDRINUSE)."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))


def private(path: Path, backlog: int) -> socket.socket:
    """A listening socket, mode 0600 before anybody can connect. Raises: OSError (as above)."""
    clear_stale(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock
