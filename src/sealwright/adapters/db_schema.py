"""The tables of the SQLite ledger, and SQLite's faults in Sealwright's words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from sealwright.adapters.durable import sync_directory
from sealwright.adapters.sqlite_writing import immediate
from sealwright.core.errors import BadInput, SealError, Unavailable, VerifyError
from sealwright.evidence.checkpoint import Checkpoint
from sealwright.evidence.merkle import HASH_BYTES, CompactRange
from sealwright.evidence.tlog import TILE_HEIGHT, TILE_WIDTH, fold

APPLICATION_ID = 0x5EA1_1065
VERSION = 1

TABLES = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "entries": "CREATE TABLE entries (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL,"
    " body BLOB NOT NULL) STRICT",
    "nodes": "CREATE TABLE nodes (level INTEGER NOT NULL, idx INTEGER NOT NULL,"
    " hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID",
    "head": "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL,"
    " edge BLOB NOT NULL, note BLOB NOT NULL) STRICT",
    "cosignatures": "CREATE TABLE cosignatures (witness TEXT PRIMARY KEY, size INTEGER NOT NULL,"
    " note BLOB NOT NULL, line BLOB NOT NULL) STRICT",
}
"""``nodes.level`` counts tiles: level 1 holds the roots of 256 entries, level 2 of 65,536."""

_PRAGMAS = (
    "synchronous = FULL",
    "fullfsync = ON",  # macOS: a plain fsync stops at the drive's cache
    "trusted_schema = OFF",
    "cell_size_check = ON",
)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Head(msgspec.Struct, frozen=True):
    """The stored head: size, the tree's right edge and the signed checkpoint."""

    size: int
    nodes: tuple[bytes, ...]
    note: bytes


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """Open an existing file for WAL and FULL. Raises: BadInput (there is none), Unavailable."""
    if not path.is_file():
        raise BadInput(f"there is no ledger at {path}", hint="seal init")
    with translated(path):
        db = sqlite3.connect(path, busy_s, isolation_level=None, check_same_thread=False)
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
    return db


def create(path: Path, origin: str, head: Head) -> None:
    """Build the file beside its place and link it there. Raises: BadInput (it is taken)."""
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        with translated(path), closing(sqlite3.connect(draft, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            with immediate(db):
                for statement in TABLES.values():
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES ('origin', ?)", (origin,))
                write_head(db, head)
                db.execute(f"PRAGMA user_version = {VERSION}")
        os.link(draft, path)
    except FileExistsError as error:
        raise BadInput(f"there is a ledger at {path} already") from error
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)


def check(db: sqlite3.Connection, path: Path, origin: str) -> None:
    """Raises: Unavailable (a newer format), VerifyError (not our tables, another origin)."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION_ID and version > VERSION:
        raise Unavailable(
            f"{path} was written by a newer Sealwright",
            why=f"ledger format {version}; this version knows {VERSION}",
            hint="pip install --upgrade sealwright",
        )
    found = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))
    if application != APPLICATION_ID or version != VERSION or found != TABLES:
        raise VerifyError(
            "this file is not a ledger, or its tables were changed",
            where=str(path),
            why="tables, triggers or format marks are not the ones Sealwright writes",
            rule="log.schema",
        )
    row = db.execute("SELECT value FROM meta WHERE key = 'origin'").fetchone()
    if row != (origin,):
        raise VerifyError(
            f"the ledger is of the log {row[0] if row else '?'}, not of {origin}",
            where=str(path),
            rule="log.origin",
        )


def check_head(db: sqlite3.Connection, head: Head, signed: Checkpoint, where: str) -> None:
    """Raises: VerifyError when the head's columns or the rows contradict the signed note."""
    try:
        edge = CompactRange(head.size, head.nodes)
    except BadInput as error:
        raise _head_changed(error.what, where) from error
    if (signed.size, signed.root) != (edge.size, edge.root()):
        raise _head_changed("size or tree edge differ from the signed checkpoint", where)
    (last,) = db.execute("SELECT max(idx) FROM entries").fetchone()
    rows = 0 if last is None else last + 1
    if rows < head.size:
        raise VerifyError(
            f"entry {rows} is missing from the ledger",
            where=f"entry {rows}",
            why=f"{head.size} entries were signed, the last row is {rows - 1}",
            hint="restore the ledger from a backup or a mirror",
            rule="log.entry-missing",
        )
    if rows > head.size:
        raise VerifyError(
            f"entry {head.size} was added behind the log's back",
            where=f"entry {head.size}",
            why=f"{head.size} entries were signed, there are rows up to {last}",
            hint="restore the ledger from a backup or a mirror",
            rule="log.uncovered",
        )


def read_head(db: sqlite3.Connection, path: Path) -> Head:
    """The stored head. Raises: VerifyError when there is none."""
    row = db.execute("SELECT size, edge, note FROM head").fetchone()
    if row is None:
        raise _head_changed("it was deleted", f"{path.name}: head")
    size, edge, note = row
    return Head(size, tuple(edge[at : at + HASH_BYTES] for at in range(0, len(edge), 32)), note)


def write_head(db: sqlite3.Connection, head: Head) -> None:
    """Replace the stored head."""
    row = (head.size, b"".join(head.nodes), head.note)
    db.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?)", row)


def insert(
    db: sqlite3.Connection, first: int, leaves: Iterable[bytes], bodies: Iterable[bytes]
) -> None:
    """Add rows from index ``first`` on."""
    pairs = enumerate(zip(leaves, bodies, strict=True), first)
    rows = ((index, leaf, body) for index, (leaf, body) in pairs)
    db.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)


def insert_nodes(db: sqlite3.Connection, old: int, new: int) -> None:
    """Add the roots of the full tiles that growing from ``old`` to ``new`` entries completes."""
    level = 0
    while new >> TILE_HEIGHT:
        done, full = old >> TILE_HEIGHT, new >> TILE_HEIGHT
        rows = [
            (level + 1, n, fold(hashes(db, level, n * TILE_WIDTH, (n + 1) * TILE_WIDTH)))
            for n in range(done, full)
        ]
        db.executemany("INSERT INTO nodes VALUES (?, ?, ?)", rows)
        old, new, level = done, full, level + 1


def hashes(db: sqlite3.Connection, level: int, start: int, end: int) -> list[bytes]:
    """Up to ``end - start`` stored hashes of tile level ``level``, in order."""
    if level == 0:
        rows = db.execute(
            "SELECT leaf FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx", (start, end)
        )
    else:
        rows = db.execute(
            "SELECT hash FROM nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx",
            (level, start, end),
        )
    return [row[0] for row in rows]


def bodies(db: sqlite3.Connection, start: int, end: int) -> list[tuple[int, bytes]]:
    """The rows ``[start, end)`` that are there."""
    return db.execute(
        "SELECT idx, body FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx", (start, end)
    ).fetchall()


def cosignatures(db: sqlite3.Connection) -> list[tuple[str, int, bytes, bytes]]:
    """(witness key, size, log's note, cosignature line), the newest of each witness."""
    return db.execute(
        "SELECT witness, size, note, line FROM cosignatures ORDER BY witness"
    ).fetchall()


@contextmanager
def transaction(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """``BEGIN IMMEDIATE`` to ``COMMIT``; rolled back on any error."""
    with translated(path), immediate(db):
        yield


@contextmanager
def snapshot(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Reads that all see the same moment, whoever appends meanwhile."""
    with translated(path):
        db.execute("BEGIN")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours. Raises: Unavailable, VerifyError."""
    try:
        yield
    except sqlite3.Error as error:
        raise fault(error, path) from error


def fault(error: sqlite3.Error, path: Path) -> SealError:
    """What an SQLite error means to the user."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return Unavailable(
            "the ledger is locked by another process",
            why=f"{path} was busy for too long; nothing was written",
            hint="wait for the other seal command to end, then try again",
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return Unavailable(
            "the ledger could not be written: the disk is full or failing",
            why=f"{path}: {error}; nothing that was acknowledged is lost",
            hint=f"make room on the disk that holds {path.parent}",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return Unavailable(f"the ledger cannot be opened for this: {error}", why=str(path))
    if code in _DAMAGED or code == sqlite3.SQLITE_CONSTRAINT:
        return VerifyError(
            "the ledger file is damaged",
            where=str(path),
            why=str(error),
            hint="restore it from a backup: seal restore",
            rule="log.damaged",
        )
    return Unavailable(f"the ledger cannot be used: {error}", why=str(path))


def _head_changed(why: str, where: str) -> VerifyError:
    return VerifyError(
        "the ledger's head was changed after it was signed",
        where=where,
        why=why,
        hint="seal log verify names what differs",
        rule="log.head-changed",
    )
