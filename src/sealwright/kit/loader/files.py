"""The wall between a model's worker and the files of its host, by Landlock.

What Python and its libraries are read from stays readable; nothing else is, nothing is written,
and no program is run. Source: Linux, Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ_FILE, _READ_DIR = 4, 8
_SINCE = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
"""Version of Landlock, and the rights it added."""
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom", "/proc/cpuinfo"),
    *("/proc/meminfo", "/proc/self", "/sys/devices/system"),
)


def enter() -> bool:
    """Leave the files behind; whether this kernel could. Descriptors that are open stay so."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = int(libc.syscall(ctypes.c_long(_CREATE_RULESET), None, 0, 1))
    if version < 1:
        return False
    handled = sum(right for since, right in _SINCE if version >= since)
    head = struct.pack("<Q", handled)
    ruleset = int(libc.syscall(ctypes.c_long(_CREATE_RULESET), head, len(head), 0))
    if ruleset < 0:
        return False
    try:
        for place in _readable():
            _allow(libc, ruleset, place)
        libc.prctl(38, 1, 0, 0, 0)
        return int(libc.syscall(ctypes.c_long(_RESTRICT_SELF), ruleset, 0)) == 0
    finally:
        os.close(ruleset)


def _readable() -> Iterator[str]:
    yield from (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]))
    yield from (entry for entry in sys.path if entry and Path(entry).is_absolute())
    yield from _SYSTEM


def _allow(libc: ctypes.CDLL, ruleset: int, place: str) -> None:
    try:
        fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a place that is not there gives nothing away
    try:
        rights = _READ_FILE | (_READ_DIR if Path(place).is_dir() else 0)
        rule = struct.pack("<Qi", rights, fd)
        libc.syscall(ctypes.c_long(_ADD_RULE), ruleset, 1, rule, 0)
    finally:
        os.close(fd)
