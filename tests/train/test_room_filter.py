"""The system-call filter, run in a small interpreter of its own for both machines."""

from __future__ import annotations

import errno
import struct

import pytest

from sealwright.train import seccomp

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = 0x7FFF0000, 0x80000000


def judge(
    machine: str, number: int, *args: int, arch: int | None = None, strict: bool = False
) -> int:
    """What the kernel's BPF machine would answer (man 2 seccomp, man 4 bpf)."""
    data = struct.pack("=IIQ6Q", number, ARCH[machine] if arch is None else arch, 0, *_six(args))
    code = list(struct.iter_unpack("=HBBI", seccomp.program(machine, strict=strict)))
    at = value = 0
    while True:
        op, when_true, when_false, operand = code[at]
        at += 1
        if op == 0x20:
            value = int.from_bytes(data[operand : operand + 4], "little")
        elif op == 0x06:
            return operand
        elif op == 0x54:
            value &= operand
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}
            at += when_true if holds[op] else when_false


def _six(args: tuple[int, ...]) -> tuple[int, ...]:
    return (*args, *([0] * (6 - len(args))))


def refused(code: int) -> int:
    return 0x00050000 | code


machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


@machines
def test_every_denied_call_is_refused_and_plain_ones_pass(machine: str) -> None:
    column = 0 if machine == "x86_64" else 1
    for name, numbers in seccomp.DENIED.items():
        number = numbers[column]
        if number is not None:
            assert judge(machine, number) == refused(errno.EPERM), name
    plain = {"x86_64": (0, 1, 2, 9, 59, 257, 319), "aarch64": (56, 57, 63, 64, 221, 222, 279)}
    assert all(judge(machine, number) == ALLOW for number in plain[machine])


@machines
def test_another_architecture_is_killed(machine: str) -> None:
    assert judge(machine, 0, arch=0x40000003) == KILL


def test_the_x32_numbers_do_not_go_around_the_filter() -> None:
    assert judge("x86_64", 0x40000000 | 101) == refused(errno.ENOSYS)


@machines
def test_sockets_other_than_unix_ip_and_routing_are_refused(machine: str) -> None:
    socket = 41 if machine == "x86_64" else 198
    for family in (1, 2, 10):
        assert judge(machine, socket, family, 1, 0) == ALLOW
    assert judge(machine, socket, 16, 3, 0) == ALLOW
    for family, protocol in ((16, 9), (16, 15), (17, 0), (38, 0), (40, 0), (44, 0)):
        assert judge(machine, socket, family, 3, protocol) == refused(errno.EAFNOSUPPORT)


@machines
def test_threads_and_forks_pass_and_new_namespaces_do_not(machine: str) -> None:
    clone = 56 if machine == "x86_64" else 220
    assert judge(machine, clone, 0x003D0F00) == ALLOW  # pthread_create
    assert judge(machine, clone, 0x01200011) == ALLOW  # fork
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert judge(machine, clone, flag | 17) == refused(errno.EPERM)
    assert judge(machine, 435) == refused(errno.ENOSYS)


@machines
def test_pushing_characters_into_a_terminal_is_refused(machine: str) -> None:
    ioctl = 16 if machine == "x86_64" else 29
    assert judge(machine, ioctl, 0, 0x5401) == ALLOW  # TCGETS
    assert judge(machine, ioctl, 0, 0x5412) == refused(errno.EPERM)
    assert judge(machine, ioctl, 0, 0xFFFFFFFF00005412) == refused(errno.EPERM)


def test_machines_without_a_filter_are_told() -> None:
    assert seccomp.supported("x86_64") and seccomp.supported("aarch64")
    assert not seccomp.supported("riscv64")
