"""What a file's SHA-256 was when it last looked like this: speeds up ``data add``, nothing else.

The cache says only "a file with this stamp had this digest". Rows, root and segments come from
the signed manifest of the version before, so a forged cache can at most claim that a file is
one that was signed already. It is kept with the keys, outside the project.

Git's racy rule: a file changed within the clock's grain of the moment it was read may change
again and keep its stamp, so such an entry is not kept. The grain is 0.1 s, and 2 s on file
systems that store whole seconds.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from sealwright.core.digest import Digest
from sealwright.intake.streams import Stamp

_FINE_NS = 100_000_000
_COARSE_NS = 2_000_000_000
_SECOND_NS = 1_000_000_000


class StatCache:
    """One dataset's cache. Files are known by path below the dataset's base."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._old = _load(path)
        self._new: dict[str, tuple[Stamp, Digest]] = {}

    def digest(self, name: str, stamp: Stamp) -> Digest | None:
        """The file's digest if it looks exactly as when it was read."""
        found = self._old.get(name)
        return found[1] if found is not None and found[0] == tuple(stamp) else None

    def remember(self, name: str, stamp: Stamp, digest: Digest, read_at_ns: int) -> None:
        """Keep a file for next time, unless it was changed too close to ``read_at_ns``."""
        if is_settled(stamp, read_at_ns):
            self._new[name] = (stamp, digest)

    def keep(self, name: str) -> None:
        """Keep an entry that was used."""
        stamp, digest = self._old[name]
        self._new[name] = (Stamp(stamp), digest)

    def save(self) -> None:
        """Write what was remembered; entries that were not are forgotten."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = {name: (tuple(stamp), digest) for name, (stamp, digest) in self._new.items()}
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(msgspec.msgpack.encode(whole))
        draft.replace(self._path)


def is_settled(stamp: Stamp, read_at_ns: int) -> bool:
    """Whether any later change must give the file another stamp."""
    mtime, ctime = stamp[3], stamp[4]
    coarse = mtime % _SECOND_NS == 0 and ctime % _SECOND_NS == 0
    return max(mtime, ctime) + (_COARSE_NS if coarse else _FINE_NS) < read_at_ns


def now_ns() -> int:
    """The clock that file systems stamp with."""
    return time.time_ns()


def _load(path: Path) -> dict[str, tuple[tuple[int, ...], Digest]]:
    try:
        return msgspec.msgpack.decode(
            path.read_bytes(), type=dict[str, tuple[tuple[int, ...], Digest]]
        )
    except (OSError, msgspec.MsgspecError):
        return {}
