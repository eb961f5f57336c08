"""SHA-256 digests: 64 lowercase hex characters everywhere, never prefixed, never cut."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from sealwright.core.errors import BadInput

Digest = str
"""A SHA-256 digest as 64 lowercase hexadecimal characters."""

CHUNK_BYTES = 1 << 20
_HEX64 = re.compile(r"[0-9a-f]{64}")


def of_bytes(data: bytes | bytearray | memoryview) -> Digest:
    """The SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def of_stream(stream: BinaryIO) -> Digest:
    """The SHA-256 of what is left to read in ``stream``."""
    state = hashlib.sha256()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    while count := stream.readinto(buffer):  # type: ignore[attr-defined]
        state.update(view[:count])
    return state.hexdigest()


def of_file(path: Path | str) -> Digest:
    """The SHA-256 of a regular file's content; a symbolic link is not followed.

    Raises: OSError (ELOOP for a link).
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as stream:
        return of_stream(stream)


def tree_order(path: str) -> tuple[str, ...]:
    """The sort key of a model's files: path component by path component."""
    return tuple(path.split("/"))


def of_tree(files: Iterable[tuple[str, Digest]]) -> Digest:
    """The digest of a model: SHA-256 over its files' raw SHA-256 digests, in ``tree_order``.

    ``files`` are (relative POSIX path, SHA-256) pairs in any order. It is the subject digest of
    an OpenSSF model signature (https://model_signing/signature/v1.0), so it names the bytes of
    the files in order, and not their names; those are in the signature and in the manifest.
    """
    state = hashlib.sha256()
    for _, digest in sorted(files, key=lambda file: tree_order(file[0])):
        state.update(bytes.fromhex(digest))
    return state.hexdigest()


def check(text: str) -> Digest:
    """Return ``text`` if it is a digest. Raises: BadInput."""
    if not _HEX64.fullmatch(text):
        raise BadInput(f"not a SHA-256 digest: {text!r}", why="64 lowercase hex characters wanted")
    return text
