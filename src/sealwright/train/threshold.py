"""A program of a few dozen bytes that stands between bubblewrap and the script.

Landlock must be entered after the mounts are made and before the script starts, in a room
where no interpreter need exist. So this is an ELF file made on the spot: one loop that walks a
table of system calls, each with the result it must have. What to do is all in the table, and
the table is made here, in Python::

    number, five arguments, the result that means "next", where to go on any other result

The last entries are execve(2), one per folder of PATH; where none works, the program says so
and exits 127 as a shell would. A step that failed exits 125 (``FAILED``): the script never ran.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import msgspec

FAILED = 125
CANNOT_START = b"threshold: cannot start "
REFUSED = b"threshold: the walls did not hold: "
_BASE = 0x400000
_HEADERS = 64 + 2 * 56
_ENTRY = struct.Struct("<8Q")
_MASK = (1 << 64) - 1
_WRITE = {"x86_64": 1, "aarch64": 64}
_EXECVE = {"x86_64": 59, "aarch64": 221}
_EXIT_GROUP = {"x86_64": 231, "aarch64": 94}
_MACHINE = {"x86_64": 62, "aarch64": 183}
_NEVER = _MASK >> 1  # no system call returns this
_X86_LOOP = bytes.fromhex(
    "488b03"  # mov  rax, [rbx]
    "488b7b08"  # mov  rdi, [rbx+8]
    "488b7310"  # mov  rsi, [rbx+16]
    "488b5318"  # mov  rdx, [rbx+24]
    "4c8b5320"  # mov  r10, [rbx+32]
    "4c8b4328"  # mov  r8, [rbx+40]
    "4531c9"  # xor  r9d, r9d
    "0f05"  # syscall
    "483b4330"  # cmp  rax, [rbx+48]
    "7506"  # jne  miss
    "4883c340"  # add  rbx, 64
    "ebd8"  # jmp  loop
    "488b5b38"  # miss: mov rbx, [rbx+56]
    "ebd2"  # jmp  loop
)
_ARM_LOOP = (
    0xF9400268,  # ldr  x8, [x19]
    0xA9408660,  # ldp  x0, x1, [x19, #8]
    0xA9418E62,  # ldp  x2, x3, [x19, #24]
    0xF9401664,  # ldr  x4, [x19, #40]
    0xD2800005,  # mov  x5, #0
    0xD4000001,  # svc  #0
    0xA9432A69,  # ldp  x9, x10, [x19, #48]
    0xEB09001F,  # cmp  x0, x9
    0x9101026B,  # add  x11, x19, #64
    0x9A8A0173,  # csel x19, x11, x10, eq
    0x17FFFFF6,  # b    loop
)


class Step(msgspec.Struct, frozen=True):
    """A system call that must return ``expect``; otherwise ``skip`` steps are left out, or, where
    that is 0, the program ends as failed. ``bytes`` among ``arguments`` are passed by address.
    """

    number: int
    arguments: tuple[int | bytes, ...]
    expect: int
    skip: int = 0
    what: str = ""


def program(
    machine: str, steps: Sequence[Step], argv: Sequence[str], env: Mapping[str, str]
) -> bytes:
    """The ELF file for ``machine`` that takes ``steps`` and then becomes ``argv``.

    Raises: KeyError where there is no code for ``machine``.
    """
    loop = _loop(machine)
    blob = _Blob(_BASE + _HEADERS + len(loop))
    words = [blob.put(word.encode(errors="surrogateescape") + b"\0") for word in argv]
    pairs = [f"{name}={value}" for name, value in env.items()]
    strings = [blob.put(pair.encode(errors="surrogateescape") + b"\0") for pair in pairs]
    argv_at = blob.put(struct.pack(f"<{len(words) + 1}Q", *words, 0))
    env_at = blob.put(struct.pack(f"<{len(strings) + 1}Q", *strings, 0))
    rows: list[tuple[int, tuple[int | bytes, ...], int, int]] = []
    endings = len(steps) + len(candidates := _candidates(argv[0], env)) + 2
    failures: dict[str, int] = {}
    for at, step in enumerate(steps):
        failed = failures.setdefault(step.what, endings + 2 * len(failures))
        rows.append(
            (step.number, step.arguments, step.expect, at + step.skip + 1 if step.skip else failed)
        )
    for path in candidates:
        rows.append((_EXECVE[machine], (_bytes(path), argv_at, env_at), _NEVER, len(rows) + 1))
    rows += _say_and_end(machine, len(rows), CANNOT_START + _bytes(argv[0])[:-1], 127)
    for what in failures:
        rows += _say_and_end(machine, len(rows), REFUSED + what.encode(), FAILED)
    return _assemble(machine, loop, blob, rows)


def _candidates(name: str, env: Mapping[str, str]) -> list[str]:
    if "/" in name:
        return [name]
    return [f"{folder or '.'}/{name}" for folder in env.get("PATH", "").split(":")]


def _say_and_end(
    machine: str, at: int, text: bytes, code: int
) -> list[tuple[int, tuple[int | bytes, ...], int, int]]:
    line = text + b"\n"
    return [
        (_WRITE[machine], (2, line, len(line)), len(line), at + 1),
        (_EXIT_GROUP[machine], (code,), _NEVER, at + 1),
    ]


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape") + b"\0"


class _Blob:
    """What the table points to, from address ``base`` on; eight-byte aligned."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.content = bytearray()

    def put(self, data: bytes) -> int:
        self.content += bytes(-(self.base + len(self.content)) % 8)
        at = self.base + len(self.content)
        self.content += data
        return at


def _assemble(
    machine: str,
    loop: bytes,
    blob: _Blob,
    rows: Sequence[tuple[int, tuple[int | bytes, ...], int, int]],
) -> bytes:
    placed = [[blob.put(a) if isinstance(a, bytes) else a & _MASK for a in row[1]] for row in rows]
    table = blob.put(b"")
    for (number, _, expect, miss), arguments in zip(rows, placed, strict=True):
        five = [*arguments, 0, 0, 0, 0, 0][:5]
        target = table + miss * _ENTRY.size
        blob.content += _ENTRY.pack(number & _MASK, *five, expect & _MASK, target)
    code = _start(machine, table) + loop[len(_start(machine, 0)) :]
    return _headers(machine, _HEADERS + len(code) + len(blob.content)) + code + blob.content


def _start(machine: str, table: int) -> bytes:
    if machine == "x86_64":
        return b"\x48\xbb" + struct.pack("<Q", table)  # movabs rbx, table
    # ldr x19, the literal 8 bytes on; b over it
    return struct.pack("<IIQ", 0x58000053, 0x14000003, table)


def _loop(machine: str) -> bytes:
    """The code, with its first instruction pointing at no table yet; a multiple of 8 bytes."""
    body = _X86_LOOP if machine == "x86_64" else struct.pack(f"<{len(_ARM_LOOP)}I", *_ARM_LOOP)
    code = _start(machine, 0) + body
    return code + bytes(-len(code) % 8)


def _headers(machine: str, size: int) -> bytes:
    entry = _BASE + _HEADERS
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf = ident + struct.pack(
        "<HHIQQQIHHHHHH", 2, _MACHINE[machine], 1, entry, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    return elf + load + stack
