"""What the room needs of this machine, whether it is there, and the line that mends it.

A room never starts with less: a missing required primitive refuses the run.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from sealwright.core.errors import Refused
from sealwright.train import keeper, landlock, limits, seccomp
from sealwright.train.spec import MIB, Limits

RULE = "room.missing-primitive"
OLDEST = (0, 5)
SMALL = Limits(memory_bytes=64 * MIB, processes=16)
DISABLES_USERNS_FROM = (0, 8)
_INSTALL = (
    ("apt-get", "sudo apt-get install bubblewrap"),
    ("dnf", "sudo dnf install bubblewrap"),
    ("zypper", "sudo zypper install bubblewrap"),
    ("pacman", "sudo pacman -S bubblewrap"),
    ("apk", "sudo apk add bubblewrap"),
)
_SWITCHES = (  # file, the value that forbids, the line that allows
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "sudo sysctl -w user.max_user_namespaces=15000",
    ),
)
_STRICT_STEPS = {  # a step of the keeper that only strict insists on, and what mends it
    "world": "start it as a plain user, or pass --isolation standard",
    "uid-drop": "start it as a plain user, or pass --isolation standard",
    "session-keyring": "allow keyctl(2), or pass --isolation standard",
}
_IN_CONTAINER = (
    "in a container, start it with --cap-add SYS_ADMIN --security-opt seccomp=unconfined"
    " --security-opt apparmor=unconfined; or pass --isolation none, and let policy decide"
)


class Primitive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing a room is made of. ``mend`` is empty when it is ``present``."""

    name: str
    present: bool
    required: bool
    detail: str
    mend: str = ""


class Bubblewrap(msgspec.Struct, frozen=True):
    """The sandbox program and its version."""

    path: str
    version: tuple[int, ...]

    @property
    def text(self) -> str:
        """``0.8.0``."""
        return ".".join(map(str, self.version))


def survey() -> list[Primitive]:
    """Try every primitive for real. For ``seal doctor``; starts a few short processes."""
    if sys.platform != "linux":
        return [_not_linux()]
    found = [_bubblewrap_primitive(), _filter_primitive()]
    if found[0].present:
        found.append(_namespaces_primitive())
    found += [_memory_primitive(), _cgroup_primitive()]
    if found[0].present and found[1].present:
        found += [msgspec.structs.replace(one, required=False) for one in for_strict(bubblewrap())]
    return found


def bubblewrap() -> Bubblewrap:
    """The program. Raises: Refused (`room.missing-primitive`)."""
    if sys.platform != "linux":
        raise refused(_not_linux())
    primitive = _bubblewrap_primitive()
    if not primitive.present:
        raise refused(primitive)
    if not seccomp.supported():
        raise refused(_filter_primitive())
    path = shutil.which("bwrap") or ""
    return Bubblewrap(path, _version(path, Path(path).stat().st_mtime_ns))


def for_strict(program: Bubblewrap) -> list[Primitive]:
    """What a strict room needs beside what every room needs; quick enough for every start."""
    nested = program.version >= DISABLES_USERNS_FROM
    found = [
        Primitive(
            "no-nested-namespaces",
            nested,
            True,
            f"bwrap {program.text} {'forbids' if nested else 'cannot forbid'} user namespaces",
            "" if nested else "install bubblewrap 0.8 or later",
        ),
        _landlock_primitive(),
    ]
    return found


def _landlock_primitive() -> Primitive:
    version = landlock.abi()
    if version < landlock.OLDEST:
        detail = f"Landlock ABI {version}; {landlock.OLDEST} or later is needed"
        mend = "use Linux 6.2 or later, booted with landlock in its lsm= list"
        return Primitive("landlock", False, True, detail, mend)
    return Primitive("landlock", True, True, f"Landlock ABI {version}")


def refusal(failed: keeper.Failed) -> Refused:
    """What to tell when the keeper could not do its part."""
    detail = f"{failed.step or 'start'}: {failed.strerror}"
    name = failed.step if failed.step in _STRICT_STEPS else "private-memory"
    mend = _STRICT_STEPS.get(failed.step) or _mend_namespaces()
    return refused(Primitive(name, False, True, detail, mend))


def setup_refusal(message: str) -> Refused:
    """What to tell when bubblewrap itself gave up before the command started."""
    return refused(Primitive("namespaces", False, True, message, _mend_namespaces()))


def refused(primitive: Primitive) -> Refused:
    """The refusal of a run for want of ``primitive``."""
    return Refused(
        f"this machine cannot make a sealed room: {primitive.name} is missing",
        why=primitive.detail,
        hint=primitive.mend,
        rule=RULE,
    )


def _not_linux() -> Primitive:
    return Primitive(
        "linux",
        False,
        True,
        f"the room needs Linux, and this is {platform.system()}; everything else works here",
        "run it on Linux or in a Linux virtual machine, or pass --isolation none",
    )


def _bubblewrap_primitive() -> Primitive:
    path = shutil.which("bwrap")
    mend = next((line for tool, line in _INSTALL if shutil.which(tool)), _INSTALL[0][1])
    if path is None:
        return Primitive("bubblewrap", False, True, "no bwrap on PATH", mend)
    version = _version(path, Path(path).stat().st_mtime_ns)
    detail = f"bwrap {'.'.join(map(str, version))}"
    if version < OLDEST:
        return Primitive("bubblewrap", False, True, f"{detail} is older than 0.5", mend)
    return Primitive("bubblewrap", True, True, detail)


@functools.lru_cache(maxsize=4)
def _version(path: str, mtime_ns: int) -> tuple[int, ...]:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return tuple(int(part) for part in re.findall(r"\d+", done.stdout)[:3])


def _filter_primitive() -> Primitive:
    if not seccomp.supported():
        detail = f"no system-call filter for {platform.machine()}"
        return Primitive("seccomp", False, True, detail, "use an x86-64 or AArch64 machine")
    if "\nSeccomp:" not in Path("/proc/self/status").read_text():
        detail = "this kernel was built without seccomp filters"
        return Primitive("seccomp", False, True, detail, "use a kernel with CONFIG_SECCOMP_FILTER")
    return Primitive("seccomp", True, True, f"filter {seccomp.program_digest()[:16]}…")


def _namespaces_primitive() -> Primitive:
    command = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent"]
    command += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        return Primitive("namespaces", False, True, done.stderr.strip(), _mend_namespaces())
    return Primitive("namespaces", True, True, "user, pid, network, mount, ipc, uts")


def _mend_namespaces() -> str:
    for path, forbids, line in _SWITCHES:
        try:
            if Path(path).read_text().strip() == forbids:
                return line
        except OSError:  # this kernel has no such switch
            continue
    return _IN_CONTAINER


def _memory_primitive() -> Primitive:
    with tempfile.TemporaryDirectory(prefix="sealwright-probe-") as point:
        berth = keeper.Berth(point, MIB, 64, MIB)
        launch = keeper.Launch("/bin/true", ("true",), (), (0, 1, 2), Limits())
        try:
            pid, channel = keeper.start(berth, (), launch, lambda _pid: False)
        except keeper.Failed as failed:
            detail = f"{failed.step}: {failed.strerror}"
            return Primitive("private-memory", False, True, detail, _mend_namespaces())
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        channel.close()
    return Primitive("private-memory", True, True, "a tmpfs in a mount namespace of its own")


def _cgroup_primitive() -> Primitive:
    group = limits.make_cgroup(SMALL)
    if group is None:
        return Primitive(
            "cgroup",
            False,
            False,
            "no writable cgroup: limits hold per process (rlimits), not for the whole room",
            "systemd-run --user --scope -p Delegate=yes seal run …",
        )
    group.remove()
    return Primitive("cgroup", True, False, f"cgroup {group.version}")
