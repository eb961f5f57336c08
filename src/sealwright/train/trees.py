"""No socket, pipe or device may lie in a tree that a strict room sees.

A read-only mount does not stop a program from talking through one. A tree is looked through
when it is new, when one of its upper folders changed (as installing a package does), and once
an hour. In between a service that starts to listen deep down is still found, in
/proc/net/unix, and a pipe is held by Landlock. The system's own trees (/usr and the like) are
left to these two: only root can put something there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from sealwright.core.errors import Refused

_SYSTEM = ("/usr/", "/nix/store/")
_UPPER = 3  # down to lib/python3.x/site-packages of an environment
_AGAIN_AFTER_S = 3600


class _Seen(msgspec.Struct):
    """One tree: when it was looked through, and its upper folders' times of change then."""

    at_s: int
    upper: dict[str, int]


def refuse_special(trees: Iterable[Path], memory: Path) -> None:
    """Raises: Refused (``room.socket-in-bind``) naming the first thing that is no file, folder
    or link. ``memory`` is a file of the caller's own."""
    known = _load(memory)
    now = int(time.time())
    fresh = dict(known)
    for tree in sorted({os.path.realpath(tree) for tree in trees}):
        if not Path(tree).is_dir() or f"{tree}/".startswith(_SYSTEM):
            continue
        seen = known.get(tree)
        if seen and 0 <= now - seen.at_s < _AGAIN_AFTER_S and _is_as_it_was(seen):
            continue
        fresh[tree] = _Seen(now, dict(_look_through(tree)))
    if fresh != known:
        partial = memory.with_suffix(f".{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(fresh))
        partial.replace(memory)


def _load(memory: Path) -> dict[str, _Seen]:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=dict[str, _Seen])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _is_as_it_was(seen: _Seen) -> bool:
    try:
        return all(_changed(folder) == at for folder, at in seen.upper.items())
    except OSError:  # one is gone
        return False


def _changed(folder: str) -> int:
    return os.stat(folder).st_mtime_ns  # noqa: PTH116  (hundreds)


def _look_through(tree: str) -> Iterator[tuple[str, int]]:
    """The upper folders with their times of change, from before they were looked into."""
    waiting = [(tree, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            if depth <= _UPPER:
                yield folder, _changed(folder)
            waiting += ((f"{folder}/{name}", depth + 1) for name in _folders(folder))
        except (FileNotFoundError, PermissionError):  # gone, or not the room's to read either
            continue


def _folders(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.name
            elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                raise Refused(
                    f"{folder} would be visible in the room, and has a socket, pipe or device:"
                    f" {entry.name}",
                    why="a read-only mount does not stop a program from talking through it",
                    hint=f"rm {entry.path}, or stop the service it belongs to",
                    rule="room.socket-in-bind",
                )
