"""What bubblewrap itself may see when root starts a strict room: its sources, and no more.

The room then runs under a uid that owns nothing on this machine, which may not walk into the
folders of root that the room's trees lie in. So the keeper, still root, binds just the sources
into an empty root of its own, leaves the old one for good, and only then changes its uid.
"""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sealwright.train import kernel

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_DETACH = 2
_FIRST, _LAST = 0x70000000, 0x7FFFFFF0  # above every range that systemd's UIDS-GIDS.md gives out
_DYNAMIC = 61184, 65519  # systemd's range for services, where a container maps 65,536 uids only
_BINDS = {"--ro-bind", "--bind", "--dev-bind", "--ro-bind-try"}


class Drop(msgspec.Struct, frozen=True):
    """Whom root becomes before bubblewrap starts, and what of the machine goes along."""

    uid: int
    sources: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


def choose_uid() -> int:
    """A uid that owns nothing here: new for each run, so no two rooms share one.

    Raises: OSError (this user namespace maps none).
    """
    ranges = [tuple(map(int, line.split())) for line in _uid_map()]
    for first, last in ((_FIRST, _LAST), _DYNAMIC):
        if any(start <= first and last < start + count for start, _, count in ranges):
            return first + secrets.randbelow(last - first)
    raise OSError("this container maps no uid that a room could run under")


def _uid_map() -> list[str]:
    return Path("/proc/self/uid_map").read_text().splitlines()


def sources(arguments: Sequence[str]) -> tuple[str, ...]:
    """The paths outside that bubblewrap's ``arguments`` bind, parents first, each once."""
    found = [arguments[at + 1] for at, word in enumerate(arguments) if word in _BINDS]
    kept: list[str] = ["/dev", "/proc"]
    for path in sorted(set(found), key=lambda path: path.count("/")):
        if not any(path.startswith(f"{top}/") for top in kept):
            kept.append(path)
    return tuple(kept)


def enter(top: str, drop: Drop) -> None:
    """Make the folder ``top`` the root, with ``drop.sources`` in it. As root, in a mount
    namespace of one's own. Raises: OSError."""
    os.umask(0o022)
    kernel.mount("world", top, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755,size=1m")
    for name in ("tmp", "old"):
        Path(top, name).mkdir()
    for source in drop.sources:
        if Path(source).exists():  # what a room has to have, bubblewrap itself will miss
            _bind(source, top + source)
    for target, link in drop.links:
        Path(top + link).symlink_to(target)
    os.chdir(top)
    number = _PIVOT_ROOT[os.uname().machine]
    if kernel.libc().syscall(ctypes.c_long(number), b".", b"old") < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "pivot_root")
    os.chdir("/")
    kernel.unmount("/old", _DETACH)


def _bind(source: str, target: str) -> None:
    point = Path(target)
    if Path(source).is_dir():
        point.mkdir(0o755, parents=True, exist_ok=True)
    else:
        point.parent.mkdir(0o755, parents=True, exist_ok=True)
        point.touch(0o600)
    kernel.mount(source, target, "", kernel.MS_BIND | kernel.MS_REC)


def become(uid: int) -> None:
    """Give root up for good. Raises: OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
