"""No socket, pipe or device may lie in a tree that a strict room sees.

A read-only mount does not stop a program from talking through one. Every folder is looked
through once and remembered with its time of change; later starts look only at what changed.
The system's own trees (/usr and the like) are left out: only root can put something there, and
sockets that live there are found in /proc/net/unix.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from sealwright.core.errors import Refused

_SYSTEM = ("/usr/", "/nix/store/")
_Known = dict[str, tuple[int, list[str]]]
"""Folder -> its time of change in ns, and the folders in it."""


def refuse_special(trees: Iterable[Path], memory: Path) -> None:
    """Raises: Refused (``room.socket-in-bind``) naming the first thing that is no file, folder
    or link. ``memory`` is a file of the caller's own."""
    known = _load(memory)
    fresh: _Known = {}
    for tree in sorted({os.path.realpath(tree) for tree in trees}):
        if Path(tree).is_dir() and not f"{tree}/".startswith(_SYSTEM):
            _look_through(tree, known, fresh)
    if fresh != known:
        partial = memory.with_suffix(f".{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(fresh))
        partial.replace(memory)


def _load(memory: Path) -> _Known:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=_Known)
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _look_through(tree: str, known: _Known, fresh: _Known) -> None:
    waiting = [tree]
    while waiting:
        folder = waiting.pop()
        try:
            changed = os.stat(folder).st_mtime_ns  # noqa: PTH116  (thousands)
        except OSError:  # gone meanwhile, or not ours to read: then not the room's either
            continue
        before = known.get(folder)
        names = before[1] if before and before[0] == changed else list(_folders(folder))
        fresh[folder] = (changed, names)
        waiting += (f"{folder}/{name}" for name in names)


def _folders(folder: str) -> Iterator[str]:
    try:
        entries = os.scandir(folder)
    except PermissionError:
        return
    with entries:
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
