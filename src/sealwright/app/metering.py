"""A store that counts what is read through it, and stops at what was allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from sealwright.core.errors import Refused
from sealwright.core.ports import Readable, Store, StoredFile


class Meter:
    """``allowed`` bytes at most; ``taken`` so far. Bytes of a file read again are not new."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.taken = 0

    def take(self, count: int) -> None:
        """Raises: Refused, before bytes beyond the budget are handed out."""
        if self.taken + count > self.allowed:
            raise Refused(
                "this read would take more than was allowed",
                why=f"{self.allowed:,} bytes were; it took {self.taken:,} and asks for {count:,}",
                hint="seal data verify: the data is longer than its signed size says",
                rule="access.budget-spent",
            )
        self.taken += count


class MeteredStore:
    """The store as one read may use it."""

    def __init__(self, store: Store, meter: Meter) -> None:
        self._store = store
        self._meter = meter

    def put(self, scope: str, source: BinaryIO) -> StoredFile:
        """As the store's."""
        return self._store.put(scope, source)

    def open(self, scope: str, file: StoredFile) -> Readable:
        """As the store's."""
        return _Metered(self._store.open(scope, file), self._meter)

    def shred(self, scope: str, segments: Sequence[str]) -> int:
        """As the store's."""
        return self._store.shred(scope, segments)

    def segments(self, scope: str) -> frozenset[str]:
        """As the store's."""
        return self._store.segments(scope)


class _Metered:
    """A file whose new bytes are counted before they are handed out."""

    def __init__(self, inner: Readable, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter
        self._seen: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        return self._inner.size

    def pread(self, offset: int, length: int) -> bytes:
        end = max(offset, min(offset + length, self.size))
        merged = _merged([*self._seen, (offset, end)])
        self._meter.take(_length(merged) - _length(self._seen))
        self._seen = merged
        return self._inner.pread(offset, length)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def _length(spans: list[tuple[int, int]]) -> int:
    return sum(end - start for start, end in spans)
