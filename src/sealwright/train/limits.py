"""Holding a room to its limits: a cgroup where one may be made, else rlimits.

cgroup v2 wants a writable group whose children may have the memory and pids controllers
(root, or systemd's delegation); v1 wants writable memory and pids hierarchies. What held
is recorded, per limit: nothing here pretends that an rlimit is a cgroup.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from sealwright.train import leftovers
from sealwright.train.spec import Limits

_PREFIX = "sealwright-"
_KINDS = ("memory", "pids")
_OWN_TASKS = 2
_REMOVE_TRIES = 50
_REMOVE_PAUSE_S = 0.01


def available_memory() -> int:
    """Bytes that may still be used here: MemAvailable, or less inside a limited cgroup."""
    return max(0, min(_machine_memory(), _group_memory()))


def _group_memory() -> int:
    """What is left of the memory limits of this process's cgroups."""
    left = sys.maxsize
    own = _own_groups()
    names = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for group, (limit, used) in zip((own.get(""), own.get("memory")), names, strict=True):
        while group is not None and (group / used).is_file():
            most = (group / limit).read_text().strip()
            if most.isdecimal():
                left = min(left, int(most) - int((group / used).read_text()))
            group = group.parent
    return left


def _machine_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resolve(limits: Limits) -> Limits:
    """Give every 0 its value: memory 9/10 of what is free, outputs half of that."""
    memory = limits.memory_bytes or available_memory() * 9 // 10
    return msgspec.structs.replace(
        limits, memory_bytes=memory, output_bytes=limits.output_bytes or memory // 2
    )


class Cgroup:
    """A group of this run's own; ``directories`` by controller (one and the same in v2)."""

    def __init__(self, version: str, directories: dict[str, Path]) -> None:
        self.version = version
        self.directories = directories

    def attach(self, pid: int) -> None:
        """Move ``pid`` in. Raises: OSError."""
        for directory in set(self.directories.values()):
            (directory / "cgroup.procs").write_text(str(pid))

    def oom_kills(self) -> int:
        """How many processes the kernel killed for memory."""
        name = "memory.events" if self.version == "v2" else "memory.oom_control"
        return _field(self.directories["memory"] / name, "oom_kill")

    def denied_forks(self) -> int:
        """How often a new process was refused."""
        return _field(self.directories["pids"] / "pids.events", "max")

    def cpu_ms(self) -> int:
        """CPU time of everything that ever ran inside; 0 when unknown."""
        if self.version == "v2":
            return _field(self.directories["pids"] / "cpu.stat", "usage_usec") // 1000
        if "cpuacct" not in self.directories:
            return 0
        return int((self.directories["cpuacct"] / "cpuacct.usage").read_text()) // 1_000_000

    def peak_bytes(self) -> int:
        """The most memory ever held, the room's files included; 0 when unknown."""
        name = "memory.peak" if self.version == "v2" else "memory.max_usage_in_bytes"
        try:
            return int((self.directories["memory"] / name).read_text())
        except (OSError, ValueError):
            return 0

    def peak_processes(self) -> int:
        """The most tasks ever at once, without bubblewrap's own two; 0 when unknown."""
        try:
            peak = int((self.directories["pids"] / "pids.peak").read_text())
        except (OSError, ValueError):
            return 0
        return max(0, peak - _OWN_TASKS)

    def remove(self) -> None:
        """Kill whatever is left inside, then take the group away."""
        for directory in set(self.directories.values()):
            for _ in range(_REMOVE_TRIES):
                if _kill_and_remove(directory):
                    break
                time.sleep(_REMOVE_PAUSE_S)


def make_cgroup(limits: Limits) -> Cgroup | None:
    """A new group that holds ``limits``, or None where this process may not make one."""
    for version, parents in _candidates():
        made: dict[str, Path] = {}
        try:
            for kind, parent in parents.items():
                if not os.access(parent / "cgroup.procs", os.W_OK):  # moving in needs it too
                    raise PermissionError(parent)
                _sweep(parent)
                made[kind] = parent / (_PREFIX + leftovers.tag())
                made[kind].mkdir(exist_ok=True)
            group = Cgroup(version, made)
            _set(group, limits)
        except OSError:
            for directory in made.values():
                with suppress(OSError):
                    directory.rmdir()
            continue
        return group
    return None


def _set(group: Cgroup, limits: Limits) -> None:
    memory, pids = group.directories["memory"], group.directories["pids"]
    # bubblewrap's own two processes are in the group as well
    (pids / "pids.max").write_text(str(limits.processes + _OWN_TASKS))
    if group.version == "v2":
        (memory / "memory.max").write_text(str(limits.memory_bytes))
        _write_if_there(memory / "memory.swap.max", "0")
        _write_if_there(memory / "memory.oom.group", "1")
    else:
        (memory / "memory.limit_in_bytes").write_text(str(limits.memory_bytes))
        _write_if_there(memory / "memory.memsw.limit_in_bytes", str(limits.memory_bytes))


def _write_if_there(path: Path, value: str) -> None:
    if path.exists():
        path.write_text(value)


def _candidates() -> Iterator[tuple[str, dict[str, Path]]]:
    own = _own_groups()
    unified = own.get("")
    while unified is not None:
        try:
            offered = (unified / "cgroup.subtree_control").read_text().split()
        except OSError:
            break
        if set(_KINDS) <= set(offered):
            yield "v2", dict.fromkeys(_KINDS, unified)
        unified = unified.parent
    if all(kind in own for kind in _KINDS):
        counted = [*_KINDS, "cpuacct"] if "cpuacct" in own else _KINDS
        yield "v1", {kind: own[kind] for kind in counted}


def _own_groups() -> dict[str, Path]:
    """Controller -> the directory of this process's group; "" is the v2 hierarchy."""
    mounts: dict[str, tuple[str, Path]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        root, point = left.split()[3:5]
        if kind == "cgroup2":
            mounts[""] = (root, Path(point))
        elif kind == "cgroup":
            for option in options.split(","):
                mounts[option] = (root, Path(point))
    found: dict[str, Path] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                top, where = mounts[controller]
                found[controller] = where / os.path.relpath(path, top)
    return found


def _sweep(parent: Path) -> None:
    """Remove groups whose run is gone (its process was killed before it could tidy up)."""
    for child in parent.iterdir():
        name = child.name
        if name.startswith(_PREFIX) and not leftovers.is_alive(name.removeprefix(_PREFIX)):
            _kill_and_remove(child)


def _kill_and_remove(directory: Path) -> bool:
    try:
        for pid in (directory / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _field(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return 0


def set_rlimits(limits: Limits, *, grouped: bool, own_uid: bool = False) -> None:
    """In the child, before it becomes the room: what no cgroup does, or all of it without one.

    A core limit of 1 also keeps a piped core pattern from taking the room's memory out
    (man 5 core). A uid of the room's own is counted beside a cgroup as well. Data, not address
    space: CUDA and thread stacks reserve far more than they use.
    """
    _lower(resource.RLIMIT_CORE, 1)
    _lower(resource.RLIMIT_FSIZE, limits.output_bytes)
    if limits.cpu_s:
        # later than the count of all together: the kernel's own is by ticks, and up to a tenth off
        _lower(resource.RLIMIT_CPU, limits.cpu_s + 1 + limits.cpu_s // 10)
    if not grouped:
        _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    if own_uid or not grouped:
        _lower(resource.RLIMIT_NPROC, limits.processes + 2)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def facts(group: Cgroup | None, *, own_uid: bool = False) -> dict[str, str]:
    """Which mechanism holds which limit."""
    if group is not None:
        held = f"cgroup-{group.version}"
        return {"limit_memory": held, "limit_processes": held}
    # the kernel exempts root from RLIMIT_NPROC
    processes = "none" if os.getuid() == 0 and not own_uid else "rlimit-nproc"
    return {"limit_memory": "rlimit-data-per-process", "limit_processes": processes}
