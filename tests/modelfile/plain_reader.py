"""The strict reader once more, an opcode at a time and no two of them together: the yardstick."""

from sealwright.kit.modelfile.machine import Machine
from sealwright.kit.modelfile.opcodes import COLD

WIDTHS = {0x4B: 2, 0x4D: 3, 0x4A: 5, 0x47: 9, 0x4E: 1, 0x88: 1, 0x89: 1}


def follow(m: Machine) -> int:
    """Run ``m`` up to its STOP; the offset after it. Raises: Unsound."""
    size = limit = len(m.data)
    framed = False
    m.pos = m.start
    try:
        while m.data[m.pos : m.pos + 1] != b"." or m.pos >= limit:
            if m.pos == limit and framed:
                limit, framed = size, False
                continue
            _counted(m, limit, framed)
            if m.data[m.pos] == 0x95:
                end = m.pos + 9 + _number(m.data, m.pos, 8)
                if framed or m.protocol < 4 or end < m.pos + 13 or end > size:
                    m.stop("pickle.frame", "a frame cannot begin here")
                m.pos, limit, framed = m.pos + 9, end, True
            else:
                m.pos = _one(m, m.data[m.pos])
        _counted(m, limit, framed)
    except IndexError:
        m.stop("pickle.stack", "an opcode takes what is not there")
    if framed and m.pos + 1 != limit:
        m.stop("pickle.frame", "the pickle ends inside a frame")
    if len(m.stack) != 1 or m.marks:
        m.stop("pickle.stack", "values are left at the end")
    return m.pos + 1


def _counted(m: Machine, limit: int, framed: bool) -> None:
    if m.pos >= limit:
        m.pos = min(m.pos, len(m.data))
        if framed:
            m.stop("pickle.frame", "an opcode runs over the end of its frame")
        m.stop("pickle.truncated", "it ends before its STOP")
    m.ops += 1
    if m.ops > m.limits.opcodes:
        m.stop("pickle.budget", "more than it may have")


def _one(m: Machine, op: int) -> int:
    data, pos = m.data, m.pos
    if op in WIDTHS:
        m.stack.append(0)
        return pos + WIDTHS[op]
    if op == 0x94:
        m.memo.append(m.stack[-1])
        return pos + 1
    if op in (0x68, 0x6A):
        width = 1 if op == 0x68 else 4
        value = m.memo[data[pos + 1] if width == 1 else _number(data, pos, 4)]
        if value > 0:
            m.nodes.of(value)[3] = True
        m.stack.append(value)
        return pos + 1 + width
    if op in (0x71, 0x72):
        width = 1 if op == 0x71 else 4
        if (data[pos + 1] if width == 1 else _number(data, pos, 4)) != len(m.memo):
            m.stop("pickle.memo", "a memo is put out of order")
        m.memo.append(m.stack[-1])
        return pos + 1 + width
    if op in (0x8C, 0x58):
        m.stack.append(-1 - pos)
        return pos + (2 + data[pos + 1] if op == 0x8C else 5 + _number(data, pos, 4))
    if op == 0x28:
        m.marks.append(len(m.stack))
        return pos + 1
    if op not in COLD:
        m.stop("pickle.opcode", "no opcode that is read here")
    return COLD[op](m, pos)


def _number(data: bytes, pos: int, width: int) -> int:
    return int.from_bytes(data[pos + 1 : pos + 1 + width], "little")
