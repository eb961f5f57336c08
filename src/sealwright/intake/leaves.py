"""A file's leaf hashes: into a tree, and into a spool where somebody needs them again.

A spool holds keyed hashes, never plaintext, in a file that has no name: a crash leaves nothing.
"""

from __future__ import annotations

import io
import mmap
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import IO, BinaryIO, cast

import pyarrow as pa

from sealwright.core.errors import BadInput
from sealwright.intake.record import LEAF_BYTES, leaves
from sealwright.intake.schema import RecordSchema, schema_of
from sealwright.intake.tree import RecordTree, Stretch, stretch

HASHES = pa.binary(LEAF_BYTES)
MOST_HELD_BYTES = 16 << 20
"""How much of a spool stays in memory: the leaves of half a million rows."""

_AHEAD = 4


class Spool:
    """Concatenated 32-byte hashes: in memory while they are few, else in a nameless file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self.count = 0

    def write(self, hashes: bytes) -> None:
        """Append."""
        self.count += len(hashes) // LEAF_BYTES
        self._held += hashes
        if len(self._held) > MOST_HELD_BYTES:
            if self._file is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self._folder)
            self._file.write(self._held)
            self._held.clear()

    def array(self) -> pa.Array:
        """All of them, as fixed-size binary; it outlives the spool."""
        if self._file is None:
            data = pa.py_buffer(bytes(self._held))
        else:
            fd = self._flushed(self._file).fileno()
            data = pa.py_buffer(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
        return pa.Array.from_buffers(HASHES, self.count, [None, data])

    def reader(self) -> BinaryIO:
        """The spool as a file, from its start."""
        if self._file is None:
            return io.BytesIO(self._held)
        self._flushed(self._file).seek(0)
        return cast("BinaryIO", self._file)

    def close(self) -> None:
        """Let the disk space go."""
        if self._file is not None:
            self._file.close()

    def _flushed(self, file: IO[bytes]) -> IO[bytes]:
        file.write(self._held)
        self._held.clear()
        file.flush()
        return file


class Hashed:
    """What hashing one file gave: its tree, and spools of leaves and key hashes if asked for."""

    def __init__(self, spool: Spool | None = None, keys: Spool | None = None) -> None:
        self.tree = RecordTree(keep_stems=False)
        self.spool = spool
        self.keys = keys

    def __enter__(self) -> Hashed:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.spool, self.keys):
            if each is not None:
                each.close()


def hash_rows(
    batches: Iterable[pa.RecordBatch],
    schema: RecordSchema,
    secret: bytes,
    into: Hashed,
    key: str = "",
    workers: Executor | None = None,
) -> Hashed:
    """Push every row's leaf into ``into``, in order, whatever order workers finish in.

    ``key`` names the column whose values tell records apart; its hashes go to ``into.keys``.
    Raises: BadInput (a value with no encoding).
    """
    for piece, hashes, keys in _in_order(batches, schema, secret, key, workers):
        into.tree.extend(piece)
        if into.spool is not None:
            into.spool.write(hashes)
        if into.keys is not None and key:
            into.keys.write(keys)
    return into


def key_leaves(batch: pa.RecordBatch, key: str, secret: bytes) -> bytes:
    """The hash of each row's key alone, under a schema of that one column."""
    alone = batch.select([key])
    return leaves(alone, schema_of(alone.schema), secret)


_Piece = tuple[Stretch, bytes, bytes]


def _in_order(
    batches: Iterable[pa.RecordBatch],
    schema: RecordSchema,
    secret: bytes,
    key: str,
    workers: Executor | None,
) -> Iterator[_Piece]:
    if workers is None:
        start = 0
        for batch in batches:
            yield _piece(batch, start, schema, secret, key)
            start += batch.num_rows
        return
    waiting: deque[Future[_Piece]] = deque()
    start = 0
    for batch in batches:
        waiting.append(workers.submit(_piece, batch, start, schema, secret, key))
        start += batch.num_rows
        if len(waiting) >= _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _piece(
    batch: pa.RecordBatch, start: int, schema: RecordSchema, secret: bytes, key: str
) -> _Piece:
    try:
        hashes = leaves(batch, schema, secret)
    except BadInput as error:
        last = start + batch.num_rows - 1
        why = f"in rows {start} to {last}" + (f"; {error.why}" if error.why else "")
        raise BadInput(error.what, why=why, hint=error.hint) from error
    return stretch(start, hashes), hashes, key_leaves(batch, key, secret) if key else b""
