"""What ``strict`` adds to a room: everything this machine offers, or a refusal that says what
is missing. Standard rooms do not come here."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from sealwright.train import landlock, mounts, primitives, threshold, trees, world
from sealwright.train.pipes import memory_file
from sealwright.train.spec import RoomSpec

INSIDE = 1000
"""uid and gid inside, whoever they are outside."""
PROGRAM = "/run/threshold"
_MEMORY = "trees.json"
_RUN = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix/store")
_OWN = ("/tmp", "/var/tmp", "/dev/shm", mounts.HOME)  # noqa: S108


def check(spec: RoomSpec, program: primitives.Bubblewrap) -> None:
    """Raises: Refused (``room.missing-primitive``, ``room.socket-in-bind``)."""
    for primitive in primitives.for_strict(program):
        if not primitive.present:
            raise primitives.refused(primitive)
    trees.refuse_special(spec.read_only, spec.scratch / _MEMORY)


def rules(spec: RoomSpec) -> tuple[tuple[str, int], ...]:
    """Landlock's allow-list: folders inside the room, and what may be done below them."""
    own = dict.fromkeys(_OWN, landlock.OWN)
    read = {"/": landlock.READ_DIR, "/proc": landlock.READ, "/sys": landlock.READ}
    run = dict.fromkeys(_RUN, landlock.RUN)
    for tree in spec.read_only:
        allowed = landlock.RUN_FILE if tree.is_file() else landlock.RUN  # a folder's right: EINVAL
        run |= {str(tree): allowed, os.path.realpath(tree): allowed}
    places = (str(spec.project), os.path.realpath(spec.project))
    project = dict.fromkeys(places, landlock.PROJECT)
    return tuple({**read, "/dev": landlock.DEVICES, **run, **own, **project}.items())


def arguments(spec: RoomSpec, env: Mapping[str, str], stack: ExitStack) -> tuple[list[str], int]:
    """bubblewrap's further options, and the descriptor that holds the threshold."""
    machine = platform.machine()
    steps = landlock.steps(machine, landlock.abi(), rules(spec))
    inside = {**env, "PWD": str(spec.project)}
    fd = memory_file(stack, threshold.program(machine, steps, spec.argv, inside))
    ids = ["--uid", str(INSIDE), "--gid", str(INSIDE)]
    return [*ids, "--perms", "0555", "--ro-bind-data", str(fd), PROGRAM], fd


def drop(args: Sequence[str], program: str, sockets: Mapping[str, Path]) -> world.Drop | None:
    """Whom root becomes; None for a plain user, who runs the room as they are.

    The sockets that the room was given become that user's, so that it may connect.
    """
    if os.getuid() != 0:
        return None
    try:
        uid = world.choose_uid()
    except OSError as error:
        raise primitives.refused(
            primitives.Primitive("uid-drop", False, True, str(error), "start it as a plain user")
        ) from error
    for path in sockets.values():
        os.chown(path, uid, uid, follow_symlinks=False)
    seen = world.sources([*args, "--ro-bind", os.path.realpath(program)])
    return world.Drop(uid, seen, tuple(mounts.system_links()))


def hand_over(root: int, uid: int) -> None:
    """Give the room's own memory to ``uid``. ``root`` is its directory descriptor."""
    os.fchmod(root, 0o711)
    os.chmod("etc", 0o755, dir_fd=root)  # noqa: S103  (four public files)
    for name in ("work", "scratch"):
        for _, folders, files, fd in os.fwalk(name, dir_fd=root, follow_symlinks=False):
            os.fchown(fd, uid, uid)
            for entry in (*folders, *files):
                os.chown(entry, uid, uid, dir_fd=fd, follow_symlinks=False)
