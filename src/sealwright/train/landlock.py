"""Landlock for the strict room: which folders may be read, run or written, and by what right.

The room's mounts say the same once more in another part of the kernel: a hole in one is still
held by the other. Beyond them it keeps pipes of the host in bound folders from being written,
device files from being made, and signals and abstract sockets inside the room's own domain.
TCP is left to the network namespace: notebook kernels talk over loopback, and Landlock's rules
know ports only. Source: Linux, Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

from sealwright.train import kernel
from sealwright.train.threshold import Step

OLDEST = 3
"""Below it, truncating or moving a file away was not ours to forbid."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR = 16, 32, 64, 128
MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = 256, 512, 1024, 2048, 4096
REFER, TRUNCATE, IOCTL_DEV = 8192, 16384, 32768
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
RUN_FILE = READ_FILE | EXECUTE
_CHANGE = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE
PROJECT = RUN | _CHANGE
OWN = PROJECT | MAKE_SOCK | MAKE_FIFO
DEVICES = READ | WRITE_FILE | TRUNCATE | IOCTL_DEV

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_VERSION = 1
_OPENAT = {"x86_64": 257, "aarch64": 56}
_CLOSE = {"x86_64": 3, "aarch64": 57}
_PRCTL = {"x86_64": 157, "aarch64": 167}
_CLOSE_RANGE = 436
_AT_FDCWD = -100
_O_PATH_CLOEXEC = 0o12000000
_PR_SET_NO_NEW_PRIVS = 38
_RULESET, _PATH = 3, 4  # the lowest free descriptors, once all but the standard ones are closed


def abi() -> int:
    """The version this kernel speaks; 0 where there is none, or it is switched off."""
    found = kernel.libc().syscall(ctypes.c_long(_CREATE_RULESET), None, 0, _VERSION)
    return max(0, int(found))


def rights(version: int) -> int:
    """Every file-system right that ``version`` knows."""
    known = REFER - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        if version >= since:
            known |= right
    return known


def steps(machine: str, version: int, rules: Sequence[tuple[str, int]]) -> tuple[Step, ...]:
    """What the threshold does to enter a domain in which only ``rules`` allow anything.

    A rule is a folder inside the room, which may be absent, and rights. All descriptors but
    the standard three are closed on the way.
    """
    handled = rights(version)
    scoped = _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL if version >= 6 else 0
    ruleset = struct.pack("<3Q", handled, 0, scoped)[: 24 if version >= 6 else 8]
    taken = [
        Step(_CLOSE_RANGE, (_RULESET, 0xFFFFFFFF, 0), 0, what="descriptors"),
        Step(_CREATE_RULESET, (ruleset, len(ruleset), 0), _RULESET, what="landlock ruleset"),
    ]
    for path, allowed in rules:
        rule = struct.pack("<Qi", allowed & handled, _PATH)
        name = path.encode(errors="surrogateescape") + b"\0"
        taken += [
            Step(_OPENAT[machine], (_AT_FDCWD, name, _O_PATH_CLOEXEC, 0), _PATH, skip=2),
            Step(_ADD_RULE, (_RULESET, _RULE_PATH_BENEATH, rule, 0), 0, what="landlock rule"),
            Step(_CLOSE[machine], (_PATH,), 0, what="landlock rule"),
        ]
    taken += [
        Step(_PRCTL[machine], (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0, what="no_new_privs"),
        Step(_RESTRICT_SELF, (_RULESET, 0), 0, what="landlock"),
        Step(_CLOSE[machine], (_RULESET,), 0, what="landlock"),
    ]
    return tuple(taken)
