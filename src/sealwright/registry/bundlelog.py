"""The log inside a bundle: every tile must be there, be the right one, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sealwright.core.errors import Unavailable, VerifyError
from sealwright.core.ports import Entry
from sealwright.core.records import Receipt
from sealwright.evidence.checkpoint import read_checkpoint
from sealwright.evidence.merkle import HASH_BYTES, leaf_hash, node_hash
from sealwright.evidence.note import MAX_NOTE_BYTES
from sealwright.evidence.tlog import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileHashes,
    decode_bundle,
    tiles,
)
from sealwright.registry.bundle import Bundle, read

ROOT = "evidence/log/"
CHECKPOINT = ROOT + "checkpoint"
MAX_ENTRIES = 50_000_000


class BundleLog:
    """A read-only log over a bundle's members. Implements ``core.ports.Log``."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises: VerifyError when a tile is missing, or a member of the log is no tile."""
        self._bundle = bundle
        self._note = read(bundle, CHECKPOINT, MAX_NOTE_BYTES)
        self._size = read_checkpoint(self._note, CHECKPOINT).size
        if self._size > MAX_ENTRIES:
            raise VerifyError(
                f"a log of {self._size:,} entries does not fit into a bundle",
                where=CHECKPOINT,
                rule="bundle.member-odd",
            )
        self._hashes = TileHashes(self._size, self._tile)
        self.members = frozenset({CHECKPOINT, *(ROOT + t.path for t in tiles(self._size))})

    def append(self, bodies: Sequence[bytes]) -> Sequence[Receipt]:
        """Raises: Unavailable; a bundle is a copy."""
        raise Unavailable("a bundle's log cannot be appended to")

    def size(self) -> int:
        """How many entries the checkpoint covers."""
        return self._size

    def checkpoint(self) -> bytes:
        """The signed note with its cosignatures, unverified."""
        return self._note

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """The entries ``[start, end)``. Raises: VerifyError."""
        stop = self._size if end is None else min(end, self._size)
        for first in range(start - start % TILE_WIDTH, stop, TILE_WIDTH):
            tile = tile_of(first, self._size)
            bodies = decode_bundle(self._tile(tile), tile.width, ROOT + tile.path)
            for index in range(max(first, start), min(first + TILE_WIDTH, stop)):
                yield Entry(index, bodies[index - first])

    def hash_at(self, level: int, index: int) -> bytes:
        """The hash of a complete node as the bundle's tiles have it."""
        return self._hashes(level, index)

    def check_tiles(self) -> int:
        """Recompute every hash tile from the entries; returns how many there are.

        Raises: VerifyError (rule ``bundle.tile-changed``) naming the first that differs.
        """
        row = [leaf_hash(entry.body) for entry in self.entries()]
        level, count = 0, 0
        while row:
            for n in range(0, len(row), TILE_WIDTH):
                part = row[n : n + TILE_WIDTH]
                tile = Tile(level, n // TILE_WIDTH, len(part))
                if self._tile(tile) != b"".join(part):
                    raise VerifyError(
                        f"{ROOT}{tile.path} was changed",
                        where=ROOT + tile.path,
                        why="it is not the tile over the log's entries",
                        rule="bundle.tile-changed",
                    )
                count += 1
            level += 1
            for _ in range(TILE_HEIGHT):
                pairs = zip(row[::2], row[1::2], strict=False)
                row = [node_hash(left, right) for left, right in pairs]
        return count

    def _tile(self, tile: Tile) -> bytes:
        unit = MAX_ENTRY_BYTES + 2 if tile.level == ENTRIES else HASH_BYTES
        return read(self._bundle, ROOT + tile.path, tile.width * unit)


def tile_of(index: int, size: int) -> Tile:
    """The entry bundle that holds entry ``index`` of a log of ``size``."""
    n = index // TILE_WIDTH
    return Tile(ENTRIES, n, min(TILE_WIDTH, size - n * TILE_WIDTH))
