"""Waiting for a room to end, whichever way it ends, and leaving nothing of it running."""

from __future__ import annotations

import os
import resource
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from sealwright.train.capture import Capture

Ended = Literal["by-itself", "timeout", "interrupted", "over-memory"]
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
    max_rss_bytes: int


class Watch:
    """Over the room's outermost process ``pid``; its JSON status comes over ``status_fd``."""

    def __init__(self, pid: int, status_fd: int, captures: Sequence[Capture]) -> None:
        self._pid = pid
        self._status_fd = status_fd
        self._captures = captures

    def run(self, wall_s: int, over_memory: Callable[[], bool] | None = None) -> Watched:
        """Pump output until everything in the room is dead. ``wall_s`` 0 is for ever.

        ``over_memory``, asked twice a second, ends the room when it says so.
        """
        began = time.monotonic()
        try:
            ended = pump(self._pid, self._captures, began + wall_s if wall_s else None, over_memory)
        except KeyboardInterrupt:
            ended = "interrupted"
        finally:
            wait_status, usage = end(self._pid)
        drain(self._captures)
        return Watched(
            ended=ended,
            exit_code=self._exit_code(),
            signal=os.WTERMSIG(wait_status) if os.WIFSIGNALED(wait_status) else 0,
            wall_ms=int((time.monotonic() - began) * 1000),
            cpu_ms=int((usage.ru_utime + usage.ru_stime) * 1000),
            max_rss_bytes=usage.ru_maxrss * 1024,
        )

    def _exit_code(self) -> int | None:
        with open(self._status_fd, "rb", closefd=False) as stream:
            for line in stream:
                document = msgspec.json.decode(line)
                if "exit-code" in document:
                    return int(document["exit-code"])
        return None


def pump(
    pid: int,
    captures: Sequence[Capture],
    deadline: float | None,
    over_memory: Callable[[], bool] | None = None,
) -> Ended:
    """Hand output on until process ``pid`` ends or something else is up."""
    ending = os.pidfd_open(pid)
    try:
        with selectors.DefaultSelector() as ready:
            ready.register(ending, selectors.EVENT_READ)
            for capture in captures:
                ready.register(capture.fd, selectors.EVENT_READ, capture.pump)
            while True:
                left = _TICK_S if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    return "timeout"
                events = ready.select(min(left, _TICK_S))
                for key, _ in events:
                    if key.data is None:
                        return "by-itself"
                    if not key.data():
                        ready.unregister(key.fd)
                if over_memory is not None and over_memory():
                    return "over-memory"
    finally:
        os.close(ending)


def drain(captures: Sequence[Capture]) -> None:
    """Read to the end what dead processes left in their pipes."""
    for capture in captures:
        while capture.pump():
            pass


def end(pid: int) -> tuple[int, resource.struct_rusage]:
    """Kill the room's outermost process and wait for it.

    It is the first of its process namespace, so its end is the end of every process in the
    room, and waiting for it waits for them all (man 7 pid_namespaces).
    """
    os.kill(pid, signal.SIGKILL)
    _, wait_status, usage = os.wait4(pid, 0)
    return wait_status, usage
