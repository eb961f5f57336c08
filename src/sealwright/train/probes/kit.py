"""How a probe is written and how it is run, inside the room and outside it alike.

A probe is a function that gets the canaries and returns what it got; raising or returning
nothing means that it was held. It runs in a process of its own, so that it may be killed.
This file and the attempts use the standard library alone: they also run where nothing else is.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

Attempt = Callable[[dict[str, Any]], object]
SECONDS = 6


class Probe(NamedTuple):
    """One attempt. ``bounded``: it gets through by design and is counted, at ``strict`` too.

    ``since`` is the lowest isolation that promises to hold it; ``alone`` runs it in a room of
    its own, because it may take the room down.
    """

    name: str
    group: str
    tries: str
    attempt: Attempt
    since: str
    alone: bool
    bounded: bool


ALL: dict[str, Probe] = {}


def probe(
    group: str,
    tries: str,
    *,
    since: str = "standard",
    alone: bool = False,
    bounded: bool = False,
) -> Callable[[Attempt], Attempt]:
    """Enter the function in the suite, under its own name."""

    def enter(attempt: Attempt) -> Attempt:
        name = getattr(attempt, "__name__", "").replace("_", "-")
        ALL[name] = Probe(name, group, tries, attempt, since, alone, bounded)
        return attempt

    return enter


LIBC = ctypes.CDLL(None, use_errno=True)
IS_ARM = platform.machine() == "aarch64"
REFUSALS = (1, 13, 38)  # EPERM, EACCES, ENOSYS


def call(x86: int, arm: int, *arguments: Any) -> int:
    """A system call by number. Raises: OSError."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(arm if IS_ARM else x86), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


def reached(x86: int, arm: int, *arguments: Any) -> str:
    """Did a call with harmless nonsense get past the permission check?

    It fails either way; how it fails tells whether it was allowed to try.
    """
    try:
        return f"returned {call(x86, arm, *arguments)}"
    except OSError as error:
        if error.errno in REFUSALS:
            raise
        return f"allowed to try: {error.strerror}"


def run_one(one: Probe, canaries: dict[str, Any]) -> list[object]:
    """``[got something, what]``; a probe that ends badly or too late got nothing."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _child(one, canaries, write)
    os.close(write)
    said = _until(read, time.monotonic() + SECONDS)
    os.close(read)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not said:
        return [False, "it was killed, or ran out of time"]
    return list(json.loads(said))


def _child(one: Probe, canaries: dict[str, Any], write: int) -> None:
    os.setpgid(0, 0)
    try:
        got = one.attempt(canaries)
        answer = [bool(got), str(got)[:160]]
    except BaseException as error:
        answer = [False, f"{type(error).__name__}: {error}"[:160]]
    os.write(write, json.dumps(answer).encode())
    os._exit(0)


def _until(fd: int, deadline: float) -> bytes:
    said = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return b""
        data = os.read(fd, 4096)
        said += data
        if not data or said.endswith(b"]"):
            return said


def main(argv: list[str]) -> None:
    """``CANARIES.json PROBE …``: one JSON line per probe on stdout."""
    with open(argv[0]) as stream:
        canaries = json.load(stream)
    for name in argv[1:]:
        line = json.dumps([name, *run_one(ALL[name], canaries)])
        sys.stdout.write(f"\nprobe:{line}\n")
        sys.stdout.flush()
