"""The room's system-call filter as classic BPF, made for bubblewrap's --seccomp.

``standard`` denies what namespaces leave open: io_uring, userfaultfd, ptrace, BPF, perf, the
kernel keyrings, mounting, nested namespaces, and socket families other than Unix, IP and the
routing netlink that getifaddrs(3) needs. ``strict`` also knows only the calls of
``vocabulary.ALLOWED``; another answers ENOSYS, so that libraries take their older path.
Layout of ``struct seccomp_data``: man 2 seccomp.
"""

from __future__ import annotations

import errno
import functools
import platform
import struct

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.train.vocabulary import ALLOWED

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

_LD_ABS, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NR, _ARCH, _ARG0_LOW, _ARG1_LOW, _ARG2_LOW = 0, 4, 16, 24, 32
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

DENIED: dict[str, tuple[int | None, int | None]] = {
    "_sysctl": (156, None),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "get_kernel_syms": (177, None),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "query_module": (178, None),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "sysfs": (139, None),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
}
"""System call -> (x86-64 number, AArch64 number); each answers EPERM."""

_RAW_SOCKET = 3
_SOCKET_TYPE = 0xF
_MKNOD = {"x86_64": ((133, _ARG1_LOW), (259, _ARG2_LOW)), "aarch64": ((33, _ARG2_LOW),)}
_DEVICE_BIT = 0o020000  # set in S_IFCHR and S_IFBLK alone of what mknod(2) makes
_PERSONALITY = {"x86_64": 135, "aarch64": 92}
_QUERY_PERSONALITY = 0xFFFFFFFF
_SOCKET = {"x86_64": (41, 53), "aarch64": (198, 199)}
_CLONE = {"x86_64": 56, "aarch64": 220}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_CLONE3 = 435
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _NETLINK_ROUTE = 1, 2, 10, 16, 0
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C


@functools.cache
def program(machine: str = "", *, strict: bool = False) -> bytes:
    """The filter for ``machine`` (this one by default): ``struct sock_filter`` after another.

    Raises: KeyError where ``supported`` says no.
    """
    machine = machine or platform.machine()
    column = 0 if machine == "x86_64" else 1
    code = [
        _op(_LD_ABS, _ARCH),
        _op(_JEQ, _AUDIT_ARCH[machine], 1, 0),
        _op(_RET, _KILL_PROCESS),
        _op(_LD_ABS, _NR),
    ]
    if machine == "x86_64":
        code += [_op(_JGE, _X32_BIT, 0, 1), _deny(errno.ENOSYS)]
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            code += [_op(_JEQ, number, 0, 1), _deny(errno.EPERM)]
    # glibc falls back to clone, whose flags a filter can read
    code += [_op(_JEQ, _CLONE3, 0, 1), _deny(errno.ENOSYS)]
    code += _when(_CLONE[machine], _no_new_namespaces())
    code += _when(_IOCTL[machine], _no_terminal_injection())
    for number in _SOCKET[machine]:
        code += _when(number, _known_families(strict=strict))
    if not strict:
        return b"".join([*code, _op(_RET, _ALLOW)])
    code += _when(_PERSONALITY[machine], _only_a_look_at_personality())
    for number, argument in _MKNOD[machine]:
        code += _when(number, _no_devices(argument))
    for numbers in ALLOWED.values():
        number = numbers[column]
        if number is not None:
            code += [_op(_JEQ, number, 0, 1), _op(_RET, _ALLOW)]
    return b"".join([*code, _deny(errno.ENOSYS)])


def supported(machine: str = "") -> bool:
    """Is there a filter for ``machine`` (this one by default)?"""
    return (machine or platform.machine()) in _AUDIT_ARCH


def program_digest(*, strict: bool = False) -> Digest:
    """The SHA-256 of this machine's filter, for evidence; empty where there is none."""
    return digest.of_bytes(program(strict=strict)) if supported() else ""


def _op(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, value)


def _deny(code: int) -> bytes:
    return _op(_RET, _ERRNO | code)


def _when(number: int, block: list[bytes]) -> list[bytes]:
    """Run ``block``, which returns on every path, when the system call is ``number``."""
    return [_op(_JEQ, number, 0, len(block)), *block]


def _no_new_namespaces() -> list[bytes]:
    return [
        _op(_LD_ABS, _ARG0_LOW),
        _op(_JSET, _NEW_NAMESPACES, 0, 1),
        _deny(errno.EPERM),
        _op(_RET, _ALLOW),
    ]


def _no_terminal_injection() -> list[bytes]:
    return [
        _op(_LD_ABS, _ARG1_LOW),
        _op(_JEQ, _TIOCSTI, 1, 0),
        _op(_JEQ, _TIOCLINUX, 0, 1),
        _deny(errno.EPERM),
        _op(_RET, _ALLOW),
    ]


def _known_families(*, strict: bool) -> list[bytes]:
    block = [
        _op(_LD_ABS, _ARG0_LOW),
        _op(_JEQ, _AF_UNIX, 6, 0),
        _op(_JEQ, _AF_INET, 5, 0),
        _op(_JEQ, _AF_INET6, 4, 0),
        _op(_JEQ, _AF_NETLINK, 0, 2),
        _op(_LD_ABS, _ARG2_LOW),
        _op(_JEQ, _NETLINK_ROUTE, 1, 0),
        _deny(errno.EAFNOSUPPORT),
        _op(_RET, _ALLOW),
    ]
    return [*_no_raw_ip(), *block] if strict else block


def _no_raw_ip() -> list[bytes]:
    """Raw sockets of Unix and netlink are harmless; of IP they need a capability anyway."""
    return [
        _op(_LD_ABS, _ARG0_LOW),
        _op(_JEQ, _AF_INET, 1, 0),
        _op(_JEQ, _AF_INET6, 0, 4),
        _op(_LD_ABS, _ARG1_LOW),
        _op(_AND, _SOCKET_TYPE),
        _op(_JEQ, _RAW_SOCKET, 0, 1),
        _deny(errno.EPERM),
    ]


def _only_a_look_at_personality() -> list[bytes]:
    return [
        _op(_LD_ABS, _ARG0_LOW),
        _op(_JEQ, _QUERY_PERSONALITY, 1, 0),
        _op(_JEQ, 0, 0, 1),
        _op(_RET, _ALLOW),
        _deny(errno.EPERM),
    ]


def _no_devices(argument: int) -> list[bytes]:
    return [
        _op(_LD_ABS, argument),
        _op(_JSET, _DEVICE_BIT, 0, 1),
        _deny(errno.EPERM),
        _op(_RET, _ALLOW),
    ]
