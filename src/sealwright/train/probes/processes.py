"""Seeing, stopping and reading other processes."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

from sealwright.train.probes.kit import LIBC, call, probe

Canaries = dict[str, Any]


@probe("processes", "signal a process of the host")
def signal_host(canaries: Canaries) -> str:
    os.kill(canaries["victim"], signal.SIGCONT)
    return "delivered"


@probe("processes", "find the processes of the host in /proc")
def proc_walk(canaries: Canaries) -> str:
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            if canaries["victim_name"] in Path(f"/proc/{pid}/cmdline").read_text():
                return f"process {pid}"
        except OSError:  # it ended meanwhile
            continue
    return ""


@probe("processes", "read the environment of a process of the host")
def proc_environ(canaries: Canaries) -> str:
    text = Path(f"/proc/{canaries['victim']}/environ").read_text()
    return "canary" if canaries["token"] in text else ""


@probe("processes", "find a token of the caller in the environment")
def own_environ(canaries: Canaries) -> str:
    seen = [" ".join(os.environ.values())]
    for pid in (1, os.getppid()):
        try:
            seen.append(Path(f"/proc/{pid}/environ").read_text())
        except PermissionError:
            continue
    return "canary" if any(canaries["token"] in text for text in seen) else ""


@probe("processes", "trace a process of the host")
def trace_host(canaries: Canaries) -> str:
    pid = canaries["victim"]
    call(101, 117, 0x4206, pid, 0, 0)  # PTRACE_SEIZE
    return "attached"


@probe("processes", "trace a child of one's own")
def trace_child(canaries: Canaries) -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if LIBC.ptrace(0, 0, None, None) == 0 else 1)
    return "traced" if os.waitpid(pid, 0)[1] == 0 else ""


def _read_memory(pid: int) -> str:
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_ulong * 2)(ctypes.addressof(buffer), 8)
    start = int(Path(f"/proc/{pid}/maps").read_text().split("-")[0], 16)
    remote = (ctypes.c_ulong * 2)(start, 8)
    count = call(310, 270, pid, local, 1, remote, 1, 0)
    return f"{count} bytes"


@probe("processes", "read the memory of a process of the host")
def read_host_memory(canaries: Canaries) -> str:
    return _read_memory(canaries["victim"])


@probe("processes", "read the memory of a process of the room by system call")
def read_room_memory(canaries: Canaries) -> str:
    return _read_memory(os.getpid())


@probe("processes", "open another process's memory in /proc")
def proc_memory(canaries: Canaries) -> str:
    os.close(os.open(f"/proc/{canaries['victim']}/mem", os.O_RDWR))
    return "opened for writing; nothing was written"


@probe("processes", "take a descriptor out of another process")
def steal_descriptor(canaries: Canaries) -> str:
    pidfd = os.pidfd_open(canaries["victim"])
    return f"descriptor {call(438, 438, pidfd, canaries['descriptor'], 0)}"


@probe("processes", "compare kernel objects of two processes (kcmp)")
def compare(canaries: Canaries) -> str:
    return f"returned {call(312, 272, os.getpid(), os.getppid(), 0, 0, 0)}"


@probe("processes", "change the priority of a process of the host")
def priority(canaries: Canaries) -> str:
    before = os.getpriority(os.PRIO_PROCESS, canaries["victim"])
    os.setpriority(os.PRIO_PROCESS, canaries["victim"], before)
    return "set to what it was"


@probe("processes", "attach a segment of System V shared memory of the host")
def system_v(canaries: Canaries) -> str:
    found = LIBC.shmget(canaries["shm_key"], 64, 0)
    return f"segment {found}" if found >= 0 else ""
