"""The strict reader's table of rarer opcodes: each takes the machine and an offset, and returns
the offset that follows. What is not here and not in ``linear`` is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sealwright.kit.modelfile.machine import Machine
from sealwright.kit.modelfile.stack import (
    DICT,
    FETCHED,
    KIND,
    LIST,
    OBJECT,
    PAIR,
    SET,
    TUPLE,
    Node,
    node_of,
)
from sealwright.kit.modelfile.trace import CALLED, FILLED, MADE

Handler = Callable[[Machine, int], int]

NEWEST = 5
_LONG_BYTES = 1 << 16
_DIGITS = 4096


def _proto(m: Machine, pos: int) -> int:
    found = m.number(pos + 1, 1)
    if pos != m.start or not 2 <= found <= NEWEST:
        m.stop("pickle.opcode", f"protocol {found} cannot be set here")
    m.protocol = found
    return pos + 2


def _blob(header: int) -> Handler:
    def read(m: Machine, pos: int) -> int:
        m.stack.append(-1 - pos)
        return pos + 1 + header + m.number(pos + 1, header)

    return read


def _long(header: int) -> Handler:
    def read(m: Machine, pos: int) -> int:
        count = m.number(pos + 1, header)
        if count > _LONG_BYTES:
            m.stop("pickle.budget", f"a number of {count:,} bytes")
        m.stack.append(0)
        return pos + 1 + header + count

    return read


def _tuple(count: int) -> Handler:
    """TUPLE1 to TUPLE3."""

    def read(m: Machine, pos: int) -> int:
        values = tuple(m.take() for _ in range(count))[::-1]
        node = node_of(TUPLE, -1, values)
        m.nodes.hold(node, values, m.ops)
        m.nodes.items.append(node)
        m.stack.append(len(m.nodes.items) - 1)
        return pos + 1

    return read


def _line_number(m: Machine, pos: int) -> int:
    _, after = m.line(pos + 1, _DIGITS)
    m.stack.append(0)
    return after


def _line_text(m: Machine, pos: int) -> int:
    _, after = m.line(pos + 1, m.limits.stream_bytes)
    m.stack.append(-1 - pos)
    return after


def _put(m: Machine, pos: int) -> int:
    text, after = m.line(pos + 1)
    if text != str(len(m.memo)).encode():
        m.stop("pickle.memo", f"memo {text[:20]!r} is put where {len(m.memo)} is next")
    m.memo.append(m.stack[-1])
    return after


def _get(m: Machine, pos: int) -> int:
    text, after = m.line(pos + 1)
    if not text.isdigit() or (text[:1] == b"0" and text != b"0") or int(text) >= len(m.memo):
        m.stop("pickle.memo", f"memo {text[:20]!r} was never put")
    value = m.memo[int(text)]
    node = m.nodes.of(value)
    if node is not None:
        node[FETCHED] = True
    m.stack.append(value)
    return after


def _global(m: Machine, pos: int) -> int:
    module, after = m.line(pos + 1)
    name, after = m.line(after)
    m.name(_plain(m, module), _plain(m, name))
    return after


def _plain(m: Machine, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        m.stop("pickle.text", "a name is not UTF-8")


def _stack_global(m: Machine, pos: int) -> int:
    if m.protocol < 4:
        m.stop("pickle.opcode", "STACK_GLOBAL is of protocol 4")
    name = m.take()
    module = m.take()
    m.name(m.text(module), m.text(name))
    return pos + 1


def _reduce(m: Machine, pos: int) -> int:
    m.made(CALLED)
    return pos + 1


def _new(m: Machine, pos: int) -> int:
    m.made(MADE)
    return pos + 1


def _build(m: Machine, pos: int) -> int:
    m.built()
    return pos + 1


def _fetch(m: Machine, pos: int) -> int:
    m.fetch()
    return pos + 1


def _empty(kind: int) -> Handler:
    def read(m: Machine, pos: int) -> int:
        m.stack.append(m.nodes.add(kind))
        return pos + 1

    return read


def _marked(kind: int) -> Handler:
    """TUPLE, LIST, DICT, FROZENSET: a new container of what is above the mark."""

    def read(m: Machine, pos: int) -> int:
        values = m.take_marked()
        if kind == DICT and len(values) % 2:
            m.stop("pickle.stack", "a key without its value")
        node = node_of(kind, -1, tuple(values) if kind == TUPLE else ())
        m.nodes.hold(node, values, m.ops)
        m.nodes.items.append(node)
        m.stack.append(len(m.nodes.items) - 1)
        return pos + 1

    return read


def _fill(m: Machine, node: Node, kind: int, values: list[int], times: int) -> None:
    if node[KIND] == OBJECT and node[PAIR] >= 0:
        for _ in range(times):
            m.event(FILLED, node[PAIR])
    elif node[KIND] != kind:
        m.stop("pickle.stack", "it is filled as what it is not")
    m.hold(node, values)


def _append(m: Machine, pos: int) -> int:
    value = m.take()
    _fill(m, m.top(), LIST, [value], 1)
    return pos + 1


def _appends(m: Machine, pos: int) -> int:
    values = m.take_marked()
    _fill(m, m.top(), LIST, values, 1 if values else 0)
    return pos + 1


def _set_item(m: Machine, pos: int) -> int:
    value, key = m.take(), m.take()
    _fill(m, m.top(), DICT, [key, value], 1)
    return pos + 1


def _set_items(m: Machine, pos: int) -> int:
    values = m.take_marked()
    if len(values) % 2:
        m.stop("pickle.stack", "a key without its value")
    _fill(m, m.top(), DICT, values, len(values) // 2)
    return pos + 1


def _add_items(m: Machine, pos: int) -> int:
    values = m.take_marked()
    _fill(m, m.top(), SET, values, len(values))
    return pos + 1


def _pop(m: Machine, pos: int) -> int:
    m.take()
    return pos + 1


def _pop_mark(m: Machine, pos: int) -> int:
    m.take_marked()
    return pos + 1


def _refused(rule: str, message: str) -> Handler:
    def read(m: Machine, pos: int) -> int:
        m.stop(rule, message)

    return read


_OLD = "no pickler of Python 3 writes it"
_REGISTRY = "a number stands for a name that is elsewhere"

COLD: Mapping[int, Handler] = {
    0x80: _proto,
    0x8D: _blob(8),  # BINUNICODE8
    0x42: _blob(4),  # BINBYTES
    0x43: _blob(1),  # SHORT_BINBYTES
    0x8E: _blob(8),  # BINBYTES8
    0x96: _blob(8),  # BYTEARRAY8
    0x8A: _long(1),
    0x8B: _long(4),
    0x49: _line_number,  # INT
    0x4C: _line_number,  # LONG
    0x46: _line_number,  # FLOAT
    0x56: _line_text,  # UNICODE
    0x70: _put,
    0x67: _get,
    0x63: _global,
    0x93: _stack_global,
    0x52: _reduce,
    0x81: _new,
    0x62: _build,
    0x51: _fetch,  # BINPERSID
    0x5D: _empty(LIST),
    0x7D: _empty(DICT),
    0x8F: _empty(SET),
    0x29: _empty(TUPLE),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    0x74: _marked(TUPLE),
    0x6C: _marked(LIST),
    0x64: _marked(DICT),
    0x91: _marked(SET),  # FROZENSET: like a set that nothing is added to
    0x61: _append,
    0x65: _appends,
    0x73: _set_item,
    0x75: _set_items,
    0x90: _add_items,
    0x30: _pop,
    0x31: _pop_mark,
    0x50: _refused("pickle.persistent", "a persistent id as text"),
    0x82: _refused("pickle.extension", _REGISTRY),
    0x83: _refused("pickle.extension", _REGISTRY),
    0x84: _refused("pickle.extension", _REGISTRY),
    0x69: _refused("pickle.old-opcode", _OLD),  # INST
    0x6F: _refused("pickle.old-opcode", _OLD),  # OBJ
    0x53: _refused("pickle.old-opcode", _OLD),  # STRING
    0x54: _refused("pickle.old-opcode", _OLD),  # BINSTRING
    0x55: _refused("pickle.old-opcode", _OLD),  # SHORT_BINSTRING
    0x32: _refused("pickle.old-opcode", _OLD),  # DUP
    0x92: _refused("pickle.old-opcode", "NEWOBJ_EX hands over named arguments"),
    0x97: _refused("pickle.old-opcode", "its buffers are somewhere else"),
    0x98: _refused("pickle.old-opcode", "its buffers are somewhere else"),
}
"""Opcode → how it is read. ``linear`` reads the frequent ones itself."""
