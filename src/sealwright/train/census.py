"""Counting what runs in a room where no cgroup counts it, by looking through /proc.

Looked at twice a second, so a burst in between is missed: rlimits bound each process
meanwhile. Memory is summed as resident set first, and only if that is too much as
proportional set, which counts a page shared by eight forked workers once, not eight times.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sealwright.train.spec import Limits

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Census:
    """The descendants of process ``pid``. ``cpu_ms`` and ``peak_bytes`` are the most ever seen."""

    def __init__(self, pid: int, limits: Limits) -> None:
        self._pid = pid
        self._limits = limits
        self.cpu_ms = 0
        self.peak_bytes = 0
        self.peak_processes = 0
        self.over_memory = 0
        self.over_processes = 0

    def __call__(self) -> str:
        """The limit the room is over, ``memory`` or ``processes``, or nothing."""
        pids = list(_descendants(self._pid))
        ticks = rss = 0
        for pid in pids:
            fields = _stat(pid)
            if fields:
                ticks += _ticks(fields)
                rss += int(fields[21]) * _PAGE
        self.cpu_ms = max(self.cpu_ms, ticks * 1000 // _TICKS_PER_S)
        self.peak_bytes = max(self.peak_bytes, rss)
        self.peak_processes = max(self.peak_processes, len(pids) - 2)
        if len(pids) > self._limits.processes + 2:
            self.over_processes += 1
            return "processes"
        if rss > self._limits.memory_bytes < sum(map(_proportional, pids)):
            self.over_memory += 1
            return "memory"
        return ""


class Spent:
    """The CPU time of ``pid`` and its descendants, ended ones included, against ``limit_s``.

    ``counted`` is what a cgroup counted, in ms, where there is one: the larger of both holds.
    """

    def __init__(self, pid: int, limit_s: int, counted: Callable[[], int] = lambda: 0) -> None:
        self._pid = pid
        self._limit_ms = 1000 * limit_s
        self._counted = counted
        self.over = False

    def __call__(self) -> str:
        """``cpu`` once the limit is used up; nothing before, and nothing where there is none."""
        if self._limit_ms:
            ticks = sum(_ticks(fields) for pid in _descendants(self._pid) if (fields := _stat(pid)))
            spent_ms = max(ticks * 1000 // _TICKS_PER_S, self._counted())
            self.over = self.over or spent_ms >= self._limit_ms
        return "cpu" if self.over else ""


def _ticks(fields: list[str]) -> int:
    """User and system time, its own and that of the children it waited for."""
    return sum(int(field) for field in fields[11:15])


def _descendants(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        here = waiting.pop()
        yield here
        for children in Path(f"/proc/{here}/task").glob("*/children"):
            try:
                waiting += map(int, children.read_text().split())
            except OSError:  # that thread has ended
                continue


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (man 5 proc); none if it is gone."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return line.rpartition(")")[2].split()


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
