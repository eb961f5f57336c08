"""Waiting for a room to end, whichever way it ends, and leaving nothing of it running."""

from __future__ import annotations

import os
import resource
import select
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from sealwright.train.capture import Capture

Ended = Literal["by-itself", "timeout", "interrupted", "over-limit"]
OverLimit = Callable[[], str]
"""Asked twice a second; anything but the empty string ends the room."""
_TICK_S = 0.5


class Watched(msgspec.Struct, frozen=True):
    """How the processes ended. ``exit_code`` is None when the command was never started;
    above 128 it is a signal, as a shell would say it. ``signal`` ended the outermost process.
    """

    ended: Ended
    exit_code: int | None
    signal: int
    wall_ms: int
    cpu_ms: int


class Reaped(NamedTuple):
    """What wait4(2) says of a process."""

    status: int
    usage: resource.struct_rusage


class Process:
    """The room's outermost process.

    It is the first of its process namespace, so its end is the end of every process in the
    room, and waiting for it waits for them all (man 7 pid_namespaces).
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._reaped: Reaped | None = None

    def end(self) -> Reaped:
        """Kill it if it still runs, and wait for it; again is harmless."""
        if self._reaped is None:
            os.kill(self.pid, signal.SIGKILL)
            _, status, usage = os.wait4(self.pid, 0)
            self._reaped = Reaped(status, usage)
        return self._reaped


def follow(
    process: Process,
    status_fd: int,
    captures: Sequence[Capture],
    wall_s: int,
    over_limit: OverLimit | None = None,
) -> Watched:
    """Pump output until everything in the room is dead. ``wall_s`` 0 is for ever.

    bubblewrap's JSON status comes over ``status_fd``.
    """
    began = time.monotonic()
    ended = interruptible_pump(process.pid, captures, wall_s, over_limit)
    status, usage = process.end()
    drain(captures)
    return Watched(
        ended=ended,
        exit_code=_exit_code(status_fd),
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        wall_ms=int((time.monotonic() - began) * 1000),
        cpu_ms=int((usage.ru_utime + usage.ru_stime) * 1000),
    )


def interruptible_pump(
    pid: int, captures: Sequence[Capture], wall_s: int, over_limit: OverLimit | None = None
) -> Ended:
    """:func:`pump`, where Ctrl-C is one more way to end."""
    deadline = time.monotonic() + wall_s if wall_s else None
    try:
        return pump(pid, captures, deadline, over_limit)
    except KeyboardInterrupt:
        return "interrupted"


def pump(
    pid: int,
    captures: Sequence[Capture],
    deadline: float | None,
    over_limit: OverLimit | None = None,
) -> Ended:
    """Hand output on until process ``pid`` ends or something else is up."""
    ending = os.pidfd_open(pid)
    asked = time.monotonic()
    try:
        with selectors.DefaultSelector() as ready:
            ready.register(ending, selectors.EVENT_READ)
            for capture in captures:
                ready.register(capture.fd, selectors.EVENT_READ, capture.pump)
            while True:
                now = time.monotonic()
                if deadline is not None and now >= deadline:
                    return "timeout"
                if over_limit is not None and now - asked >= _TICK_S:
                    asked = now
                    if over_limit():
                        return "over-limit"
                wait_s = _TICK_S if deadline is None else min(deadline - now, _TICK_S)
                for key, _ in ready.select(wait_s):
                    if key.data is None:
                        return "by-itself"
                    if not key.data():
                        ready.unregister(key.fd)
    finally:
        os.close(ending)


def drain(captures: Sequence[Capture]) -> None:
    """Take what dead processes left in their pipes, and wait for no one who still has them."""
    for capture in captures:
        while select.select([capture.fd], [], [], 0)[0] and capture.pump():
            pass


def _exit_code(status_fd: int) -> int | None:
    with open(status_fd, "rb", closefd=False) as stream:
        for line in stream:
            document = msgspec.json.decode(line)
            if "exit-code" in document:
                return int(document["exit-code"])
    return None
