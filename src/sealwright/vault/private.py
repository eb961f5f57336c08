"""Files that only their owner may read: created 0600, replaced atomically, checked when read."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sealwright.core.errors import BadInput, Refused, Unavailable

_FILE_MODE = 0o600
_DIR_MODE = 0o700
_MOST_BYTES = 1 << 20
TMP_PREFIX = ".tmp-"


def ensure_dir(path: Path) -> None:
    """Make ``path`` (and what is missing above it) with mode 0700, durably."""
    if path.is_dir():
        return
    ensure_dir(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=_DIR_MODE)
        sync_dir(path.parent)


def make_dir(path: Path) -> None:
    """A directory for keys: made as :func:`ensure_dir` does, then checked."""
    ensure_dir(path)
    check_dir(path)


def check_dir(path: Path) -> None:
    """Raises: Unavailable (missing), Refused (not ours, or open to group or others)."""
    try:
        facts = path.lstat()
    except FileNotFoundError as error:
        raise Unavailable(f"{path} does not exist", hint="seal init") from error
    if not stat.S_ISDIR(facts.st_mode):
        raise Refused(f"{path} is not a directory", rule="keys.not-a-directory")
    _check_owner(path, facts)


def read(path: Path, most: int = _MOST_BYTES) -> bytes:
    """The first ``most`` bytes of a file that is ours alone; a link is not followed.

    Raises: FileNotFoundError, Refused (a link, another owner, or open to others).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", rule="keys.unreadable") from error
    with open(fd, "rb") as stream:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused(f"{path} is not a regular file", rule="keys.not-a-file")
        _check_owner(path, facts)
        return stream.read(most)


def create(path: Path, content: bytes) -> None:
    """Write a new file, whole or not at all, durable on return.

    Raises: FileExistsError (whatever was there is untouched), Unavailable (disk full).
    """
    with _written(path, content) as tmp:
        os.link(tmp, path, follow_symlinks=False)


def replace(path: Path, content: bytes) -> None:
    """Write a file in place of what is there, whole or not at all, durable on return.

    Raises: Unavailable (disk full).
    """
    with _written(path, content) as tmp:
        tmp.replace(path)


def overwrite(path: Path, most: int = _MOST_BYTES) -> None:
    """Put random bytes over a file's first ``most`` bytes, durably. Raises: FileNotFoundError.

    What a copying filesystem or a flash controller keeps of the old blocks is beyond reach.
    """
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _overwrite(fd, most)
    finally:
        os.close(fd)


def bury(path: Path, content: bytes) -> None:
    """Replace a file as :func:`replace` does, then overwrite what it was.

    In this order a crash leaves the one or the other, never random bytes under the name.
    """
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        replace(path, content)
        _overwrite(fd, _MOST_BYTES)
    finally:
        os.close(fd)


def _overwrite(fd: int, most: int) -> None:
    os.pwrite(fd, os.urandom(min(most, os.fstat(fd).st_size)), 0)
    os.fsync(fd)


def remove(path: Path) -> None:
    """Unlink a file, durably. Raises: FileNotFoundError."""
    path.unlink()
    sync_dir(path.parent)


def sync_dir(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def tmp_name() -> str:
    """A name no other writer uses, and which is not read as content."""
    return f"{TMP_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"


def is_writer_alive(tmp: Path) -> bool:
    """Whether the process that made a temporary file (see :func:`tmp_name`) may still run."""
    pid = tmp.name.removeprefix(TMP_PREFIX).partition("-")[0]
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def _written(path: Path, content: bytes) -> Iterator[Path]:
    tmp = path.parent / tmp_name()
    try:
        fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        with open(fd, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(fd)
        yield tmp
        sync_dir(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}", why="nothing was changed"
        ) from error
    finally:
        tmp.unlink(missing_ok=True)


def _check_owner(path: Path, facts: os.stat_result) -> None:
    if facts.st_uid != os.geteuid():
        raise Refused(
            f"{path} belongs to uid {facts.st_uid}, not to you",
            why="whoever owns a key can change it",
            hint=f"chown {os.geteuid()} {path}",
            rule="keys.wrong-owner",
        )
    if facts.st_mode & 0o077:
        raise Refused(
            f"{path} is open to others (mode {stat.S_IMODE(facts.st_mode):04o})",
            why="keys are for their owner alone",
            hint=f"chmod go= {path}",
            rule="keys.readable-by-others",
        )


def check_label(text: str, what: str) -> str:
    """Return ``text`` if it is safe as a file name for a key. Raises: BadInput."""
    if not text or len(text) > 120 or text[0] == "." or not set(text) <= _LABEL:
        raise BadInput(f"{text!r} cannot name {what}", why="a-z, 0-9 and -_.: wanted")
    return text


_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.:")
