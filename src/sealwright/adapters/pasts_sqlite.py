"""Pieces of callers' pasts in one SQLite file, written by one process alone; sealed by the caller.

WAL with synchronous NORMAL: what was written survives a kill of the process at once, a loss of
power up to the last checkpoint, and the file is whole after either. What is deleted is overwritten.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from sealwright.adapters.sqlite_writing import immediate
from sealwright.core.errors import Unavailable, VerifyError
from sealwright.core.locking import exclusive

APPLICATION_ID = 0x5EA1_9A57
VERSION = 1
TABLE = (
    "CREATE TABLE pasts (kind TEXT NOT NULL, name TEXT NOT NULL, made TEXT NOT NULL,"
    " at_ms INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (kind, name)) STRICT"
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Row(NamedTuple):
    """One piece as it is stored; ``at_ms`` is when it changed."""

    kind: str
    name: str
    made: str
    at_ms: int
    sealed: bytes


class SqlitePasts:
    """One file. Any thread may call; one at a time does. ``fresh``: it was made just now."""

    def __init__(self, path: Path, db: sqlite3.Connection, held: ExitStack, fresh: bool) -> None:
        self.path, self.fresh = path, fresh
        self._db, self._held = db, held
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> SqlitePasts:
        """Open or make the file. Raises: Unavailable (another process has it), VerifyError
        (``guard.past``: it is damaged, or of another kind or version)."""
        with ExitStack() as held:
            held.enter_context(exclusive(path.with_name(f"{path.name}.lock"), str(path), 0))
            path.touch(0o600)
            with translated(path):
                db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                held.callback(db.close)
                for pragma in (
                    "synchronous = NORMAL",
                    "secure_delete = ON",
                    "trusted_schema = OFF",
                ):
                    db.execute(f"PRAGMA {pragma}")
                fresh = _state(db) == (0, 0, [])
                db.execute("PRAGMA journal_mode = WAL")
                if fresh:
                    _make(db)
                if _state(db) != (APPLICATION_ID, VERSION, [TABLE]):
                    raise changed(path, "its tables or its version are not those of this one")
            return cls(path, db, held.pop_all(), fresh)

    def rows(self) -> list[Row]:
        """All of it, what changed last at the end."""
        with self._lock, translated(self.path):
            return [
                Row(*one)
                for one in self._db.execute(
                    "SELECT kind, name, made, at_ms, sealed FROM pasts ORDER BY at_ms, name"
                )
            ]

    def put(self, rows: Sequence[Row], gone: Iterable[tuple[str, str]]) -> None:
        """Write and remove, all or nothing. Raises: Unavailable (disk full)."""
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO pasts VALUES (?, ?, ?, ?, ?)", rows)
            self._db.executemany("DELETE FROM pasts WHERE kind = ? AND name = ?", gone)

    def drop(self, kind: str, before_ms: int, most: int) -> list[str]:
        """Remove all but the last ``most``, and what changed before that time: these names."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM pasts WHERE kind = ?1 AND rowid NOT IN (SELECT rowid FROM pasts"
                " WHERE kind = ?1 ORDER BY at_ms DESC, name LIMIT ?2)",
                (kind, most),
            )
            found = self._db.execute(
                "DELETE FROM pasts WHERE kind = ? AND at_ms < ? RETURNING name", (kind, before_ms)
            )
            return [str(name) for (name,) in found]

    def close(self) -> None:
        """Let go."""
        with self._lock:
            self._held.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, translated(self.path), immediate(self._db):
            yield


def changed(path: Path, why: str) -> VerifyError:
    """It cannot be read as what was written."""
    return VerifyError(
        "what was remembered of callers' questions was changed or damaged",
        where=str(path),
        why=why,
        hint=f"put back a copy of it; or remove {path}: everybody begins anew, and the log says so",
        rule="guard.past",
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours. Raises: VerifyError (``guard.past``), Unavailable."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise changed(path, str(error)) from error
        raise Unavailable(
            "what callers asked cannot be remembered over a restart",
            why=f"{path}: {error}",
            hint=f"make room on the disk of {path.parent}",
        ) from error


def _make(db: sqlite3.Connection) -> None:
    with immediate(db):
        db.execute(TABLE)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")


def _state(db: sqlite3.Connection) -> tuple[int, int, list[str]]:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    found = db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return application, version, [sql for (sql,) in found]
