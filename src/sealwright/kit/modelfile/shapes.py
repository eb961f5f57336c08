"""Records that are built alike: the strict reader learns one, and matches the next ones whole.

A shape is a flat list or dict of protocol 4 as CPython's pickler writes it (EMPTY_DICT MEMOIZE
MARK, plain values, texts, tuples of plain values, SETITEMS), as a pattern over its bytes. What
differs between two records of a shape is no more than the bytes of plain values and of texts, so
the pattern's match has the same effect on stack and memo each time: that effect is the shape's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sealwright.kit.modelfile.limits import Limits

WIDTHS = {0x4B: 2, 0x4D: 3, 0x4A: 5, 0x47: 9, 0x4E: 1, 0x88: 1, 0x89: 1}
"""Bytes that an opcode for a plain value takes: BININT1, BININT2, BININT, BINFLOAT, NONE, truth."""
VALUE = rb"(?:K.|M..|J.{4}|G.{8}|[N\x88\x89])"
_TEXT_BELOW = 64
_TEXT = b"\x8c(?:%s)" % b"|".join(
    b"%s.{%d}" % (re.escape(bytes([n])), n) for n in range(_TEXT_BELOW)
)
_OPENING = b"\x94("
_CLOSING = {0x5D: b"e", 0x7D: b"u"}
_VARIES = 1
_MOST_TOKENS = 64
_MOST_KEYS = 64
_LEARN_AT = 12
_PATIENCE = 32

Step = int | tuple[int, ...]


class Shape(msgspec.Struct):
    """A record's pattern, and what reading one does.

    ``steps`` are the values it puts in the memo after itself: the group of a text, or the parts
    of a tuple. ``ops`` counts its opcodes; ``weight`` and ``depth`` are its node's.
    """

    match: Callable[[bytes, int, int], Any]
    kind: int
    steps: tuple[Step, ...]
    ops: int
    weight: int
    depth: int
    hits: int = 0
    missed: int = 0


class Shapes:
    """What one stream has taught. ``known`` is by a record's first bytes; None: nothing."""

    def __init__(self, limits: Limits) -> None:
        self.known: dict[bytes, Shape | None] = {}
        self._seen: dict[bytes, int] = {}
        self._limits = limits

    def note(self, key: bytes, data: bytes, pos: int, limit: int, memo: Sequence[int]) -> None:
        """A record began at ``pos`` that no shape matches."""
        shape = self.known.get(key)
        if shape is not None:
            shape.missed += 1
            if shape.missed > _PATIENCE + shape.hits:
                self.known[key] = None
            return
        times = self._seen.get(key, 0) + 1
        if times == 1 and len(self._seen) == _MOST_KEYS:
            return
        self._seen[key] = times
        if times == _LEARN_AT:
            learnt = learn(data, pos, limit, memo)
            fits = learnt is not None and learnt.depth <= self._limits.depth
            self.known[key] = learnt if fits else None


def learn(data: bytes, pos: int, limit: int, memo: Sequence[int]) -> Shape | None:
    """The shape of the record at ``pos``; None where it is not flat, or long."""
    draft = _Draft(data, pos, memo)
    if data[pos + 1 : pos + 3] != _OPENING:
        return None
    for _ in range(_MOST_TOKENS):
        op = data[draft.at : draft.at + 1]
        read = _READS.get(op)
        if draft.at >= limit or (read is None and op != _CLOSING[data[pos]]):
            return None
        draft.ops += 1
        if read is None:
            return draft.closed(op)
        if not read(draft):
            return None
    return None


class _Draft:
    """A record on its way to a shape. Each method takes one value; False is no for good."""

    def __init__(self, data: bytes, pos: int, memo: Sequence[int]) -> None:
        self.data, self.at, self.memo = data, pos + 3, memo
        self.dict = data[pos] == 0x7D
        self.parts = [re.escape(data[pos : pos + 3])]
        self.values = list[int]()
        self.steps = list[Step]()
        self.groups, self.ops, self.weight, self.depth = 0, 3, 1, 1

    def plain(self) -> bool:
        """A number, None or a truth value: any other will do as well."""
        self._take(WIDTHS[self.data[self.at]], 0, VALUE)
        return True

    def fetched(self, width: int) -> bool:
        """BINGET, LONG_BINGET of what is plain, and was in the memo before the record."""
        end = self.at + 1 + width
        index = int.from_bytes(self.data[self.at + 1 : end], "little")
        if index >= len(self.memo) or self.memo[index] > 0:
            return False
        self._take(1 + width, self.memo[index], re.escape(self.data[self.at : end]))
        return True

    def text(self) -> bool:
        """SHORT_BINUNICODE: any other short text will do as well."""
        length = (self.data[self.at + 1 : self.at + 2] or b"\xff")[0]
        if length >= _TEXT_BELOW:
            return False
        end = self.at + 2 + length
        if self.data[end : end + 1] == b"\x94":
            self.groups += 1
            self.ops += 1
            self.steps.append(self.groups)
            self._take(3 + length, _VARIES, b"(%s)\x94" % _TEXT)
        else:
            self._take(2 + length, _VARIES, _TEXT)
        return True

    def tuple(self, count: int) -> bool:
        """TUPLE1 to TUPLE3 of what is the same in every record."""
        held = tuple(self.values[-count:])
        op = self.data[self.at : self.at + 2]
        if len(held) < count or max(held) > 0 or op[1:] != b"\x94":
            return False
        del self.values[-count:]
        self._take(2, _VARIES, re.escape(op))
        self.steps.append(held)
        self.ops += 1
        self.weight, self.depth = self.weight + 1 + count, 2
        return True

    def closed(self, op: bytes) -> Shape | None:
        """APPENDS, SETITEMS."""
        if not self.values or (self.dict and len(self.values) & 1):
            return None
        match = re.compile(b"".join((*self.parts, op)), re.DOTALL).match
        weight = self.weight + len(self.values)
        return Shape(match, 1 + self.dict, tuple(self.steps), self.ops, weight, self.depth)

    def _take(self, width: int, value: int, pattern: bytes) -> None:
        self.at += width
        self.values.append(value)
        self.parts.append(pattern)


_READS: dict[bytes, Callable[[_Draft], bool]] = {
    **dict.fromkeys((bytes([op]) for op in WIDTHS), _Draft.plain),
    b"h": lambda draft: draft.fetched(1),
    b"j": lambda draft: draft.fetched(4),
    b"\x8c": _Draft.text,
    b"\x85": lambda draft: draft.tuple(1),
    b"\x86": lambda draft: draft.tuple(2),
    b"\x87": lambda draft: draft.tuple(3),
}
