"""What is about to be written over segments' wrapped keys, so that half a write can be mended.

A wrapped key is replaced in place: 61 bytes in the header, at most two disk sectors. A kill
leaves the old bytes or the new; a power cut may leave some of both, and then the journal
``tmp/rewrap-SCOPE`` still holds the whole. It is durable before the first byte is written.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from sealwright.core.errors import VerifyError
from sealwright.vault import private

_PREFIX = "rewrap-"


class Step(msgspec.Struct, frozen=True, array_like=True):
    """Put ``wrapped`` at byte ``at`` of a segment's file, which stays as long as it is."""

    segment: str
    at: int
    wrapped: bytes


def write(tmp: Path, scope: str, steps: list[Step]) -> None:
    """Make the steps durable before :func:`apply`. Raises: Unavailable (disk full)."""
    private.replace(tmp / f"{_PREFIX}{scope}", msgspec.msgpack.encode(steps))


def read(tmp: Path, scope: str) -> list[Step]:
    """The steps that may be half done; none where there is no journal. Raises: VerifyError."""
    try:
        data = private.read(tmp / f"{_PREFIX}{scope}")
    except FileNotFoundError:
        return []
    try:
        return msgspec.msgpack.decode(data, type=list[Step])
    except msgspec.DecodeError as error:
        raise VerifyError(
            "the journal of a key rotation was changed",
            where=f"{tmp.name}/{_PREFIX}{scope}",
            why=str(error),
            rule="store.journal-changed",
        ) from error


def clear(tmp: Path, scope: str) -> None:
    """All steps are done and durable."""
    private.remove(tmp / f"{_PREFIX}{scope}")


def apply(path: Path, step: Step) -> None:
    """Write one wrapped key, durably. Doing it twice is harmless."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(fd, step.wrapped, step.at)
        os.fdatasync(fd)
    finally:
        os.close(fd)


def replay(path: Path, tmp: Path) -> bool:
    """Mend the segment at ``path`` from the journal; False where that does not name it."""
    scope, segment = path.parent.parent.name, path.stem
    step = next((each for each in read(tmp, scope) if each.segment == segment), None)
    if step is None:
        return False
    apply(path, step)
    return True
