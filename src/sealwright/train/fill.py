"""Putting code and decrypted inputs into a room, through its directory descriptor alone."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import Readable
from sealwright.train.mounts import InputMount
from sealwright.train.spec import CodeFile, RoomInput

_PAGE = 4096
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 4 * digest.CHUNK_BYTES


class Laid(msgspec.Struct, frozen=True):
    """What the project copy held before the script began.

    ``code`` maps a path to its content's digest; ``links`` to its target; ``placeholders``
    are the inodes that inputs are mounted over.
    """

    code: dict[str, Digest]
    links: dict[str, str]
    placeholders: frozenset[int]


def check_relpath(relpath: str) -> str:
    """Return ``relpath`` if it stays where it is put. Raises: BadInput."""
    parts = relpath.split("/")
    if "\0" in relpath or any(part in ("", ".", "..") for part in parts):
        raise BadInput(f"{relpath!r} is not a path inside the project")
    return relpath


def size_of(code: Sequence[CodeFile]) -> int:
    """Bytes of memory that ``code`` takes, whole pages."""
    return sum(pages(_length(file)) for file in code)


def pages(size: int) -> int:
    """``size`` in whole pages."""
    return -(-size // _PAGE) * _PAGE


def _length(file: CodeFile) -> int:
    content = file.content
    if isinstance(content, bytes):
        return len(content)
    if isinstance(content, Path):
        return content.lstat().st_size
    return content.size


def lay_code(work: int, code: Iterable[CodeFile], masked: Sequence[InputMount]) -> Laid:
    """Write the project copy under the descriptor ``work``. Raises: Refused, BadInput, OSError.

    A code file at an input's own path gives way to it. Links come last, so that nothing is
    ever written through one.
    """
    covered = {mount.relpath for mount in masked if not mount.is_folder}
    digests: dict[str, Digest] = {}
    links: dict[str, str] = {}
    for file in code:
        relpath = check_relpath(file.relpath)
        if stat.S_ISLNK(file.mode):
            links[relpath] = os.fsdecode(_small(file))
        elif relpath not in covered:
            mode = 0o755 if file.mode & 0o111 else 0o644
            state = hashlib.sha256()
            _write(work, relpath, mode, _chunks(file), state)
            digests[relpath] = state.hexdigest()
    placeholders = frozenset(_placeholder(work, mount) for mount in masked)
    for relpath, target in links.items():
        _parents(work, relpath)
        os.symlink(target, relpath, dir_fd=work)
    return Laid(digests, links, placeholders)


def lay_inputs(
    tree: int, inputs: Iterable[RoomInput], code: Iterable[CodeFile], masks: Sequence[InputMount]
) -> None:
    """Decrypt ``inputs`` under the descriptor ``tree``, read-only for everyone.

    Code that lives in a folder which is mounted whole goes along. Raises: VerifyError.
    """
    taken = set()
    for item in inputs:
        state = hashlib.sha256() if item.sha256 else None
        _write(tree, check_relpath(item.relpath), 0o444, _read(item.readable), state)
        taken.add(item.relpath)
        if state and state.hexdigest() != item.sha256:
            raise VerifyError(
                f"{item.relpath} is not what was signed",
                where=item.relpath,
                why="its bytes hash to something else than its version says",
                hint=f"seal data verify, then seal data add {item.relpath}",
                rule="room.input-changed",
            )
    folders = tuple(f"{mask.relpath}/" for mask in masks if mask.is_folder)
    for file in code:
        if file.relpath.startswith(folders) and file.relpath not in taken:
            _write(tree, file.relpath, 0o444, _chunks(file))


def lay_small(tree: int, files: dict[str, bytes]) -> None:
    """Write the room's own /etc."""
    for name, content in files.items():
        _write(tree, name, 0o444, iter((content,)))


def _write(
    tree: int,
    relpath: str,
    mode: int,
    chunks: Iterator[bytes],
    state: hashlib._Hash | None = None,
) -> None:
    _parents(tree, relpath)
    fd = os.open(relpath, _CREATE, 0o600, dir_fd=tree)
    try:
        for chunk in chunks:
            if state:
                state.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _parents(tree: int, relpath: str) -> None:
    parts = relpath.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        try:
            os.mkdir("/".join(parts[:depth]), 0o755, dir_fd=tree)
        except FileExistsError:
            continue


def _placeholder(work: int, mount: InputMount) -> int:
    """Make the thing that ``mount`` will cover; returns its inode."""
    _parents(work, f"{mount.relpath}/x" if mount.is_folder else mount.relpath)
    if not mount.is_folder:
        os.close(os.open(mount.relpath, _CREATE, 0o600, dir_fd=work))
    return os.stat(mount.relpath, dir_fd=work, follow_symlinks=False).st_ino


def _read(readable: Readable) -> Iterator[bytes]:
    offset = 0
    while offset < readable.size:
        chunk = readable.pread(offset, _CHUNK)
        if not chunk:
            raise VerifyError("an input ended early", rule="room.input-changed")
        offset += len(chunk)
        yield chunk


def _small(file: CodeFile) -> bytes:
    return b"".join(_chunks(file))


def _chunks(file: CodeFile) -> Iterator[bytes]:
    content = file.content
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, Path):
        yield from _from_path(content)
    else:
        yield from _read(content)


def _from_path(path: Path) -> Iterator[bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Refused(
                f"{path} is no regular file",
                why="a socket, pipe or device in the project would be a way out of the room",
                hint=f"add it to .gitignore, or remove it: rm {path}",
                rule="room.special-file",
            )
        while chunk := stream.read(_CHUNK):
            yield chunk
