"""Tiles: a log as static files, 256 hashes or entries each (c2sp.org/tlog-tiles).

Tile ``(level, n)`` holds the complete nodes ``(8 * level, 256 * n + i)``; ``width`` is how
many of them exist, 256 for a full tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from sealwright.core.errors import BadInput, VerifyError
from sealwright.evidence.merkle import HASH_BYTES, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES = 65_535
ENTRIES = -1
"""The pseudo-level of entry bundles."""


class Tile(msgspec.Struct, frozen=True):
    """Which tile: ``level`` (``ENTRIES`` for a bundle), number and width (1 to 256)."""

    level: int
    n: int
    width: int

    @property
    def path(self) -> str:
        """``tile/0/x001/x234/067`` or, partial, ``tile/entries/000.p/17``."""
        parts = [f"{self.n % 1000:03d}"]
        rest = self.n // 1000
        while rest:
            parts.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        tail = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{level}/{'/'.join(parts)}{tail}"


def tiles(size: int, start: int = 0) -> Iterator[Tile]:
    """The tiles of a log of ``size`` that a log of ``start`` entries does not have as they are.

    Entry bundles first, then level 0 upward: the order in which they must be written.
    """
    yield from _row(ENTRIES, size, start)
    level = 0
    while size:
        yield from _row(level, size, start)
        size, start, level = size >> TILE_HEIGHT, start >> TILE_HEIGHT, level + 1


def encode_bundle(bodies: Iterable[bytes]) -> bytes:
    """Entries with big-endian uint16 lengths. Raises: BadInput (an entry is too long)."""
    parts: list[bytes] = []
    for body in bodies:
        parts += (check_entry(body).to_bytes(2, "big"), body)
    return b"".join(parts)


def decode_bundle(data: bytes, width: int, where: str = "bundle") -> list[bytes]:
    """Exactly ``width`` entries. Raises: VerifyError (rule ``log.bundle``)."""
    bodies: list[bytes] = []
    at = 0
    for _ in range(width):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data):
            raise _bad_bundle(f"it ends inside entry {len(bodies)}", where)
        bodies.append(data[at + 2 : end])
        at = end
    if at != len(data):
        raise _bad_bundle(f"{len(data) - at} bytes follow its {width} entries", where)
    return bodies


def check_entry(body: bytes) -> int:
    """The length of ``body`` if it can be an entry. Raises: BadInput."""
    if len(body) > MAX_ENTRY_BYTES:
        raise BadInput(
            f"a log entry of {len(body)} bytes",
            why=f"an entry holds at most {MAX_ENTRY_BYTES} bytes; larger evidence goes by digest",
        )
    return len(body)


class TileHashes:
    """``hash_at`` of the complete nodes of a log of ``size``, out of its tiles.

    ``read(tile)`` returns the tile's bytes, as wide as asked. Raises: VerifyError.
    """

    def __init__(self, size: int, read: Callable[[Tile], bytes]) -> None:
        self._size = size
        self._read = read
        self._cache: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """The hash of complete node ``(level, index)``. Raises: BadInput, VerifyError."""
        if level < 0 or index < 0 or (index + 1) << level > self._size:
            raise BadInput(f"node ({level}, {index}) is not complete in a log of {self._size}")
        base, inner = divmod(level, TILE_HEIGHT)
        first = index << inner
        row = self._tile(base, first // TILE_WIDTH)
        at = first % TILE_WIDTH
        return fold(row[at : at + (1 << inner)])

    def _tile(self, level: int, n: int) -> list[bytes]:
        found = self._cache.get((level, n))
        if found is None:
            width = min(TILE_WIDTH, (self._size >> TILE_HEIGHT * level) - n * TILE_WIDTH)
            tile = Tile(level, n, width)
            found = split_tile(self._read(tile), width, tile.path)
            if len(self._cache) > 1024:
                self._cache.clear()
            self._cache[level, n] = found
        return found


def split_tile(data: bytes, width: int, where: str = "tile") -> list[bytes]:
    """The hashes of a tile. Raises: VerifyError (rule ``log.tile``) unless ``width`` of them."""
    if len(data) != width * HASH_BYTES:
        raise VerifyError(
            "a tile has the wrong length",
            where=where,
            why=f"{len(data)} bytes, {width * HASH_BYTES} wanted",
            hint="seal log publish",
            rule="log.tile",
        )
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of sibling hashes."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _row(level: int, size: int, start: int) -> Iterator[Tile]:
    for n in range(start // TILE_WIDTH, size // TILE_WIDTH):
        yield Tile(level, n, TILE_WIDTH)
    if size % TILE_WIDTH and size > start:
        yield Tile(level, size // TILE_WIDTH, size % TILE_WIDTH)


def _bad_bundle(why: str, where: str) -> VerifyError:
    return VerifyError("an entry bundle is malformed", where=where, why=why, rule="log.bundle")
