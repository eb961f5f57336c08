"""Protocol buffers by their wire format, with no schema compiler: fields of a message, in order.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

from sealwright.core.ports import Readable
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.source import Part

Field = tuple[int, int, Part | None]
"""Number, the value of a varint (or its size), the bytes of a length-delimited one."""

_VARINT, _WIDE, _BYTES, _SHORT = 0, 1, 2, 5
_MOST_FIELDS = 5_000_000


def fields(part: Part | Readable, rule: str) -> Iterator[Field]:
    """The fields of a message. Raises: Unsound with ``rule``."""
    at, size = 0, part.size
    window, base = b"", 0
    for _ in range(_MOST_FIELDS):
        if at >= size:
            return
        if at - base + 20 > len(window):
            window, base = part.pread(at, 1 << 16), at
        key, at = _varint(window, base, at, rule)
        number, kind = key >> 3, key & 7
        if not number:
            raise Unsound(rule, "a field without a number", offset=at)
        if kind == _VARINT:
            value, at = _varint(window, base, at, rule)
            yield number, value, None
        elif kind == _BYTES:
            length, at = _varint(window, base, at, rule)
            if length > size - at:
                raise Unsound(rule, "a field runs past the end", offset=at)
            yield number, length, Part(part, at, length)
            at += length
        elif kind in (_WIDE, _SHORT):
            at += 8 if kind == _WIDE else 4
            if at > size:
                raise Unsound(rule, "a field runs past the end", offset=at)
            yield number, 0, None
        else:
            raise Unsound(rule, f"a field of kind {kind}", offset=at)
    raise Unsound(rule, f"more than {_MOST_FIELDS:,} fields")


def text(part: Part | None, rule: str) -> str:
    """A string field. Raises: Unsound with ``rule``."""
    if part is None or part.size > 1 << 16:
        raise Unsound(rule, "a name that is none")
    try:
        return part.pread(0, part.size).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unsound(rule, "a name that is not UTF-8") from error


def _varint(window: bytes, base: int, at: int, rule: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at - base >= len(window):
            break
        byte = window[at - base]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Unsound(rule, "a number without an end", offset=at)
