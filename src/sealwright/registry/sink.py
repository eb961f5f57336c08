"""Where a bundle is written: a directory or one tar; it appears whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.registry import tarball

_HERE = -100  # AT_FDCWD
_NO_REPLACE = 1


class Member(msgspec.Struct, frozen=True):
    """One member to write: its name, size, and its bytes in pieces.

    ``sha256``, where given, is what the bytes have to hash to.
    """

    name: str
    size: int
    pieces: Iterable[bytes]
    sha256: Digest = ""


class Sink(Protocol):
    """Takes members in sorted order."""

    def write(self, member: Member) -> None:
        """Raises: VerifyError when the bytes are not of the size and digest announced."""
        ...


@contextmanager
def sink(out: Path) -> Iterator[Sink]:
    """A tar where ``out`` ends in ``.tar``, else a directory.

    Raises: BadInput (it exists, or has come to exist by the end).
    """
    if out.exists() or out.is_symlink():
        raise _exists(out)
    if not out.parent.is_dir():
        raise BadInput(f"there is no directory {out.parent}")
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        if out.suffix == ".tar":
            with (draft / "tar").open("xb") as stream:
                writer = TarSink(stream.fileno())
                yield writer
                writer.finish()
            (draft / "tar").chmod(0o644)
            _place(draft / "tar", out)
        else:
            (draft / "bundle").mkdir()
            yield DirectorySink(draft / "bundle")
            _place(draft / "bundle", out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _place(draft: Path, out: Path) -> None:
    """Rename ``draft`` to ``out``, which nobody else may have made meanwhile. Raises: BadInput."""
    try:
        if not _renamed_to_nothing(draft, out):
            # claimed first: what comes between claim and rename is somebody racing us on purpose
            out.mkdir() if draft.is_dir() else out.touch(exist_ok=False)
            draft.rename(out)
    except FileExistsError as error:
        raise _exists(out) from error
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR):
            raise _exists(out) from error
        raise


def _renamed_to_nothing(source: Path, target: Path) -> bool:
    """Whether the kernel could do it in one step. Raises: FileExistsError, OSError."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_HERE, os.fsencode(source), _HERE, os.fsencode(target), _NO_REPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(target))


def _exists(out: Path) -> BadInput:
    return BadInput(f"{out} exists already", hint="name another file, or remove it first")


class DirectorySink:
    """Plain files below a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, member: Member) -> None:
        """See :class:`Sink`."""
        path = self._root / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            for piece in _checked(member):
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())


class TarSink:
    """The tar of :mod:`sealwright.registry.tarball`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._last = ""

    def write(self, member: Member) -> None:
        """See :class:`Sink`."""
        if member.name <= self._last:
            raise BadInput(f"{member.name} is out of order", why="tar members are sorted")
        self._last = member.name
        self._put(tarball.header(member.name, member.size))
        for piece in _checked(member):
            self._put(piece)
        self._put(tarball.padding(member.size))

    def finish(self) -> None:
        """Write the end and make it durable."""
        self._put(tarball.END)
        os.fsync(self._fd)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


def _checked(member: Member) -> Iterator[bytes]:
    state, size = hashlib.sha256(), 0
    for piece in member.pieces:
        state.update(piece)
        size += len(piece)
        yield piece
    if size != member.size or (member.sha256 and state.hexdigest() != member.sha256):
        raise VerifyError(
            f"{member.name} is not what the log says it is",
            where=member.name,
            why=f"{size:,} bytes of {member.size:,}, SHA-256 {state.hexdigest()}",
            rule="store.file-changed",
        )
