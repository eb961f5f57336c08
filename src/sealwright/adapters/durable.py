"""Files that are there whole or not at all, and files read without following a link."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from sealwright.core.errors import VerifyError

_MAX_OPEN = 64


class Drafts:
    """Writes files under ``root`` by temporary name, fsync and rename, in the order given.

    ``settle`` makes everything written so far durable; a crash before it may leave some of
    the files out, but never halves one.
    """

    def __init__(self, root: Path, mode: int = 0o644) -> None:
        self._root = root
        self._mode = mode
        self._known = {root}
        self._touched: set[Path] = set()
        self._open: list[tuple[int, Path, Path]] = []

    def write(self, path: str, data: bytes) -> None:
        """Put ``data`` at ``root/path``, replacing what was there."""
        target = self._root / path
        self._ensure(target.parent)
        draft = target.with_name(f".{target.name}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(draft, flags, self._mode)
        self._open.append((fd, draft, target))
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if len(self._open) >= _MAX_OPEN:
            self._land()

    def settle(self) -> None:
        """Give every file its name and fsync the directories that changed."""
        self._land()
        for directory in sorted(self._touched):
            sync_directory(directory)
        self._touched.clear()

    def drop(self) -> None:
        """Let go of the files that were not landed."""
        while self._open:
            fd, draft, _ = self._open.pop()
            os.close(fd)
            draft.unlink(missing_ok=True)

    def _land(self) -> None:
        # one fsync after all writes: the first carries most of the others' journal with it
        for fd, _, _ in self._open:
            _sync(fd)
        while self._open:
            fd, draft, target = self._open.pop(0)
            os.close(fd)
            draft.rename(target)
            self._touched.add(target.parent)

    def _ensure(self, directory: Path) -> None:
        if directory in self._known:
            return
        self._ensure(directory.parent)
        if directory.is_symlink():
            raise _unfit(self._root, str(directory.relative_to(self._root)), "it is a link")
        if not directory.is_dir():
            directory.mkdir(exist_ok=True)
            self._touched.add(directory.parent)
        self._known.add(directory)


def write_durably(target: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace one file atomically; durable on return."""
    drafts = Drafts(target.parent, mode)
    try:
        drafts.write(target.name, data)
        drafts.settle()
    finally:
        drafts.drop()


def sync_directory(directory: Path) -> None:
    """Make renames and links in ``directory`` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(fd)
    finally:
        os.close(fd)


def _sync(fd: int) -> None:
    # macOS: a plain fsync stops at the drive's cache
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(fd)
    else:
        fcntl.fcntl(fd, full)


def read_beneath(root: Path, path: str, limit: int) -> bytes:
    """The regular file ``root/path``; no component of ``path`` may be a link.

    Raises: FileNotFoundError; VerifyError (rule ``log.file``) for a link, another kind of
    file, or more than ``limit`` bytes.
    """
    *folders, name = path.split("/")
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = _open(folder, flags, at, root, path)
            os.close(at)
            at = below
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = _open(name, flags, at, root, path)
    finally:
        os.close(at)
    with open(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _unfit(root, path, "it is not a regular file")
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise _unfit(root, path, f"it is longer than {limit} bytes")
    return data


def _open(name: str, flags: int, at: int, root: Path, path: str) -> int:
    try:
        return os.open(name, flags, dir_fd=at)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unfit(root, path, f"{name}: {error.strerror}; links are not followed") from error


def _unfit(root: Path, path: str, why: str) -> VerifyError:
    return VerifyError(
        "a file of the log is not what it must be", where=str(root / path), why=why, rule="log.file"
    )
