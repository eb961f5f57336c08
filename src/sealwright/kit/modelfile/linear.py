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
from sealwright.kit.modelfile.shapes import VALUE, WIDTHS, Shapes
from sealwright.kit.modelfile.trace import Trace

PLAIN = bytes(WIDTHS.get(op, 0) for op in range(256))
_RUNS: dict[int, Any] = {
    op: re.compile(b"(?:%s.{%d})*+" % (re.escape(bytes([op])), width - 1), re.DOTALL).match
    for op, width in WIDTHS.items()
}
_VALUES = re.compile(VALUE, re.DOTALL).findall
_LEAF = re.compile(rb"\]\x94\(%s{1,1000}+e" % VALUE, re.DOTALL).match
"""EMPTY_LIST MEMOIZE MARK, plain values, APPENDS."""


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
    end = follow(machine)
    return machine.trace(end), tuple(machine.refused)


def follow(machine: Machine) -> int:
    """Run ``machine`` up to its STOP; returns the offset after that. Raises: Unsound."""
    collecting = gc.isenabled()
    gc.disable()  # nothing here is a cycle, and looking for some costs a third of the time
    try:
        return _run(machine)
    finally:
        if collecting:
            gc.enable()


def _run(m: Machine) -> int:  # noqa: C901, PLR0915
    # One loop, by frequency, and what belongs together in one turn of it: a call for each opcode
    # would quarter the speed. tests/modelfile/plain_reader.py is the same without any of that.
    data, pos, most = m.data, m.start, m.limits.opcodes
    stack, memo, marks = m.stack, m.memo, m.marks
    nodes: list[Any] = m.nodes.items
    push, pop, extend, keep, add = stack.append, stack.pop, stack.extend, memo.append, nodes.append
    hold, plain, cold, runs, leaves, values_of = m.nodes.hold, PLAIN, COLD, _RUNS, _LEAF, _VALUES
    shapes = Shapes(m.limits)
    known, note = shapes.known.get, shapes.note
    limit = size = len(data)
    framed = False
    gate = pos  # where the limit and the budget are looked at again
    fence = ops = 0
    last = 0  # above this place on the stack, every value is plain
    parts: tuple[int, ...]
    node: Any
    shape: Any
    try:
        while True:
            if pos >= gate:  # an opcode takes a byte at least, so no sooner need it be looked at
                if pos >= limit and ops <= most:
                    if pos > limit or not framed:
                        break
                    limit, framed = size, False
                    if pos >= limit:
                        break
                if ops >= most:
                    ops = most + 1
                    break
                gate = min(limit, pos + most - ops)
            ops += 1
            op = data[pos]
            if op == 0x68:  # BINGET
                value = memo[data[pos + 1]]
                pos += 2
                if value > 0:
                    last = len(stack)
                    if type(nodes[value]) is list:
                        nodes[value][3] = True
                push(value)
            elif op == 0x8C:  # SHORT_BINUNICODE
                value = -1 - pos
                push(value)
                pos += 2 + data[pos + 1]
                if pos < limit and data[pos] == 0x94:
                    keep(value)
                    ops += 1
                    pos += 1
            elif width := plain[op]:  # a number, None or a truth value
                push(0)
                pos += width
                if pos < limit and data[pos] == op:
                    end = runs[op](data, pos, limit).end()
                    count = (end - pos) // width
                    extend([0] * count)
                    ops += count
                    pos = end
            elif op == 0x94:  # MEMOIZE
                keep(stack[-1])
                pos += 1
            elif op == 0x28:  # MARK
                fence = len(stack)
                marks.append(fence)
                pos += 1
            elif op == 0x86:  # TUPLE2
                second, first = pop(), pop()
                if len(stack) < fence:
                    m.pos = pos
                    m.stop("pickle.stack", "a tuple takes more than there is")
                value = len(nodes)
                parts = (first, second)
                last = len(stack)
                if first <= 0 and second <= 0:
                    add(parts)
                else:
                    m.pos = pos
                    node = [0, 1, 0, False, -1, parts]
                    hold(node, parts, ops)
                    add(node)
                push(value)
                pos += 1
                if pos < limit and data[pos] == 0x94:
                    keep(value)
                    ops += 1
                    pos += 1
            elif op == 0x5D or op == 0x7D:  # EMPTY_LIST EMPTY_DICT
                key = data[pos : pos + (5 if op == 0x7D else 4)]
                shape = known(key, 0)
                value = len(nodes)
                last = len(stack)
                push(value)
                if shape and (found := shape.match(data, pos, limit)):
                    keep(value)
                    add([shape.kind, shape.weight, shape.depth, False, -1, ()])
                    for step in shape.steps:
                        if type(step) is int:
                            keep(-1 - found.start(step))
                        else:
                            keep(len(nodes))
                            add(step)
                    ops += shape.ops - 1
                    shape.hits += 1
                    pos = found.end()
                    continue
                if shape is not None:
                    note(key, data, pos, limit, memo)
                if key[1:3] != b"\x94(" or pos + 3 > limit:
                    add([1 if op == 0x5D else 2, 1, 0, False, -1, ()])
                    pos += 1
                    continue
                keep(value)  # MEMOIZE
                if op == 0x5D and plain[key[-1]] and (leaf := leaves(data, pos, limit)):
                    end = leaf.end()
                    count = len(values_of(data, pos + 3, end - 1))
                    add([1, 1 + count, 1, False, -1, ()])
                    ops += 3 + count
                    pos = end
                else:  # MARK
                    add([1 if op == 0x5D else 2, 1, 0, False, -1, ()])
                    fence = len(stack)
                    marks.append(fence)
                    ops += 2
                    pos += 3
            elif op == 0x85 or op == 0x87 or op == 0x74:  # TUPLE1 TUPLE3 TUPLE
                at = fence if op == 0x74 else len(stack) - (op - 0x84)
                parts = tuple(stack[at:]) if at >= fence else ()
                if not parts or (op == 0x74 and not marks):
                    m.pos, m.ops = pos, ops
                    pos = cold[op](m, pos)
                    fence = marks[-1] if marks else 0
                    last = len(stack)
                else:
                    if last < at:
                        node = parts
                    else:
                        m.pos = pos
                        node = [0, 1, 0, False, -1, parts]
                        hold(node, parts, ops)
                    del stack[at:]
                    last = at
                    push(len(nodes))
                    add(node)
                    pos += 1
                    if op == 0x74:
                        marks.pop()
                        fence = marks[-1] if marks else 0
            elif op == 0x65 or op == 0x75 or op == 0x73 or op == 0x61:
                if op == 0x73 or op == 0x61:  # SETITEM APPEND
                    at, below = len(stack) - (2 if op == 0x73 else 1), fence
                else:  # APPENDS SETITEMS
                    at, below = fence, marks[-2] if len(marks) > 1 else 0
                target = stack[at - 1] if at > below else 0
                node = nodes[target] if target > 0 else None
                kind = 1 if op == 0x65 or op == 0x61 else 2
                count = len(stack) - at
                m.pos = pos
                if (
                    type(node) is list
                    and node[0] == kind
                    and not node[3]
                    and (kind == 1 or not count & 1)
                ):
                    if last >= at:
                        hold(node, stack[at:], ops)
                    else:
                        node[1] += count
                        node[2] = node[2] or 1
                    del stack[at:]
                    if op != 0x73 and op != 0x61:
                        marks.pop()
                        fence = below
                    pos += 1
                else:
                    m.ops = ops
                    pos = cold[op](m, pos)
                    fence = marks[-1] if marks else 0
                    last = len(stack)
            elif op == 0x6A:  # LONG_BINGET
                value = memo[int.from_bytes(data[pos + 1 : pos + 5], "little")]
                pos += 5
                if value > 0:
                    last = len(stack)
                    if type(nodes[value]) is list:
                        nodes[value][3] = True
                push(value)
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
                m.pos, m.ops = pos, ops
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
                limit, framed, gate = pos + length, True, pos
            else:
                handler = cold.get(op)
                m.pos, m.ops = pos, ops
                if handler is None:
                    m.stop("pickle.opcode", f"0x{op:02x} is no opcode that is read here")
                pos = handler(m, pos)
                fence = marks[-1] if marks else 0
                last = len(stack)
    except IndexError:
        m.pos = pos
        m.stop("pickle.stack", "an opcode takes what is not there, or the file ends early")
    m.pos = min(pos, size)
    if ops > most:
        m.stop("pickle.budget", f"more than {most:,} opcodes")
    if framed:
        m.stop("pickle.frame", "an opcode runs over the end of its frame")
    m.stop("pickle.truncated", "it ends before its STOP")
