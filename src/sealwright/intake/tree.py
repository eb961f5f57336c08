"""The record tree of a file and the version tree over files: RFC 6962, twice.

A file's tree is reduced in blocks of 256 leaves. The *stem* of a block is the root over it:
one bit a row, all that a proof needs besides the leaves of two blocks, so leaves are never
kept. Any cutting of a file into stretches, hashed in any order by any number of workers,
gives one root. Source: docs/spec/record-hash-v1.md, "Trees".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import msgspec

from sealwright.core.digest import Digest, check
from sealwright.core.errors import BadInput
from sealwright.evidence import merkle
from sealwright.intake import kernel

STEM_LEVEL = 8
BLOCK_ROWS = 1 << STEM_LEVEL
HASH_BYTES = merkle.HASH_BYTES
BLOCK_BYTES = BLOCK_ROWS * HASH_BYTES
FILE_LABEL = b"sealwright record-file v1".ljust(31, b"\x00")

LeavesAt = Callable[[int, int], bytes]
"""``leaves_at(start, end)``: the concatenated leaf hashes of a file's rows ``[start, end)``."""


class Stretch(msgspec.Struct, frozen=True):
    """Rows ``[start, start + rows)`` of a file, reduced as far as they go alone.

    ``stems`` are those of the whole blocks; ``head`` and ``tail`` the leaves before the first
    and after the last block boundary (``head`` has them all when no boundary is crossed).
    """

    start: int
    rows: int
    head: bytes
    stems: bytes
    tail: bytes


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One leaf of a version tree."""

    path: str
    rows: int
    root: Digest

    def leaf(self) -> bytes:
        """The 32-byte leaf hash."""
        body = self.rows.to_bytes(8, "big") + bytes.fromhex(check(self.root))
        return merkle.leaf_hash(FILE_LABEL + body + self.path.encode())


def stretch(start: int, leaves: bytes) -> Stretch:
    """Reduce the leaves of rows that begin at ``start``. Workers call this; it shares nothing."""
    count = _rows_of(leaves)
    before = min(-start % BLOCK_ROWS, count) * HASH_BYTES
    after = len(leaves) - (len(leaves) - before) % BLOCK_BYTES
    view = memoryview(leaves)
    return Stretch(
        start, count, bytes(view[:before]), reduce(view[before:after]), bytes(view[after:])
    )


class RecordTree:
    """The tree over one file's leaves, in row order, in constant memory but for the stems.

    ``keep_stems=False`` drops even those; the tree then has a root and proves nothing.
    """

    def __init__(self, *, keep_stems: bool = True) -> None:
        self._edge = merkle.CompactRange()
        self._pending = bytearray()
        self._stems = bytearray() if keep_stems else None

    @property
    def rows(self) -> int:
        """How many leaves there are."""
        return self._edge.size * BLOCK_ROWS + len(self._pending) // HASH_BYTES

    @property
    def stems(self) -> bytes:
        """The stems of the whole blocks, concatenated; what :func:`record_path` needs."""
        if self._stems is None:
            raise BadInput("this tree was told to keep no stems")
        return bytes(self._stems)

    @property
    def root(self) -> Digest:
        """The root over everything pushed so far."""
        nodes = list(self._edge.nodes)
        if self._pending:
            nodes.append(merkle.root_of(_each(self._pending)))
        if not nodes:
            return merkle.EMPTY_ROOT.hex()
        root = nodes.pop()
        while nodes:
            root = merkle.node_hash(nodes.pop(), root)
        return root.hex()

    def push(self, leaves: bytes) -> None:
        """Append concatenated leaf hashes. Raises: BadInput (not a multiple of 32 bytes)."""
        self.extend(stretch(self.rows, leaves))

    def extend(self, piece: Stretch) -> None:
        """Append a stretch. Raises: BadInput unless it begins where the tree ends."""
        if piece.start != self.rows:
            raise BadInput(f"a stretch from row {piece.start} cannot follow {self.rows} rows")
        self._pending += piece.head
        if len(self._pending) == BLOCK_BYTES:
            self._add(reduce(self._pending))
            self._pending.clear()
        self._add(piece.stems)
        self._pending += piece.tail

    def _add(self, stems: bytes) -> None:
        for stem in _each(stems):
            self._edge.push(stem)
        if self._stems is not None:
            self._stems += stems


def record_path(row: int, rows: int, stems: bytes, leaves_at: LeavesAt) -> list[bytes]:
    """The inclusion path of one row in its file's tree, leaf end first.

    Asks ``leaves_at`` for the row's own block and, at most, for the last, partial one.
    Raises: BadInput (no such row, or stems of another file).
    """
    if len(stems) != rows // BLOCK_ROWS * HASH_BYTES:
        raise BadInput(f"{len(stems)} bytes of stems do not belong to a file of {rows} rows")
    blocks: dict[int, bytes] = {}

    def hash_at(level: int, index: int) -> bytes:
        start, end = index << level, (index + 1) << level
        if level >= STEM_LEVEL:
            first, last = start >> STEM_LEVEL, end >> STEM_LEVEL
            return merkle.root_of(_each(stems[first * HASH_BYTES : last * HASH_BYTES]))
        base = start - start % BLOCK_ROWS
        if base not in blocks:
            blocks[base] = leaves_at(base, min(base + BLOCK_ROWS, rows))
        span = slice((start - base) * HASH_BYTES, (end - base) * HASH_BYTES)
        return merkle.root_of(_each(blocks[base][span]))

    return merkle.inclusion_proof(row, rows, hash_at)


def sorted_files(files: Iterable[FileEntry]) -> tuple[FileEntry, ...]:
    """A version's files in tree order: by the UTF-8 bytes of the path.

    Raises: BadInput when a path is there twice.
    """
    ordered = tuple(sorted(files, key=lambda each: each.path.encode()))
    for one, two in pairwise(ordered):
        if one.path == two.path:
            raise BadInput(f"{one.path!r} is in the version twice")
    return ordered


def version_root(files: Iterable[FileEntry]) -> Digest:
    """The root over a version's files, whatever order they come in. Raises: BadInput."""
    return merkle.root_of(each.leaf() for each in sorted_files(files)).hex()


def version_path(index: int, files: tuple[FileEntry, ...]) -> list[bytes]:
    """The inclusion path of file ``index`` of :func:`sorted_files`, leaf end first."""
    leaves = [each.leaf() for each in files]

    def hash_at(level: int, at: int) -> bytes:
        return merkle.root_of(leaves[at << level : (at + 1) << level])

    return merkle.inclusion_proof(index, len(files), hash_at)


def reduce(leaves: bytes | bytearray | memoryview) -> bytes:
    """The stems of whole blocks of leaves, concatenated. Raises: BadInput."""
    if len(leaves) % BLOCK_BYTES:
        raise BadInput("only whole blocks of 256 leaves have stems")
    fast = kernel.load()
    return plain_reduce(leaves) if fast is None else fast.reduce(leaves)


def plain_reduce(leaves: bytes | bytearray | memoryview) -> bytes:
    """:func:`reduce` by hashlib alone."""
    level = [bytes(each) for each in _each(leaves)]
    for _ in range(STEM_LEVEL):
        level = [merkle.node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return b"".join(level)


def _each(hashes: bytes | bytearray | memoryview) -> list[bytes]:
    view = bytes(hashes)
    return [view[at : at + HASH_BYTES] for at in range(0, len(view), HASH_BYTES)]


def _rows_of(leaves: bytes) -> int:
    if len(leaves) % HASH_BYTES:
        raise BadInput(f"{len(leaves)} bytes are not a run of 32-byte leaf hashes")
    return len(leaves) // HASH_BYTES
