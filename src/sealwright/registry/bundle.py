"""An exported bundle, opened for checking: a directory or one tar, and nothing is extracted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from sealwright.core.errors import BadInput, VerifyError
from sealwright.registry import tarball
from sealwright.registry.files import checked_name, hash_stream

MAX_MEMBERS = tarball.MAX_MEMBERS


class Bundle(Protocol):
    """Members by name. Every reader sees exactly the bytes that are there."""

    @property
    def sizes(self) -> dict[str, int]:
        """Every member's name and size."""
        ...

    def open(self, name: str) -> BinaryIO:
        """The member's bytes, from the start."""
        ...


class DirectoryBundle:
    """A bundle as a directory; links and special files are refused."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.sizes = dict(sorted(_walk(self._fd, "")))

    def open(self, name: str) -> BinaryIO:
        """Opened below the root, following no link at any step."""
        *parents, last = name.split("/")
        fd = os.dup(self._fd)
        try:
            for part in parents:
                fd = _stepped(fd, part, os.O_DIRECTORY)
            fd = _stepped(fd, last, os.O_NONBLOCK)
        except OSError as error:
            os.close(fd)
            raise _odd(name, f"it cannot be opened: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise _odd(name, "not a plain file")
        return open(fd, "rb", buffering=0)

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._fd)


class TarBundle:
    """A bundle as one tar, read where it lies."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._spans = tarball.index(self._file)
        except BaseException:
            self._file.close()
            raise
        self.sizes = {name: span.size for name, span in self._spans.items()}

    def open(self, name: str) -> BinaryIO:
        """The member's bytes, from the start."""
        return cast("BinaryIO", tarball.SpanReader(self._file.fileno(), self._spans[name]))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Open a bundle. Raises: BadInput (nothing there), VerifyError (rule ``bundle.*``)."""
    if not path.exists():
        raise BadInput(f"there is no {path}", hint="seal verify BUNDLE --trust FILE")
    bundle = DirectoryBundle(path) if path.is_dir() else TarBundle(path)
    try:
        yield bundle
    finally:
        bundle.close()


def read(bundle: Bundle, name: str, limit: int) -> bytes:
    """A member of at most ``limit`` bytes. Raises: VerifyError (missing, or too large)."""
    size = bundle.sizes.get(name)
    if size is None:
        raise VerifyError(
            f"the bundle lacks {name}",
            where=name,
            hint="ask for the bundle again; `seal model export` wrote this file",
            rule="bundle.member-missing",
        )
    if size > limit:
        raise _odd(name, f"{size:,} bytes, at most {limit:,} wanted")
    with bundle.open(name) as stream:
        parts: list[bytes] = []
        while sum(map(len, parts)) <= limit and (part := stream.read(limit + 1)):
            parts.append(part)
    data = b"".join(parts)
    if len(data) > limit:
        raise _odd(name, f"it grew beyond {limit:,} bytes while it was read")
    return data


def hashed(bundle: Bundle, name: str) -> tuple[int, str]:
    """A member's size and SHA-256."""
    with bundle.open(name) as stream:
        return hash_stream(stream)


def _walk(fd: int, prefix: str) -> Iterator[tuple[str, int]]:
    for name in sorted(os.listdir(fd)):
        path = f"{prefix}{name}"
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        try:
            checked_name(path)
        except BadInput as error:
            raise _odd(path[:200], error.why) from error
        if stat.S_ISDIR(status.st_mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            try:
                yield from _walk(below, f"{path}/")
            finally:
                os.close(below)
        elif stat.S_ISREG(status.st_mode):
            yield path, status.st_size
        else:
            raise _odd(path, "a link or a special file")


def _stepped(fd: int, name: str, flag: int) -> int:
    below = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flag, dir_fd=fd)
    os.close(fd)
    return below


def _odd(name: str, why: str) -> VerifyError:
    return VerifyError(
        f"{name} does not belong into a bundle", where=name, why=why, rule="bundle.member-odd"
    )
