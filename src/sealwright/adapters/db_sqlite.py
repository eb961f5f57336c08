"""The ledger in one SQLite file: the truth that tiles, mirrors and bundles are derived from.

WAL with synchronous FULL; an index is assigned inside the ``BEGIN IMMEDIATE`` transaction
that also stores the leaf hashes, the tree's right edge and the signed checkpoint, so any
number of processes may append and a crash leaves either all of a batch or none of it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

from sealwright.adapters import db_schema as schema
from sealwright.adapters.db_schema import Head
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import Entry, Signer
from sealwright.core.records import Receipt
from sealwright.evidence import checkpoint as checkpoints
from sealwright.evidence import note as notes
from sealwright.evidence import tlog
from sealwright.evidence.checkpoint import Checkpoint
from sealwright.evidence.keys import PublicKey
from sealwright.evidence.merkle import EMPTY_ROOT, CompactRange, leaf_hash

BUSY_S = 15.0
"""How long an append waits for another process before it is refused as ``Unavailable``."""

_PAGE = 1024


class SqliteLog:
    """An append-only log (the port ``Log``), and the tiles and cosignatures that go with it.

    Threads of one process share an instance: appends that meet are committed together.
    """

    def __init__(
        self,
        path: Path,
        origin: str,
        signer: Signer | None,
        former: Sequence[PublicKey],
        busy_s: float,
    ) -> None:
        self.path = path
        self.origin = origin
        self._signer = signer
        self._former = former
        self._db = schema.connect(path, busy_s)
        weakref.finalize(self, self._db.close)
        self._lock = threading.RLock()
        self._queue: list[_Batch] = []
        self._queue_lock = threading.Lock()
        self._ours: Head | None = None

    @classmethod
    def create(cls, path: Path, origin: str, signer: Signer) -> SqliteLog:
        """A new, empty log, there whole or not at all. Raises: BadInput (there is one)."""
        notes.check_name(origin)
        note = checkpoints.sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), signer)
        schema.create(path, origin, Head(0, (), note))
        return cls.open(path, origin, signer)

    @classmethod
    def open(
        cls,
        path: Path,
        origin: str,
        signer: Signer | None = None,
        *,
        former: Sequence[PublicKey] = (),
        busy_s: float = BUSY_S,
    ) -> SqliteLog:
        """Open a log; without ``signer`` it can only be read.

        ``former`` are log keys rotated out since, one of which may have signed the head.

        Cheap: the schema, the origin, and that head, tree edge and rows agree.
        Raises: BadInput (none there), Unavailable (newer format, locked), VerifyError.
        """
        log = cls(path, origin, signer, former, busy_s)
        try:
            with log._lock, schema.snapshot(log._db, path):
                schema.check(log._db, path, origin)
                log._checked(log._head())
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def append(self, bodies: Sequence[bytes]) -> Sequence[Receipt]:
        """Durable on return; all of ``bodies`` or none.

        Raises: BadInput (an entry is too long), Unavailable (locked, full), VerifyError (the
        stored head is not one this log's key signed: nothing is built on top of it).
        """
        for body in bodies:
            tlog.check_entry(body)
        if not bodies:
            return ()
        batch = _Batch(bodies, [leaf_hash(body) for body in bodies])
        with self._queue_lock:
            self._queue.append(batch)
        with self._lock:
            if not batch.settled:
                self._commit_queue()
        return batch.outcome()

    def size(self) -> int:
        """How many entries there are."""
        return self._read_head().size

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """The stored rows ``[start, end)``. Raises: VerifyError (``log.entry-missing``)."""
        stop = self.size() if end is None else min(end, self.size())
        for at in range(max(start, 0), stop, _PAGE):
            yield from self._rows(at, min(at + _PAGE, stop))

    def checkpoint(self) -> bytes:
        """The newest signed note, with the cosignatures that witnesses gave to this very size."""
        head = self._read_head()
        return head.note + b"".join(
            line for _, size, _, line in self._cosigned() if size == head.size
        )

    def witnessed(self) -> bytes | None:
        """The newest checkpoint any witness cosigned, with those cosignatures; None if none."""
        rows = self._cosigned()
        if not rows:
            return None
        newest = max(size for _, size, _, _ in rows)
        held = [(note, line) for _, size, note, line in rows if size == newest]
        return held[0][0] + b"".join(line for note, line in held if note == held[0][0])

    def cosigned_size(self, witness: notes.Verifier) -> int:
        """The size that ``witness`` last cosigned, 0 if never."""
        wanted = f"{witness.name}+{witness.key_hash.hex()}"
        return next((size for key, size, _, _ in self._cosigned() if key == wanted), 0)

    def cosign(self, note: bytes, line: bytes) -> None:
        """Keep a witness's signature line over the log's signed ``note``, the newest per witness.

        The caller has verified the line. Raises: Unavailable (locked, full).
        """
        name, key_hash, _ = notes.parse_line(line.rstrip(b"\n"))
        size = checkpoints.read_checkpoint(note).size
        with self._lock, schema.transaction(self._db, self.path):
            self._db.execute(
                "INSERT INTO cosignatures VALUES (?, ?, ?, ?) ON CONFLICT (witness) DO UPDATE"
                " SET size = excluded.size, note = excluded.note, line = excluded.line"
                " WHERE excluded.size >= cosignatures.size",
                (f"{name}+{key_hash.hex()}", size, note, line),
            )

    def tile(self, tile: tlog.Tile) -> bytes:
        """The bytes of a tile or an entry bundle. Raises: VerifyError (rows are missing)."""
        start = tile.n * tlog.TILE_WIDTH
        end = start + tile.width
        if tile.level == tlog.ENTRIES:
            return tlog.encode_bundle(entry.body for entry in self._rows(start, end))
        with self._lock, schema.translated(self.path):
            found = schema.hashes(self._db, tile.level, start, end)
        if len(found) != tile.width:
            raise VerifyError(
                "the ledger lacks hashes it must have",
                where=tile.path,
                why=f"{len(found)} of {tile.width} are there",
                rule="log.node-missing",
            )
        return b"".join(found)

    def hash_at(self, level: int, index: int) -> bytes:
        """The stored hash of complete node ``(level, index)``. Raises: BadInput, VerifyError."""
        if level == 0 and 0 <= index < self.size():
            with self._lock, schema.translated(self.path):
                found = schema.hashes(self._db, 0, index, index + 1)
            if found:
                return found[0]
        return tlog.TileHashes(self.size(), self.tile)(level, index)

    def _rows(self, start: int, end: int) -> list[Entry]:
        with self._lock, schema.translated(self.path):
            found = schema.bodies(self._db, start, end)
        rows = [Entry(index, body) for index, body in found]
        for expected, row in enumerate(rows, start):
            if row.index != expected:
                raise _missing(expected)
        if len(rows) != end - start:
            raise _missing(start + len(rows))
        return rows

    def _commit_queue(self) -> None:
        with self._queue_lock:
            group, self._queue = self._queue, []
        try:
            with schema.transaction(self._db, self.path):
                head, receipts = self._extend([leaf for b in group for leaf in b.leaves], group)
        except BaseException as error:
            for batch in group:
                batch.error = error
            if not isinstance(error, Exception):
                raise
            return
        self._ours = head
        at = 0
        for batch in group:
            batch.receipts = receipts[at : at + len(batch.bodies)]
            at += len(batch.bodies)

    def _extend(self, leaves: list[bytes], group: list[_Batch]) -> tuple[Head, list[Receipt]]:
        signer = self._signing()
        head = self._checked(self._head())
        edge = CompactRange(head.size, head.nodes)
        for leaf in leaves:
            edge.push(leaf)
        root, first = edge.root(), head.size
        note = checkpoints.sign_checkpoint(Checkpoint(self.origin, edge.size, root), signer)
        new = Head(edge.size, edge.nodes, note)
        bodies = (body for batch in group for body in batch.bodies)
        schema.insert(self._db, first, leaves, bodies)
        schema.insert_nodes(self._db, first, edge.size)
        schema.write_head(self._db, new)
        shown = root.hex()
        return new, [
            Receipt(first + at, leaf.hex(), edge.size, shown) for at, leaf in enumerate(leaves)
        ]

    def _signing(self) -> Signer:
        if self._signer is None:
            raise BadInput("this log was opened without its key and can only be read")
        return self._signer

    def _read_head(self) -> Head:
        with self._lock, schema.translated(self.path):
            return self._head()

    def _head(self) -> Head:
        return schema.read_head(self._db, self.path)

    def _checked(self, head: Head) -> Head:
        """Refuse to build on a head that our key did not sign or that the rows contradict."""
        if head == self._ours:
            return head
        where = f"{self.path.name}: head"
        if self._signer is None:
            found = checkpoints.read_checkpoint(head.note, where)
            checkpoints.check_origin(found, self.origin, where)
        else:
            pems = [self._signer.public_pem(), *(key.pem for key in self._former)]
            keys = [notes.verifier(self.origin, pem) for pem in pems]
            found = checkpoints.open_checkpoint(head.note, keys, self.origin, where).checkpoint
        schema.check_head(self._db, head, found, where)
        return head

    def _cosigned(self) -> list[tuple[str, int, bytes, bytes]]:
        with self._lock, schema.translated(self.path):
            return schema.cosignatures(self._db)


class _Batch:
    """One caller's bodies on their way into a shared transaction."""

    __slots__ = ("bodies", "error", "leaves", "receipts")

    def __init__(self, bodies: Sequence[bytes], leaves: list[bytes]) -> None:
        self.bodies = bodies
        self.leaves = leaves
        self.receipts: Sequence[Receipt] | None = None
        self.error: BaseException | None = None

    @property
    def settled(self) -> bool:
        return self.receipts is not None or self.error is not None

    def outcome(self) -> Sequence[Receipt]:
        if self.error is not None:
            raise self.error
        return self.receipts or ()


def _missing(index: int) -> VerifyError:
    return VerifyError(
        f"entry {index} is missing from the ledger",
        where=f"entry {index}",
        why="its row was deleted or renumbered",
        rule="log.entry-missing",
    )
