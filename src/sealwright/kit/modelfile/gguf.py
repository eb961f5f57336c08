"""GGUF files: header, metadata and where the tensors lie. Source: ggml docs/gguf.md."""

from __future__ import annotations

import struct

from sealwright.core.ports import Readable
from sealwright.kit.modelfile.limits import Limits
from sealwright.kit.modelfile.report import Unsound

MAGIC = b"GGUF"
_RULE = "gguf.header"
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_WINDOW = 1 << 20
_MOST_KEYS = 1 << 16
_MOST_TENSORS = 1 << 20


class _Cursor:
    """Reads on through a source, a megabyte at a time, up to the largest header."""

    def __init__(self, source: Readable, most: int) -> None:
        self._source, self._most, self.at = source, most, 0
        self._window, self._base = b"", 0

    def take(self, count: int) -> bytes:
        start = self.at - self._base
        if start + count > len(self._window):
            self._base, start = self.at, 0
            self._window = self._source.pread(self.at, max(count, _WINDOW))
        self.at += count
        if self.at > min(self._most, self._source.size) or start + count > len(self._window):
            raise Unsound(_RULE, "the header runs past its end", offset=self.at)
        return self._window[start : start + count]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def text(self) -> str:
        length = self.number("<Q")
        if length > self._most:
            raise Unsound(_RULE, f"a text of {length:,} bytes", offset=self.at)
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unsound(_RULE, "a text that is not UTF-8", offset=self.at) from error


def templates(source: Readable, limits: Limits) -> list[tuple[str, str]]:
    """Hold the header against the file; returns its chat templates. Raises: Unsound."""
    cursor = _Cursor(source, limits.header_bytes)
    if cursor.take(4) != MAGIC or cursor.number("<L") not in (2, 3):
        raise Unsound(_RULE, "no version that is known here", offset=4)
    tensors, keys = cursor.number("<Q"), cursor.number("<Q")
    if keys > _MOST_KEYS or tensors > _MOST_TENSORS:
        raise Unsound(_RULE, f"{tensors:,} tensors and {keys:,} keys", offset=8)
    found, names, alignment = list[tuple[str, str]](), set[str](), 32
    for _ in range(keys):
        key = cursor.text()
        if key in names or not key.isascii() or len(key) > 65_535:
            raise Unsound(_RULE, f"the key {key[:60]!r}", offset=cursor.at)
        names.add(key)
        value = _value(cursor, cursor.number("<L"), 0)
        if "chat_template" in key and isinstance(value, str):
            found.append((key, value))
        if key == "general.alignment" and isinstance(value, int):
            alignment = value
    if not 1 <= alignment <= 1 << 20:
        raise Unsound(_RULE, f"an alignment of {alignment}")
    _tensors(cursor, tensors, source.size, alignment)
    return found


def _value(cursor: _Cursor, kind: int, depth: int) -> str | int | None:
    if kind == _STRING:
        return cursor.text()
    if kind == _ARRAY:
        inner, count = cursor.number("<L"), cursor.number("<Q")
        if depth > 3 or count > 1 << 28:
            raise Unsound(_RULE, f"an array of {count:,}", offset=cursor.at)
        if inner in _SIZES:
            _skip(cursor, count * _SIZES[inner])
        else:
            for _ in range(count):
                _value(cursor, inner, depth + 1)
        return None
    if kind not in _SIZES:
        raise Unsound(_RULE, f"a value of kind {kind}", offset=cursor.at)
    return int.from_bytes(cursor.take(_SIZES[kind]), "little")


def _skip(cursor: _Cursor, count: int) -> None:
    while count > 0:
        part = min(count, _WINDOW)
        cursor.take(part)
        count -= part


def _tensors(cursor: _Cursor, count: int, size: int, alignment: int) -> None:
    names, last = set[str](), 0
    for _ in range(count):
        name, dimensions = cursor.text(), cursor.number("<L")
        if name in names or len(name) > 64 or not 1 <= dimensions <= 4:
            raise Unsound(_RULE, f"the tensor {name[:60]!r}", offset=cursor.at)
        names.add(name)
        cursor.take(8 * dimensions + 4)
        offset = cursor.number("<Q")
        if offset % alignment:
            raise Unsound(_RULE, f"the tensor {name!r} is not aligned", offset=cursor.at)
        last = max(last, offset)
    start = -(-cursor.at // alignment) * alignment
    if count and start + last >= size:
        raise Unsound(_RULE, "a tensor lies past the end", offset=cursor.at)
