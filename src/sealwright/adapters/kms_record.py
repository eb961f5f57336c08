"""What a key service did, in a file it only appends to; each line holds the hash of the last.

Written before the answer leaves, so that no secret goes out unrecorded. A line that a power
cut left half is set aside when the service starts; any other change breaks the chain.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sealwright.core.errors import Unavailable, VerifyError

NAME = "uses.log"
_START = "0" * 64


class Use(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One operation. ``peer`` was checked (a uid, or a certificate's name); ``principal``,
    ``purpose`` and ``artifact`` are what the client said. ``outcome`` is ``done`` or a rule."""

    number: int
    time: str
    operation: str
    key: str
    context: str
    peer: str
    principal: str
    purpose: str
    artifact: str
    outcome: str
    previous: str


class UseRecord:
    """Appends uses. Safe for threads; one process at a time."""

    def __init__(self, home: Path) -> None:
        """Raises: VerifyError (the chain is broken), Unavailable."""
        self._path = home / NAME
        self._lock = threading.Lock()
        _mend(self._path)
        self._number, self._last = 0, _START
        for use, digest in chained(self._path):
            self._number, self._last = use.number, digest
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)

    def append(self, use: Use) -> None:
        """Number, chain and write one use. Raises: Unavailable (disk full)."""
        with self._lock:
            number = self._number + 1
            whole = msgspec.structs.replace(use, number=number, previous=self._last)
            line = msgspec.json.encode(whole) + b"\n"
            try:
                written = os.write(self._fd, line)
            except OSError as error:
                raise Unavailable(
                    "the key service cannot write down what it does, so it does nothing",
                    why=error.strerror or str(error),
                ) from error
            if written != len(line):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
                raise Unavailable("the key service's disk is full, so it does nothing")
            self._number, self._last = number, hashlib.sha256(line).hexdigest()

    def close(self) -> None:
        """Make it durable and let go."""
        os.fsync(self._fd)
        os.close(self._fd)


def chained(path: Path) -> Iterator[tuple[Use, str]]:
    """Every use and its line's SHA-256, checked. Raises: VerifyError naming the first bad line."""
    if not path.exists():
        return
    last = _START
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                use = msgspec.json.decode(line, type=Use)
            except msgspec.DecodeError as error:
                raise _broken(path, number, str(error)) from error
            if use.number != number or use.previous != last or not line.endswith(b"\n"):
                raise _broken(path, number, "it does not follow the line before")
            last = hashlib.sha256(line).hexdigest()
            yield use, last


def _mend(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        back = min(end, 1 << 16)
        stream.seek(end - back)
        tail = stream.read(back)
        if tail and not tail.endswith(b"\n"):
            cut = tail.rfind(b"\n") + 1
            path.with_suffix(".torn").write_bytes(tail[cut:])
            stream.truncate(end - back + cut)


def _broken(path: Path, number: int, why: str) -> VerifyError:
    return VerifyError(
        "the key service's record of uses was changed",
        where=f"{path.name} line {number}",
        why=why,
        hint="compare it with a copy; move it away to begin a new one",
        rule="keys.record-changed",
    )
