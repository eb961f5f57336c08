"""Bytes to look at: a whole file, a part of one, or what was unpacked. All are ``Readable``."""

from __future__ import annotations

import struct

from sealwright.core.ports import Readable
from sealwright.kit.modelfile.report import Unsound


class Bytes:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def pread(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset``."""
        return self.data[offset : offset + count]


class Part:
    """A stretch of another source."""

    def __init__(self, inner: Readable, offset: int, size: int) -> None:
        self._inner, self._offset, self.size = inner, offset, size

    def pread(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset`` of the part."""
        count = max(0, min(count, self.size - offset))
        return self._inner.pread(self._offset + offset, count)


def exactly(source: Readable, offset: int, count: int, rule: str) -> bytes:
    """``count`` bytes from ``offset``. Raises: Unsound with ``rule`` where there are fewer."""
    data = source.pread(offset, count) if count > 0 else b""
    if count < 0 or len(data) != count:
        raise Unsound(rule, f"it ends before byte {offset + count:,}", offset=offset)
    return data


def whole(source: Readable, most: int) -> bytes:
    """Everything. Raises: Unsound (file.too-large), (file.fault)."""
    if source.size > most:
        raise Unsound("file.too-large", f"{source.size:,} bytes; {most:,} are read at once")
    return exactly(source, 0, source.size, "file.fault")


def unpacked(form: str, source: Readable, offset: int, rule: str) -> tuple[int, ...]:
    """``struct.unpack`` at ``offset``. Raises: Unsound with ``rule``."""
    return struct.unpack(form, exactly(source, offset, struct.calcsize(form), rule))
