"""Audits a log's stored tiles: every entry, hash and node against the one above, then the root.

Works on anything that yields tiles: the ledger, what it published, a mirror, a bundle.
"""

from __future__ import annotations

from collections.abc import Callable

from sealwright.core.errors import VerifyError
from sealwright.core.ports import Progress
from sealwright.evidence.checkpoint import Checkpoint
from sealwright.evidence.merkle import HASH_BYTES, CompactRange, leaf_hash
from sealwright.evidence.tlog import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    decode_bundle,
    fold,
    split_tile,
)

ReadTile = Callable[[Tile], bytes]


def audit(
    read: ReadTile, signed: Checkpoint, where: str, progress: Progress | None = None
) -> list[bytes]:
    """Recompute the whole tree from its entries; returns the leaf hashes.

    Raises: VerifyError naming the first entry or tile that differs (``log.entry-changed``,
    ``log.tile-changed``, ``log.root-changed``, and what ``read`` raises for missing files).
    """
    leaves: list[bytes] = []
    for start in range(0, signed.size, TILE_WIDTH):
        leaves += _block(read, start, min(TILE_WIDTH, signed.size - start), where)
        if progress is not None:
            progress.advance(len(leaves), signed.size, f"entries of {where}")
    _levels(read, leaves, where)
    edge = CompactRange()
    for leaf in leaves:
        edge.push(leaf)
    if edge.root() != signed.root:
        raise VerifyError(
            "the entries are not the ones the checkpoint was signed over",
            where=where,
            why="entries and hashes agree with each other, but their root is not the signed one",
            hint="compare with a mirror or a witness: seal log verify",
            rule="log.root-changed",
        )
    return leaves


def _block(read: ReadTile, start: int, width: int, where: str) -> list[bytes]:
    n = start // TILE_WIDTH
    bundle, tile = Tile(ENTRIES, n, width), Tile(0, n, width)
    bodies = decode_bundle(read(bundle), width, f"{where}: {bundle.path}")
    stored = split_tile(read(tile), width, f"{where}: {tile.path}")
    for at, body in enumerate(bodies):
        if leaf_hash(body) != stored[at]:
            raise VerifyError(
                f"entry {start + at} was changed",
                where=f"{where}: entry {start + at}",
                why="its bytes and its stored leaf hash do not belong together",
                hint="restore the log from a backup or a mirror",
                rule="log.entry-changed",
            )
    return stored


def _levels(read: ReadTile, leaves: list[bytes], where: str) -> None:
    row, level = leaves, 0
    while len(row) >= TILE_WIDTH:
        full = len(row) >> TILE_HEIGHT
        row = [fold(row[n << TILE_HEIGHT : (n + 1) << TILE_HEIGHT]) for n in range(full)]
        level += 1
        for start in range(0, full, TILE_WIDTH):
            tile = Tile(level, start // TILE_WIDTH, min(TILE_WIDTH, full - start))
            _same(read(tile), row[start : start + tile.width], tile, where)


def _same(data: bytes, computed: list[bytes], tile: Tile, where: str) -> None:
    for at, node in enumerate(computed):
        if data[at * HASH_BYTES : (at + 1) * HASH_BYTES] == node:
            continue
        span = 1 << TILE_HEIGHT * tile.level
        first = (tile.n * TILE_WIDTH + at) * span
        raise VerifyError(
            f"entries {first} to {first + span - 1} or the hash above them were changed",
            where=f"{where}: {tile.path}",
            why="the stored hash is not the one its entries have",
            hint="restore the log from a backup or a mirror",
            rule="log.tile-changed",
        )
    split_tile(data, tile.width, f"{where}: {tile.path}")
