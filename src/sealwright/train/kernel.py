"""The Linux system calls that Python's ``os`` does not offer, by ctypes.

Sources: man 2 unshare, mount, prctl, keyctl, openat2, close_range. Numbers that the two
supported machines share are the generic ones of ``asm-generic/unistd.h``.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 1, 36, 37
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 1, 2, 4, 8
_CLOSE_RANGE_CLOEXEC = 4
_KEYCTL_JOIN_SESSION_KEYRING = 1
_CLOSE_RANGE, _OPENAT2 = 436, 437
_KEYCTL = {"x86_64": 250, "aarch64": 219}


@functools.cache
def libc() -> ctypes.CDLL:
    """The C library, with errno kept."""
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces in ``flags``. Raises: OSError."""
    _check(libc().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2). Raises: OSError naming ``target``."""
    result = libc().mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(result, f"mount {target}")


def unmount(target: str, flags: int) -> None:
    """umount2(2). Raises: OSError."""
    _check(libc().umount2(os.fsencode(target), flags), f"umount {target}")


def prctl(option: int, value: int) -> None:
    """prctl(2) with one number. Raises: OSError."""
    _check(libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def is_subreaper() -> bool:
    """Do orphans below this process become its children?"""
    flag = ctypes.c_int()
    _check(libc().prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0), "prctl")
    return bool(flag.value)


def join_new_session_keyring() -> None:
    """Leave the inherited session keyring for an empty one; nothing to do without keyrings.

    Raises: OSError (there are keyrings, and this process may not have one of its own).
    """
    number = ctypes.c_long(_KEYCTL[platform.machine()])
    if libc().syscall(number, _KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0) < 0:
        code = ctypes.get_errno()
        if code != _ENOSYS:
            raise OSError(code, os.strerror(code), "keyctl")


def close_on_exec_from(first: int) -> None:
    """Mark every descriptor from ``first`` on close-on-exec. Raises: OSError."""
    if libc().syscall(ctypes.c_long(_CLOSE_RANGE), first, 0xFFFFFFFF, _CLOSE_RANGE_CLOEXEC) == 0:
        return
    for path in Path("/proc/self/fd").iterdir():
        fd = int(path.name)
        if fd >= first:
            try:
                os.set_inheritable(fd, False)
            except OSError:  # the listing's own descriptor is gone by now
                continue


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(directory: int, relpath: str, flags: int) -> int:
    """Open ``relpath`` under the directory descriptor; no link, mount or ``..`` is crossed.

    openat2(2), or, where the kernel lacks it, one O_NOFOLLOW step per component.
    Raises: OSError (ELOOP for a link, EXDEV for a way out).
    """
    if sys.platform != "linux":
        return _open_by_steps(directory, relpath, flags)
    resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
    how = _OpenHow(flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0, resolve)
    fd = libc().syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(directory),
        os.fsencode(relpath),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if fd >= 0:
        return int(fd)
    code = ctypes.get_errno()
    if code in (_ENOSYS, _EPERM):
        return _open_by_steps(directory, relpath, flags)
    raise OSError(code, os.strerror(code), relpath)


_ENOSYS, _EPERM, _EXDEV = 38, 1, 18


def _open_by_steps(directory: int, relpath: str, flags: int) -> int:
    *parents, last = relpath.split("/")
    device = os.fstat(directory).st_dev
    here = os.dup(directory)
    try:
        for name in parents:
            _refuse_way_out(name, relpath)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        _refuse_way_out(last, relpath)
        fd = os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)
    if os.fstat(fd).st_dev != device:
        os.close(fd)
        raise OSError(_EXDEV, os.strerror(_EXDEV), relpath)
    return fd


def _refuse_way_out(name: str, relpath: str) -> None:
    if name == ".." or (name == "" and relpath.startswith("/")):
        raise OSError(_EXDEV, os.strerror(_EXDEV), relpath)
