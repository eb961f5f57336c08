"""A model's files: found without following links, hashed in parallel, never opened as a model."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import msgspec

from sealwright.core.digest import Digest, tree_order
from sealwright.core.errors import BadInput

LEFT_OUT = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
"""Top-level names that OpenSSF model signing never covers, so a model does not contain them."""

MAX_FILES = 100_000
MAX_DEPTH = 64
"""How many directories deep a file may lie."""
CHUNK_BYTES = 1 << 19
"""Read size: small enough to stay in a core's cache between the read and the hash."""


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model: its POSIX path inside the model, its size and SHA-256."""

    path: str
    size: int
    sha256: Digest


def paths_of(source: Path) -> list[tuple[str, Path]]:
    """The files of a model at ``source`` (a directory, or one file), in ``tree_order``.

    Raises: BadInput for no files, a link, a special file, or a name that cannot be signed.
    """
    mode = source.lstat().st_mode
    if stat.S_ISREG(mode):
        return [(checked_name(source.name), source)]
    if not stat.S_ISDIR(mode):
        raise BadInput(f"{source} is no file and no directory", why="a model is made of files")
    found = [(name, source / name) for name in _walk(source, "")]
    if not found:
        raise BadInput(f"{source} holds no files", why="a model has at least one")
    if len(found) > MAX_FILES:
        raise BadInput(f"{source} holds {len(found):,} files", why=f"the limit is {MAX_FILES:,}")
    return sorted(found, key=lambda file: tree_order(file[0]))


def open_plain(path: Path) -> BinaryIO:
    """Open a regular file for reading, following no link. Raises: BadInput, OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise BadInput(f"{path} is a link", why="a model's files are plain files") from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BadInput(f"{path} is not a plain file", why="a model's files are plain files")
    return open(fd, "rb", buffering=0)


def hash_files(files: Sequence[tuple[str, Path]], workers: int = 0) -> list[ModelFile]:
    """Each file's size and SHA-256, in the order given; ``workers`` 0 is one for each core.

    hashlib releases the interpreter's lock, so threads are enough.
    """
    count = min(workers or os.cpu_count() or 1, len(files)) or 1
    if count == 1:
        return [hash_file(name, path) for name, path in files]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda file: hash_file(*file), files))


def hash_file(name: str, path: Path) -> ModelFile:
    """One file's size and SHA-256, as they were while it was read."""
    with open_plain(path) as stream:
        size, sha256 = hash_stream(stream)
    return ModelFile(name, size, sha256)


def hash_stream(stream: BinaryIO) -> tuple[int, Digest]:
    """The length and SHA-256 of what is left to read."""
    state, size = hashlib.sha256(), 0
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    while count := stream.readinto(buffer):  # type: ignore[attr-defined]
        state.update(view[:count])
        size += count
    return size, state.hexdigest()


def checked_name(name: str) -> str:
    """Return ``name`` if it is a safe relative POSIX path, spelt one way. Raises: BadInput."""
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and len(name.encode(errors="replace")) <= 1024
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        plain = False
    if not plain or len(parts) > MAX_DEPTH or any(part in ("", ".", "..") for part in parts):
        raise BadInput(
            f"{name[:200]!r} cannot be a file of a model",
            why="a relative path of printable UTF-8 without '.', '..' or backslash wanted,"
            f" at most {MAX_DEPTH} deep",
        )
    return name


def _walk(root: Path, prefix: str) -> Iterator[str]:
    with os.scandir(root / prefix) as found:
        for item in found:
            name = f"{prefix}{item.name}"
            if name in LEFT_OUT:
                continue
            if item.is_symlink():
                raise BadInput(
                    f"{root / name} is a link",
                    why="a link's target can change after signing",
                    hint="copy the file to where the link is",
                )
            if item.is_dir(follow_symlinks=False):
                checked_name(name)
                yield from _walk(root, f"{name}/")
            elif item.is_file(follow_symlinks=False):
                yield checked_name(name)
            else:
                raise BadInput(f"{root / name} is not a plain file", why="a model is made of files")
