"""The log as static files: published from the ledger, mirrored, and read back from a bundle.

Entry bundles are written first, then hash tiles, the checkpoint last; each by rename. A
reader that takes the checkpoint first therefore finds everything it covers, whenever the
writer stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from sealwright.adapters.durable import Drafts, read_beneath
from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.locking import exclusive
from sealwright.core.ports import Entry
from sealwright.core.records import Receipt
from sealwright.evidence.checkpoint import Checkpoint, read_checkpoint
from sealwright.evidence.merkle import HASH_BYTES, root_at
from sealwright.evidence.note import MAX_NOTE_BYTES
from sealwright.evidence.tlog import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileHashes,
    decode_bundle,
    encode_bundle,
    split_tile,
    tiles,
)

CHECKPOINT = "checkpoint"


class Tiled(Protocol):
    """A log that can be published: a signed head and the tiles under it."""

    def checkpoint(self) -> bytes:
        """The newest signed note."""
        ...

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile or an entry bundle."""
        ...


class TileLog:
    """A read-only log over a directory of tiles, as of the checkpoint found when it was opened.

    Nothing in it is verified here; links and oversize files are refused.
    """

    def __init__(self, directory: Path) -> None:
        """Raises: BadInput (no published log there), VerifyError (malformed checkpoint)."""
        self.directory = directory
        try:
            self._note = read_beneath(directory, CHECKPOINT, MAX_NOTE_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BadInput(f"there is no published log at {directory}") from error
        self._head = read_checkpoint(self._note, str(directory / CHECKPOINT))
        self._hashes = TileHashes(self._head.size, self.tile)
        self.origin = self._head.origin

    def append(self, bodies: Sequence[bytes]) -> Sequence[Receipt]:
        """Raises: Unavailable; a published log is a copy."""
        raise Unavailable(
            f"the log at {self.directory} is a published copy and cannot be appended to"
        )

    def size(self) -> int:
        """How many entries the checkpoint covers."""
        return self._head.size

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """The stored entries ``[start, end)``. Raises: VerifyError (missing or malformed)."""
        stop = self.size() if end is None else min(end, self.size())
        at = max(start, 0)
        while at < stop:
            first = at - at % TILE_WIDTH
            tile = Tile(ENTRIES, first // TILE_WIDTH, min(TILE_WIDTH, self.size() - first))
            bodies = decode_bundle(self.tile(tile), tile.width, self._where(tile))
            last = min(stop, first + TILE_WIDTH)
            for index in range(at, last):
                yield Entry(index, bodies[index - first])
            at = last

    def checkpoint(self) -> bytes:
        """The signed note, unverified, cosignatures included."""
        return self._note

    def hash_at(self, level: int, index: int) -> bytes:
        """The stored hash of complete node ``(level, index)``. Raises: BadInput, VerifyError."""
        return self._hashes(level, index)

    def tile(self, tile: Tile) -> bytes:
        """A tile's bytes; a missing partial tile is cut from the full one.

        Raises: VerifyError (rule ``log.tile-missing``, ``log.tile``, ``log.bundle``).
        """
        for width in {tile.width, TILE_WIDTH}:
            found = Tile(tile.level, tile.n, width)
            try:
                data = read_beneath(self.directory, found.path, _limit(found))
            except FileNotFoundError:
                continue
            return data if width == tile.width else _cut(data, tile, self._where(found))
        raise VerifyError(
            "the published log lacks a file",
            where=self._where(tile),
            why=f"its checkpoint covers {self.size()} entries",
            hint="seal log publish",
            rule="log.tile-missing",
        )

    def _where(self, tile: Tile) -> str:
        return str(self.directory / tile.path)


def publish(
    log: Tiled, directory: Path, verified: Callable[[bytes], Checkpoint] = read_checkpoint
) -> Checkpoint:
    """Bring ``directory`` up to the log's newest checkpoint; returns that.

    Writes only what is new since the checkpoint found there, which ``verified`` has to accept
    (the default only parses: give one that checks signatures). Raises: VerifyError
    (``log.rewound``, ``log.forked``: what was published is not a prefix of ``log``),
    Unavailable (another process is publishing), OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with exclusive(directory / ".lock", f"the published log at {directory}"):
        note = log.checkpoint()
        head = read_checkpoint(note)
        there = _published(directory, verified)
        start = 0
        if there is not None:
            check_prefix(there, log, head, str(directory / CHECKPOINT))
            start = there.size()
            if there.checkpoint() == note:
                return head
        _write(log, directory, head, start, note)
        _prune(directory, head.size, start)
    return head


def check_prefix(there: TileLog, log: Tiled, head: Checkpoint, where: str) -> None:
    """Check that the published ``there`` is a prefix of ``log``, whose checkpoint is ``head``.

    Raises: VerifyError (rule ``log.origin``, ``log.rewound``, ``log.forked``).
    """
    old = read_checkpoint(there.checkpoint(), where)
    if old.origin != head.origin:
        raise VerifyError(
            f"{where} is of the log {old.origin}, not of {head.origin}",
            where=where,
            hint="publish into another directory",
            rule="log.origin",
        )
    if old.size > head.size:
        raise VerifyError(
            f"the log was rewound: {old.size} entries were published, it now has {head.size}",
            where=where,
            why="a log only grows; an older copy of the ledger was put back",
            hint="restore the newer ledger, or open a new origin: seal restore",
            rule="log.rewound",
        )
    if root_at(old.size, TileHashes(head.size, log.tile)) != old.root:
        first = first_difference(there, log, old.size)
        named = f"entry {first}" if first < old.size else f"an entry below {first}"
        raise VerifyError(
            f"the log was forked: {named} is not the one that was published",
            where=f"{where}, {named}",
            why=f"the roots over the first {old.size} entries differ",
            hint="compare both with `seal log show --index`; one of them was rewritten",
            rule="log.forked",
        )


def first_difference(there: TileLog, log: Tiled, size: int) -> int:
    """The first entry below ``size`` whose stored leaf hashes differ (``size`` if none does)."""
    for tile in tiles(size):
        if tile.level != 0:
            continue
        ours = split_tile(log.tile(tile), tile.width, tile.path)
        theirs = split_tile(there.tile(tile), tile.width, tile.path)
        for at, pair in enumerate(zip(ours, theirs, strict=True)):
            if pair[0] != pair[1]:
                return tile.n * TILE_WIDTH + at
    return size


def _published(directory: Path, verified: Callable[[bytes], Checkpoint]) -> TileLog | None:
    if not (directory / CHECKPOINT).exists():
        return None
    try:
        there = TileLog(directory)
        verified(there.checkpoint())
    except VerifyError as error:
        raise VerifyError(
            "the published log was damaged",
            where=str(directory / CHECKPOINT),
            why=error.why or error.what,
            hint=f"it is a copy: remove {directory}, then `seal log publish` makes it anew",
            rule=error.rule,
        ) from error
    return there


def _write(log: Tiled, directory: Path, head: Checkpoint, start: int, note: bytes) -> None:
    drafts = Drafts(directory)
    try:
        for tile in tiles(head.size, start):
            drafts.write(tile.path, log.tile(tile))
        drafts.settle()
        drafts.write(CHECKPOINT, note)
        drafts.settle()
    finally:
        drafts.drop()


def _prune(directory: Path, size: int, start: int) -> None:
    """Drop the partial forms of tiles that are full now (c2sp.org/tlog-tiles allows it)."""
    level = ENTRIES
    while size:
        if start % TILE_WIDTH and size // TILE_WIDTH > start // TILE_WIDTH:
            full = Tile(level, start // TILE_WIDTH, TILE_WIDTH).path
            shutil.rmtree(directory / f"{full}.p", ignore_errors=True)
        if level != ENTRIES:
            size, start = size >> TILE_HEIGHT, start >> TILE_HEIGHT
        level += 1


def _cut(data: bytes, tile: Tile, where: str) -> bytes:
    if tile.level != ENTRIES:
        return b"".join(split_tile(data, TILE_WIDTH, where)[: tile.width])
    return encode_bundle(decode_bundle(data, TILE_WIDTH, where)[: tile.width])


def _limit(tile: Tile) -> int:
    unit = MAX_ENTRY_BYTES + 2 if tile.level == ENTRIES else HASH_BYTES
    return tile.width * unit
