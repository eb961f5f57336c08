"""The strict reader: a pickle's opcodes in one pass, every byte accounted for, nothing run.

It takes only what CPython's own picklers write: frames that hold whole opcodes, a memo numbered
in order, names spelt next to their use, no extension registry, no way of building that Python 3
does not use. What those rules leave is read exactly as the C unpickler reads it; the trace says
how, and ``stubs`` must say the same. Source: docs/spec/model-file-policy-v1.md, CPython
Lib/pickletools.py.
"""

from __future__ import annotations

import gc
import re
from typing import Any

from sealwright.kit.modelfile.limits import LIMITS, Limits
from sealwright.kit.modelfile.machine import Machine
from sealwright.kit.modelfile.opcodes import COLD
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Found
from sealwright.kit.modelfile.trace import Trace

_WIDTHS = {0x4B: 2, 0x4D: 3, 0x4A: 5, 0x47: 9, 0x4E: 1, 0x88: 1, 0x89: 1}
PLAIN = bytes(_WIDTHS.get(op, 0) for op in range(256))
"""Bytes that an opcode for a plain value takes: BININT1, BININT2, BININT, BINFLOAT, NONE, truth."""
_RUNS: dict[int, Any] = {
    op: re.compile(b"(?:%s.{%d})*+" % (re.escape(bytes([op])), width - 1), re.DOTALL).match
    for op, width in _WIDTHS.items()
}
_LEAF = re.compile(rb"\]\x94\((?:K.|M..|J.{4}|G.{8}|[N\x88\x89]){1,1000}+e", re.DOTALL).match
"""EMPTY_LIST MEMOIZE MARK, plain values, APPENDS: it weighs no more than its bytes."""


def read(
    data: bytes,
    policy: Policy,
    start: int = 0,
    *,
    storages: bool = False,
    inline: bool = False,
    limits: Limits = LIMITS,
) -> tuple[Trace, tuple[Found, ...]]:
    """One pickle from ``start``: what it would do, and what of that the policy refuses.

    ``storages`` allows torch's persistent ids; ``inline`` says that the arrays joblib writes
    between opcodes are already cut out of ``data``. Raises: Unsound, once it cannot be followed.
    """
    machine = Machine(data, policy, start, storages=storages, inline=inline, limits=limits)
    collecting = gc.isenabled()
    gc.disable()  # nothing here is a cycle, and looking for some costs a third of the time
    try:
        end = _run(machine, data, start, limits)
    except IndexError:
        machine.stop("pickle.stack", "an opcode takes what is not there, or the file ends early")
    finally:
        if collecting:
            gc.enable()
    return machine.trace(end), tuple(machine.refused)


def _run(m: Machine, data: bytes, pos: int, limits: Limits) -> int:  # noqa: C901, PLR0915
    # One loop, by frequency: a call for each opcode would quarter the speed.
    stack, memo, marks = m.stack, m.memo, m.marks
    nodes: list[Any] = m.nodes.items
    push, extend, keep, add = stack.append, stack.extend, memo.append, nodes.append
    plain, cold, runs, leaves = PLAIN, COLD, _RUNS, _LEAF
    limit = size = len(data)
    framed = False
    fence = ops = 0
    for ops in range(1, limits.opcodes + 2):
        if pos >= limit:
            if pos > limit or not framed:
                break
            limit, framed = size, False
            if pos >= limit:
                break
        op = data[pos]
        width = plain[op]
        if width:  # a number, None or a truth value
            push(0)
            pos += width
            if pos < limit and data[pos] == op:
                end = runs[op](data, pos, limit).end()
                extend([0] * ((end - pos) // width))
                pos = end
        elif op == 0x94:  # MEMOIZE
            keep(stack[-1])
            pos += 1
        elif op == 0x68 or op == 0x6A:  # BINGET LONG_BINGET
            if op == 0x68:
                value = memo[data[pos + 1]]
                pos += 2
            else:
                value = memo[int.from_bytes(data[pos + 1 : pos + 5], "little")]
                pos += 5
            if value > 0:
                node = nodes[value]
                if type(node) is list:
                    node[3] = True
            push(value)
        elif op == 0x8C:  # SHORT_BINUNICODE
            push(-1 - pos)
            pos += 2 + data[pos + 1]
        elif op == 0x28:  # MARK
            fence = len(stack)
            marks.append(fence)
            pos += 1
        elif op == 0x86 or op == 0x85 or op == 0x87:  # TUPLE2 TUPLE1 TUPLE3
            count = op - 0x84
            parts = tuple(stack[-count:])
            if len(stack) - count < fence:
                m.pos = pos
                m.stop("pickle.stack", "a tuple takes more than there is")
            del stack[-count:]
            if max(parts) <= 0:
                add(parts)
            else:
                m.pos = pos
                node = [0, 1, 0, False, -1, parts]
                m.nodes.hold(node, parts, ops)
                add(node)
            push(len(nodes) - 1)
            pos += 1
        elif op == 0x5D and (leaf := leaves(data, pos, limit)):  # a list of plain values, whole
            push(len(nodes))
            keep(len(nodes))
            add([1, leaf.end() - pos, 1, False, -1, ()])
            pos = leaf.end()
        elif op == 0x5D or op == 0x7D:  # EMPTY_LIST EMPTY_DICT
            push(len(nodes))
            add([1 if op == 0x5D else 2, 1, 0, False, -1, ()])
            pos += 1
        elif op == 0x65 or op == 0x75 or op == 0x74 or op == 0x73 or op == 0x61:
            if op == 0x73 or op == 0x61:  # SETITEM APPEND
                at, below = len(stack) - (2 if op == 0x73 else 1), fence
            else:  # APPENDS SETITEMS TUPLE
                at, below = fence, marks[-2] if len(marks) > 1 else 0
            values = stack[at:]
            if op == 0x74:
                node, fits = [0, 1, 0, False, -1, tuple(values)], bool(marks)
            else:
                target = stack[at - 1] if at > below else 0
                node = nodes[target] if target > 0 else ()
                kind = 1 if op == 0x65 or op == 0x61 else 2
                fits = (
                    type(node) is list
                    and node[0] == kind
                    and not node[3]
                    and (kind == 1 or not len(values) & 1)
                    and (at == len(stack) - len(values))
                    and (op == 0x73 or op == 0x61 or bool(marks))
                )
            m.pos = pos
            if fits:
                if values and max(values) > 0:
                    m.nodes.hold(node, values, ops)
                else:
                    node[1] += len(values)
                    node[2] = node[2] or 1
                del stack[at:]
                if op != 0x73 and op != 0x61:
                    marks.pop()
                    fence = below
                if op == 0x74:
                    push(len(nodes))
                    add(node)
                pos += 1
            else:
                m.ops = ops
                pos = cold[op](m, pos)
                fence = marks[-1] if marks else 0
        elif op == 0x71 or op == 0x72:  # BINPUT LONG_BINPUT
            wide = op == 0x72
            at = int.from_bytes(data[pos + 1 : pos + 5], "little") if wide else data[pos + 1]
            if at != len(memo):
                m.pos = pos
                m.stop("pickle.memo", f"memo {at} is put where {len(memo)} is next")
            keep(stack[-1])
            pos += 5 if wide else 2
        elif op == 0x58:  # BINUNICODE
            push(-1 - pos)
            pos += 5 + int.from_bytes(data[pos + 1 : pos + 5], "little")
        elif op == 0x2E:  # STOP
            m.pos = pos
            if framed and pos + 1 != limit:
                m.stop("pickle.frame", "the pickle ends inside a frame")
            if len(stack) != 1 or marks:
                m.stop("pickle.stack", f"{len(stack)} values are left at the end")
            return pos + 1
        elif op == 0x95:  # FRAME
            m.pos = pos
            length = int.from_bytes(data[pos + 1 : pos + 9], "little")
            pos += 9
            if framed or m.protocol < 4 or length < 4 or pos + length > size:
                m.stop("pickle.frame", f"a frame of {length} bytes cannot begin here")
            limit, framed = pos + length, True
        else:
            handler = cold.get(op)
            m.pos, m.ops = pos, ops
            if handler is None:
                m.stop("pickle.opcode", f"0x{op:02x} is no opcode that is read here")
            pos = handler(m, pos)
            fence = marks[-1] if marks else 0
    m.pos = min(pos, size)
    if ops > limits.opcodes:
        m.stop("pickle.budget", f"more than {limits.opcodes:,} opcodes")
    if framed:
        m.stop("pickle.frame", "an opcode runs over the end of its frame")
    m.stop("pickle.truncated", "it ends before its STOP")
