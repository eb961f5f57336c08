"""The durable record of the leakage ledger in one SQLite file, written by one process alone.

WAL with synchronous FULL: a claim that was acknowledged survives a loss of power. A lock beside
the file is held for as long as it is open; the kernel drops it when the process is killed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sealwright.adapters.sqlite_writing import immediate
from sealwright.core.errors import Unavailable
from sealwright.core.locking import exclusive
from sealwright.serve.bounds import unavailable
from sealwright.serve.claims import AccountRow, Claim, ModelRow, Record
from sealwright.serve.interface import CELL_BITS, Rung

APPLICATION_ID = 0x5EA1_B06D
VERSION = 1
BUSY_S = 5.0
BITMAP_BYTES = (1 << CELL_BITS) // 8

TABLES = {
    "accounts": "CREATE TABLE accounts (model TEXT NOT NULL, principal TEXT NOT NULL,"
    " claimed INTEGER NOT NULL DEFAULT 0, cells BLOB NOT NULL DEFAULT x'',"
    " margin INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0,"
    " anomaly INTEGER NOT NULL DEFAULT 0, allowed INTEGER NOT NULL DEFAULT 0,"
    " rung TEXT NOT NULL DEFAULT 'observe', until_ms INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (model, principal)) STRICT, WITHOUT ROWID",
    "models": "CREATE TABLE models (model TEXT PRIMARY KEY, claimed INTEGER NOT NULL,"
    " allowed INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "placed": "CREATE TABLE placed (principal TEXT PRIMARY KEY, grp TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID",
}
_COLUMNS = "model, principal, claimed, cells, margin, lost, anomaly, allowed, rung, until_ms"


class SqliteClaims:
    """The port ``Claims``. ``fresh``: the file was made just now, so nothing was ever charged."""

    def __init__(self, path: Path, db: sqlite3.Connection, held: ExitStack, fresh: bool) -> None:
        self.path = path
        self.fresh = fresh
        self._db = db
        self._held = held

    @classmethod
    def open(cls, path: Path) -> SqliteClaims:
        """Open or make the file. Raises: Unavailable (another process has it, damaged)."""
        with ExitStack() as held:
            _alone(path, held)
            db = held.enter_context(_connected(path))
            with _translated(path):
                fresh = _state(db) == (0, 0, {})
                db.execute("PRAGMA journal_mode = WAL")
                if fresh:
                    _make(db)
                _check(db, path)
            return cls(path, db, held.pop_all(), fresh)

    def take(self) -> Record:
        """What is there, with every open claim counted as spent and every margin as lost."""
        with self._transaction():
            self._db.execute("UPDATE accounts SET lost = lost + margin, margin = 0 WHERE margin")
        with _translated(self.path):
            return _read(self._db)

    def claim(self, claims: Sequence[Claim]) -> None:
        """All of them, durable on return. Raises: Unavailable."""
        with self._transaction():
            for one in claims:
                self._db.execute(
                    "INSERT INTO accounts (model, principal, claimed, cells, margin, anomaly,"
                    " allowed) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                    " claimed = max(claimed, excluded.claimed), cells = excluded.cells,"
                    " margin = max(margin, excluded.margin), anomaly = excluded.anomaly,"
                    " allowed = excluded.allowed",
                    (
                        one.model,
                        one.principal,
                        one.mbits,
                        packed(one.cells),
                        one.margin,
                        one.anomaly_mbits,
                        one.allowed_mbits,
                    ),
                )
                self._db.execute(
                    "INSERT INTO models VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
                    " claimed = max(claimed, excluded.claimed), allowed = excluded.allowed",
                    (one.model, one.model_mbits, one.model_allowed_mbits),
                )

    def place(self, principal: str, group: str) -> None:
        """Durable on return. Raises: Unavailable."""
        with self._transaction():
            self._db.execute("DELETE FROM placed WHERE principal = ?", (principal,))
            if principal != group:
                self._db.execute("INSERT INTO placed VALUES (?, ?)", (principal, group))

    def climb(self, model: str, principals: Sequence[str], rung: Rung, until_ms: int) -> None:
        """Durable on return. Raises: Unavailable."""
        with self._transaction():
            self._db.executemany(
                "INSERT INTO accounts (model, principal, rung, until_ms) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET rung = excluded.rung, until_ms = excluded.until_ms",
                [(model, name, rung, until_ms) for name in principals],
            )

    def close(self, record: Record | None) -> None:
        """Let go; ``record`` is what was really spent, where that is known for certain."""
        try:
            if record is not None:
                with self._transaction():
                    self._give_back(record)
        finally:
            self._held.close()

    def _give_back(self, record: Record) -> None:
        self._db.executemany(
            "UPDATE accounts SET claimed = ?, cells = ?, margin = 0, anomaly = ?"
            " WHERE model = ? AND principal = ?",
            [
                (one.claimed_mbits, packed(one.cells), one.anomaly_mbits, one.model, one.principal)
                for one in record.accounts
            ],
        )
        self._db.executemany(
            "UPDATE models SET claimed = ? WHERE model = ?",
            [(one.claimed_mbits, one.model) for one in record.models],
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated(self.path), immediate(self._db):
            yield


def peek(path: Path) -> Record:
    """What the record says while another process may serve from it: claimed, not yet all spent.

    Raises: Unavailable.
    """
    if not path.is_file():
        raise unavailable(f"there is no record at {path}", "", "seal serve")
    with ExitStack() as held:
        db = held.enter_context(_connected(path))
        with _translated(path):
            _check(db, path)
            return _read(db)


def packed(cells: int) -> bytes:
    """A bitmap as stored: 512 bytes, cell 0 the highest bit of the first, as Redis has it."""
    if not cells:
        return b""
    return int(f"{cells:0{BITMAP_BYTES * 8}b}"[::-1], 2).to_bytes(BITMAP_BYTES, "big")


def unpacked(stored: bytes) -> int:
    """The inverse of :func:`packed`."""
    if not stored:
        return 0
    padded = stored.ljust(BITMAP_BYTES, b"\0")
    return int(f"{int.from_bytes(padded, 'big'):0{BITMAP_BYTES * 8}b}"[::-1], 2)


def _alone(path: Path, held: ExitStack) -> None:
    try:
        held.enter_context(exclusive(path.with_name(f"{path.name}.lock"), str(path), 0))
        path.touch(0o600)
    except Unavailable as error:
        raise unavailable(
            "another process serves from this record",
            f"{path} is locked; counters are in the memory of one process",
            'stop it, or give each replica [serve] ledger = "redis://… + postgresql://…"',
        ) from error
    except OSError as error:
        raise unavailable(
            "the record cannot be opened", f"{path}: {error}", f"make {path.parent} writable"
        ) from error


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    with _translated(path):
        db = sqlite3.connect(path, BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        with _translated(path):
            for pragma in ("synchronous = FULL", "fullfsync = ON", "trusted_schema = OFF"):
                db.execute(f"PRAGMA {pragma}")
        yield db
    finally:
        db.close()


def _make(db: sqlite3.Connection) -> None:
    with immediate(db):
        for statement in TABLES.values():
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")


def _state(db: sqlite3.Connection) -> tuple[int, int, dict[str, str]]:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    found = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))
    return application, version, found


def _check(db: sqlite3.Connection, path: Path) -> None:
    application, version, found = _state(db)
    if (application, version, found) != (APPLICATION_ID, VERSION, TABLES):
        raise unavailable(
            "this file is no record of a leakage ledger that this version knows",
            f"{path}: application {application:#x}, format {version}",
            "restore it from a backup, or pip install --upgrade sealwright",
        )


def _read(db: sqlite3.Connection) -> Record:
    accounts = [
        AccountRow(model, who, claimed, unpacked(cells), *rest)
        for model, who, claimed, cells, *rest in db.execute(f"SELECT {_COLUMNS} FROM accounts")  # noqa: S608
    ]
    models = [ModelRow(*row) for row in db.execute("SELECT model, claimed, allowed FROM models")]
    return Record(
        tuple(accounts), tuple(models), dict(db.execute("SELECT principal, grp FROM placed"))
    )


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: the ledger cannot tell, so it fails closed."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        why = f"{path}: {error}"
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            what, hint = "the disk is full or failing", f"make room on the disk of {path.parent}"
        elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            what, hint = "the record is locked", "end what else has the file open"
        elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            what, hint = "the record is damaged", "restore it from a backup"
        else:
            what, hint = "the record cannot be used", f"look at {path}"
        raise unavailable(what, f"{why}; what was acknowledged is not lost", hint) from error
