"""What is visible inside a room, and where: pure planning, no system call but looking.

The room's root is empty; everything in it is bound on purpose. Project, HOME, /tmp and
/dev/shm are the room's own memory; the rest is read-only.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from sealwright.core.errors import BadInput, Refused

HOME = "/home/room"
HOSTNAME = "room"
SOCKETS = "/run/seal"
_SOCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_WHOLE_FOLDER_FROM = 64
_MOUNTS_AT_MOST = 1024

_ETC = (
    "alternatives",  # Debian's links, /usr/lib's BLAS among them
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "timezone",
)
_SYS = ("/sys/devices/system/cpu", "/sys/devices/system/node")
_GPU = ("nvidia", "dri", "kfd")
_GPU_SYS = ("/sys/bus/pci", "/sys/class/drm", "/sys/class/kfd", "/sys/devices", "/sys/dev/char")
_TELLTALE = ("keys", "key-users")  # the names of every key this user holds
_TAKEN = ("/proc", "/dev", "/sys")


class InputMount(msgspec.Struct, frozen=True):
    """A file, or a whole folder, of the inputs tree that goes over the project copy."""

    relpath: str
    is_folder: bool


def plan_inputs(paths: Iterable[str]) -> tuple[InputMount, ...]:
    """Which inputs are mounted one by one, and which as whole read-only folders.

    A folder with more than 64 things of the inputs in it is mounted whole, as deep down as
    possible; never the project's root. Bounded by about a thousand mounts.
    """
    tree: dict[str, object] = {}
    for path in paths:
        here = tree
        *parents, last = path.split("/")
        for name in parents:
            below = here.setdefault(name, {})
            if not isinstance(below, dict):
                raise BadInput(f"two inputs disagree: {name!r} is a file and a folder")
            here = below
        if isinstance(here.get(last), dict):
            raise BadInput(f"two inputs disagree: {last!r} is a file and a folder")
        here[last] = None
    for most in (_WHOLE_FOLDER_FROM, 8, 0):
        plan = tuple(_cover(tree, "", most))
        if len(plan) <= _MOUNTS_AT_MOST:
            break
    return plan


def _cover(tree: dict[str, object], prefix: str, most: int) -> Iterator[InputMount]:
    for name, below in tree.items():
        path = f"{prefix}{name}"
        if not isinstance(below, dict):
            yield InputMount(path, False)
        elif len(below) > most:
            yield InputMount(path, True)
        else:
            yield from _cover(below, f"{path}/", most)


def check_project(project: Path) -> None:
    """Raises: BadInput (not absolute, the root, or under /proc, /dev, /sys)."""
    text = str(project)
    if not project.is_absolute() or text == "/" or text.startswith(tuple(f"{t}/" for t in _TAKEN)):
        raise BadInput(f"a room cannot have its project at {text}")


def check_read_only(trees: Sequence[Path], secrets: Sequence[Path]) -> None:
    """No tree that is bound may hold one of ``secrets`` or a listening Unix socket.

    A read-only mount does not stop a program from connecting to a socket in it. Sockets are
    looked up in /proc/net/unix. Raises: Refused.
    """
    bound = sorted({os.path.realpath(tree) for tree in trees} | {str(tree) for tree in trees})
    for tree in bound:
        for secret in secrets:
            if _is_within(str(secret), tree):
                raise Refused(
                    f"{tree} would be visible in the room, and {secret} lies in it",
                    why="the script must not see keys, the ledger or your home folder",
                    hint="install the package that lives there from a folder of its own",
                    rule="room.bind-too-wide",
                )
    for socket in _listening_sockets():
        for tree in bound:
            if _is_within(socket, tree):
                raise Refused(
                    f"{tree} would be visible in the room, and has a socket: {socket}",
                    why="a read-only mount does not stop a program from talking through it",
                    hint="stop the service that listens there, or move its socket",
                    rule="room.socket-in-bind",
                )


def socket_binds(sockets: Mapping[str, Path]) -> list[Bind]:
    """The host's sockets that the room may see, and nothing beside them.

    Raises: BadInput (a name that is no plain file name, a path that is no Unix socket).
    """
    binds: list[Bind] = []
    for name, path in sorted(sockets.items()):
        if not _SOCKET_NAME.fullmatch(name):
            raise BadInput(f"a room's socket cannot be called {name!r}")
        if not path.is_absolute() or not stat.S_ISSOCK(path.lstat().st_mode):
            raise BadInput(f"{path} is no Unix socket", why="only sockets may be shown in a room")
        binds.append(("--ro-bind", str(path), f"{SOCKETS}/{name}"))
    return binds


def _listening_sockets() -> Iterator[str]:
    try:
        lines = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7].startswith("/"):
            yield fields[7]


def _is_within(path: str, tree: str) -> bool:
    return path == tree or path.startswith(tree.rstrip("/") + "/")


Bind = tuple[str, str, str]
"""bubblewrap's option, the path outside, the path inside."""


def arguments(
    root: str,
    project: Path,
    read_only: Sequence[Path],
    extra: Sequence[Bind],
    *,
    disable_userns: bool,
) -> list[str]:
    """bubblewrap's arguments up to the command; ``root`` is the room's tmpfs outside.

    ``root`` holds ``work`` (with the inputs already mounted over it), ``etc`` and the
    writable folders ``home``, ``tmp``, ``shm``. ``extra`` are devices and sockets.
    """
    args = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    args += ["--cap-drop", "ALL", "--clearenv", "--hostname", HOSTNAME]
    if disable_userns:
        args.append("--disable-userns")
    args += ["--proc", "/proc", "--dev", "/dev"]
    binds: list[Bind] = [("--ro-bind", source, target) for source, target in _system()]
    binds += [("--ro-bind-try", path, path) for path in _SYS]
    binds += _proc_covers()
    binds += [
        ("--bind", f"{root}/scratch/shm", "/dev/shm"),  # noqa: S108
        ("--bind", f"{root}/scratch/tmp", "/tmp"),  # noqa: S108
        ("--bind", f"{root}/scratch/tmp", "/var/tmp"),  # noqa: S108
        ("--bind", f"{root}/scratch/home", HOME),
    ]
    real = os.path.realpath(project)
    for tree in read_only:
        for target in dict.fromkeys((os.path.realpath(tree), str(tree))):
            if not _is_within(target, "/usr") and target not in (str(project), real):
                binds.append(("--ro-bind", target, target))
    binds += extra
    for place in dict.fromkeys((real, str(project))):
        binds.append(("--bind", f"{root}/work", place))
    # parents first: a mount hides what was below it
    for option, source, target in sorted(binds, key=lambda bind: bind[2].count("/")):
        args += [option, source, target]
    args += _links()
    args += ["--ro-bind", f"{root}/etc/passwd", "/etc/passwd"]
    args += ["--ro-bind", f"{root}/etc/group", "/etc/group"]
    args += ["--ro-bind", f"{root}/etc/hosts", "/etc/hosts"]
    args += ["--ro-bind", f"{root}/etc/nsswitch.conf", "/etc/nsswitch.conf"]
    args += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(project)]
    return args


def _proc_covers() -> list[Bind]:
    """The switches of the whole machine in /proc, read-only; what only root may read, empty.

    A user namespace does not guard them from a room that was started by root: the files'
    owner is still its own uid, capabilities or not.
    """
    binds: list[Bind] = []
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() or entry.is_symlink():
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            if entry.is_dir() or mode & 0o222:
                binds.append(("--ro-bind", entry.path, entry.path))
            elif not mode & 0o044 or entry.name in _TELLTALE:
                binds.append(("--ro-bind", os.devnull, entry.path))
    return binds


def _system() -> Iterator[tuple[str, str]]:
    yield "/usr", "/usr"
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/") / name
        if path.is_dir() and not path.is_symlink():
            yield str(path), str(path)
    for name in _ETC:
        path = Path("/etc") / name
        if path.exists():
            yield os.path.realpath(path), str(path)
    for path in Path("/etc").glob("python3*"):
        yield str(path), str(path)
    if Path("/nix/store").is_dir():
        yield "/nix/store", "/nix/store"


def _links() -> list[str]:
    args = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/") / name
        if path.is_symlink():
            args += ["--symlink", str(path.readlink()), str(path)]
    return args


def system_links() -> Iterator[tuple[str, str]]:
    """Where /bin and the like are links: target and link."""
    words = _links()
    return zip(words[1::3], words[2::3], strict=True)


def gpu_binds() -> list[Bind]:
    """The accelerators' devices, if any, and the parts of /sys that find them."""
    devices = [
        str(path)
        for path in sorted(Path("/dev").iterdir())
        if path.name.startswith(_GPU) and not path.is_symlink()
    ]
    if not devices:
        return []
    binds = [("--dev-bind", path, path) for path in devices]
    return binds + [("--ro-bind-try", path, path) for path in _GPU_SYS]


def small_files(uid: int, gid: int) -> dict[str, bytes]:
    """The room's own /etc: one user, one group, one host, no name service."""
    return {
        "passwd": f"room:x:{uid}:{gid}:room:{HOME}:/bin/sh\n".encode(),
        "group": f"room:x:{gid}:\n".encode(),
        "hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost {HOSTNAME}\n".encode(),
        "nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
    }
