"""What a killed run may leave behind, and how the next one knows that it is dead.

Every folder and cgroup of a run carries a tag, ``PID-START-TOKEN``: the process that made it
and when that process started (clock ticks since boot), so that a recycled pid is no alibi.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from sealwright.core.errors import Refused

_PREFIX = "room-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def tag() -> str:
    """A fresh tag of this process."""
    return f"{os.getpid()}-{_started(os.getpid())}-{secrets.token_hex(4)}"


def is_alive(tag: str) -> bool:
    """Does the process that made ``tag`` still run? Anything that is no tag is left alone."""
    pid, _, rest = tag.partition("-")
    started = rest.partition("-")[0]
    if not (pid.isdecimal() and started.isdecimal()):
        return True
    return _started(int(pid)) == int(started)


def make_folder(scratch: Path) -> Path:
    """A new 0700 folder for one run in ``scratch``, after removing those of dead runs.

    Raises: Refused (``scratch`` can be read by others).
    """
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = scratch.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise Refused(
            f"{scratch} is open to others",
            why="decrypted inputs may have to lie there during a run",
            hint=f"chmod 700 {scratch}",
            rule="room.scratch-open",
        )
    sweep(scratch)
    folder = scratch / (_PREFIX + tag())
    folder.mkdir(mode=0o700)
    return folder


def sweep(scratch: Path) -> int:
    """Remove the folders that dead runs left in ``scratch``; returns how many."""
    if not scratch.is_dir():
        return 0
    dead = [
        entry
        for entry in scratch.iterdir()
        if entry.name.startswith(_PREFIX) and not is_alive(entry.name.removeprefix(_PREFIX))
    ]
    for folder in dead:
        remove(folder)
    return len(dead)


def remove(folder: Path) -> None:
    """Delete ``folder`` whatever a script made of it: nested too deeply to name, or locked.

    Folders are moved to the top before they are emptied, so no path grows; links are removed,
    never followed. Raises: OSError.
    """
    top = os.open(folder, _FOLDER)
    try:
        while names := _names(top):
            for name in names:
                if _is_folder(name, top):
                    _empty(name, top)
                    os.rmdir(name, dir_fd=top)
                else:
                    os.unlink(name, dir_fd=top)
    finally:
        os.close(top)
    folder.rmdir()


def _empty(name: str, top: int) -> None:
    here = os.open(name, _FOLDER, dir_fd=top)
    try:
        for below in _names(here):
            if _is_folder(below, here):
                os.rename(below, secrets.token_hex(16), src_dir_fd=here, dst_dir_fd=top)
            else:
                os.unlink(below, dir_fd=here)
    finally:
        os.close(here)


def _names(fd: int) -> list[str]:
    with os.scandir(fd) as entries:
        return [entry.name for entry in entries]


def _is_folder(name: str, parent: int) -> bool:
    """If so, it can be read and changed afterwards."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        return False
    os.chmod(name, 0o700, dir_fd=parent)
    return True


def _started(pid: int) -> int:
    """When ``pid`` started, in clock ticks since boot (man 5 proc, field 22); 0 if it is gone."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        # no procfs (macOS): only whether the process exists can be told
        return 0 if Path("/proc/self").exists() or not _exists(pid) else 1
    return int(line.rpartition(")")[2].split()[19])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
