"""The durable record of the leakage ledger in PostgreSQL, written by several replicas.

An epoch is one life of the hot counters; its token is kept here, and a claim is taken only under
the token in force. Starting a new epoch counts every open claim as spent, in one transaction.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

from sealwright.core.errors import MissingExtra, Unavailable
from sealwright.serve.bounds import MOST_CELLS, unavailable
from sealwright.serve.claims import AccountRow, Claim, ModelRow, Record
from sealwright.serve.interface import Rung

Connection = Any
Got = TypeVar("Got")

VERSION = 1
TABLES = f"""
CREATE TABLE IF NOT EXISTS sealwright_epochs (
    origin TEXT PRIMARY KEY, format INTEGER NOT NULL, token TEXT NOT NULL, number BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS sealwright_accounts (
    origin TEXT NOT NULL, model TEXT NOT NULL, principal TEXT NOT NULL,
    claimed BIGINT NOT NULL DEFAULT 0, cells BIT({MOST_CELLS}) NOT NULL,
    margin INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0,
    anomaly BIGINT NOT NULL DEFAULT 0, allowed BIGINT NOT NULL DEFAULT 0,
    rung TEXT NOT NULL DEFAULT 'observe', until_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (origin, model, principal));
CREATE TABLE IF NOT EXISTS sealwright_models (
    origin TEXT NOT NULL, model TEXT NOT NULL, claimed BIGINT NOT NULL, allowed BIGINT NOT NULL,
    PRIMARY KEY (origin, model));
CREATE TABLE IF NOT EXISTS sealwright_placed (
    origin TEXT NOT NULL, principal TEXT NOT NULL, grp TEXT NOT NULL,
    PRIMARY KEY (origin, principal));
"""
NO_CELLS = "0" * MOST_CELLS


class StaleEpoch(Exception):
    """The token is not the one in force: the hot counters that came with it count no more."""


class Granted(NamedTuple):
    """Up to where an account and its model are claimed now."""

    mbits: int
    model_mbits: int


class PostgresClaims:
    """One replica's way to the record. Every call is bounded by ``timeout_s``."""

    def __init__(self, url: str, origin: str, timeout_s: float) -> None:
        self._url = url
        self._origin = origin
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._held: Connection | None = None

    async def open(self) -> None:
        """Make the tables where they are missing. Raises: Unavailable, MissingExtra."""

        async def make(db: Connection) -> None:
            await db.execute("SELECT pg_advisory_xact_lock(%s)", (_key("tables"),))
            async with await db.execute("SELECT to_regclass('sealwright_placed')") as cursor:
                if (await cursor.fetchone())[0] is None:
                    await db.execute(TABLES)
            await db.execute(
                "INSERT INTO sealwright_epochs VALUES (%s, %s, '', 0) ON CONFLICT DO NOTHING",
                (self._origin, VERSION),
            )
            cursor = await db.execute(
                "SELECT format FROM sealwright_epochs WHERE origin = %s", (self._origin,)
            )
            (version,) = await cursor.fetchone()
            if version != VERSION:
                raise unavailable(
                    "the record was written by another Sealwright",
                    f"its format is {version}, this version knows {VERSION}",
                    "pip install --upgrade sealwright",
                )

        await self._run(make)

    async def token(self) -> str:
        """The token of the epoch in force; empty before the first. Raises: Unavailable."""

        async def read(db: Connection) -> str:
            cursor = await db.execute(
                "SELECT token FROM sealwright_epochs WHERE origin = %s", (self._origin,)
            )
            row = await cursor.fetchone()
            return str(row[0]) if row else ""

        return await self._run(read)

    async def claim(self, token: str, claims: Sequence[Claim]) -> list[Granted]:
        """All of them, durable on return. Raises: StaleEpoch, Unavailable."""
        ordered = sorted(claims, key=lambda one: (one.model, one.principal))

        async def write(db: Connection) -> dict[tuple[str, str], Granted]:
            await self._in_force(db, token)
            accounts = [await self._account(db, one) for one in ordered]
            models = [await self._model(db, one) for one in ordered]
            return {
                (one.model, one.principal): Granted(account, model)
                for one, account, model in zip(ordered, accounts, models, strict=True)
            }

        got = await self._run(write)
        return [got[one.model, one.principal] for one in claims]

    @asynccontextmanager
    async def structure(self) -> AsyncIterator[Structure]:
        """Alone among all replicas: placements, rungs, epochs. Raises: Unavailable."""
        db = await self._connect()
        try:
            await self._guarded(db.execute("SELECT pg_advisory_lock(%s)", (_key(self._origin),)))
            yield Structure(self, db)
        finally:
            await db.close()

    async def close(self) -> None:
        """Let go."""
        if self._held is not None:
            await self._held.close()
            self._held = None

    async def _in_force(self, db: Connection, token: str) -> None:
        cursor = await db.execute(
            "SELECT token FROM sealwright_epochs WHERE origin = %s FOR SHARE", (self._origin,)
        )
        if await cursor.fetchone() != (token,):
            raise StaleEpoch

    async def _account(self, db: Connection, one: Claim) -> int:
        at = (self._origin, one.model, one.principal)
        cursor = await db.execute(
            "SELECT claimed FROM sealwright_accounts WHERE origin = %s AND model = %s"
            " AND principal = %s FOR UPDATE",
            at,
        )
        row = await cursor.fetchone()
        if (row[0] if row else 0) < one.known_mbits:
            raise _put_back()
        cursor = await db.execute(
            "INSERT INTO sealwright_accounts AS a (origin, model, principal, claimed, cells,"
            " margin, anomaly, allowed) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (origin, model, principal) DO UPDATE SET"
            " claimed = GREATEST(a.claimed, excluded.claimed), cells = a.cells | excluded.cells,"
            " margin = GREATEST(a.margin, excluded.margin), anomaly = excluded.anomaly,"
            " allowed = excluded.allowed RETURNING claimed",
            (*at, one.mbits, bits(one.cells), one.margin, one.anomaly_mbits, one.allowed_mbits),
        )
        (claimed,) = await cursor.fetchone()
        return int(claimed)

    async def _model(self, db: Connection, one: Claim) -> int:
        at = (self._origin, one.model)
        cursor = await db.execute(
            "SELECT claimed FROM sealwright_models WHERE origin = %s AND model = %s FOR UPDATE", at
        )
        row = await cursor.fetchone()
        if (row[0] if row else 0) < one.known_model_mbits:
            raise _put_back()
        cursor = await db.execute(
            "INSERT INTO sealwright_models AS m VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (origin, model) DO UPDATE SET"
            " claimed = GREATEST(m.claimed, excluded.claimed), allowed = excluded.allowed"
            " RETURNING claimed",
            (*at, one.model_mbits, one.model_allowed_mbits),
        )
        (claimed,) = await cursor.fetchone()
        return int(claimed)

    async def _run(self, work: Callable[[Connection], Awaitable[Got]]) -> Got:
        """One transaction on the replica's own connection, opened anew where it was lost."""
        async with self._lock:
            if self._held is None or self._held.closed:
                self._held = await self._connect()
            db = self._held
            try:
                return await self._guarded(_transaction(db, work))
            except Unavailable:
                self._held = None
                await db.close()
                raise

    async def _connect(self) -> Connection:
        psycopg = _psycopg()

        async def connect() -> Connection:
            db = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
            # a claim must be on disk when it is acknowledged, whatever the server's default
            await db.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            )
            return db

        return await self._guarded(connect())

    async def _guarded(self, work: Awaitable[Got]) -> Got:
        psycopg = _psycopg()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await work
        except (psycopg.Error, OSError, TimeoutError) as error:
            raise _lost(error) from error


class Structure:
    """What only one replica at a time does to the record."""

    def __init__(self, claims: PostgresClaims, db: Connection) -> None:
        self._claims = claims
        self._db = db
        self._origin = claims._origin

    async def place(self, token: str, principal: str, group: str) -> None:
        """Durable on return. Raises: StaleEpoch, Unavailable."""

        async def write(db: Connection) -> None:
            await self._claims._in_force(db, token)
            at = (self._origin, principal)
            await db.execute(
                "DELETE FROM sealwright_placed WHERE origin = %s AND principal = %s", at
            )
            if principal != group:
                await db.execute("INSERT INTO sealwright_placed VALUES (%s, %s, %s)", (*at, group))

        await self._claims._guarded(_transaction(self._db, write))

    async def climb(
        self, token: str, model: str, principals: Sequence[str], rung: Rung, until_ms: int
    ) -> None:
        """Durable on return. Raises: StaleEpoch, Unavailable."""

        async def write(db: Connection) -> None:
            await self._claims._in_force(db, token)
            for one in principals:
                await db.execute(
                    "INSERT INTO sealwright_accounts (origin, model, principal, cells, rung,"
                    " until_ms) VALUES (%s, %s, %s, %s, %s, %s)"
                    " ON CONFLICT (origin, model, principal) DO UPDATE SET rung = excluded.rung,"
                    " until_ms = excluded.until_ms",
                    (self._origin, model, one, NO_CELLS, rung, until_ms),
                )

        await self._claims._guarded(_transaction(self._db, write))

    async def new_epoch(self, token: str) -> Record:
        """Put ``token`` in force. Every open claim counts as spent, every margin as lost."""

        async def write(db: Connection) -> Record:
            await db.execute(
                "UPDATE sealwright_epochs SET token = %s, number = number + 1 WHERE origin = %s",
                (token, self._origin),
            )
            await db.execute(
                "UPDATE sealwright_accounts SET lost = lost + margin, margin = 0"
                " WHERE origin = %s AND margin > 0",
                (self._origin,),
            )
            return await self._read(db)

        return await self._claims._guarded(_transaction(self._db, write))

    async def _read(self, db: Connection) -> Record:
        at = (self._origin,)
        cursor = await db.execute(
            "SELECT model, principal, claimed, cells::text, margin, lost, anomaly, allowed, rung,"
            " until_ms FROM sealwright_accounts WHERE origin = %s",
            at,
        )
        accounts = [
            AccountRow(model, who, claimed, int(cells[::-1], 2), *rest)
            for model, who, claimed, cells, *rest in await cursor.fetchall()
        ]
        cursor = await db.execute(
            "SELECT model, claimed, allowed FROM sealwright_models WHERE origin = %s", at
        )
        models = [ModelRow(*row) for row in await cursor.fetchall()]
        cursor = await db.execute(
            "SELECT principal, grp FROM sealwright_placed WHERE origin = %s", at
        )
        return Record(tuple(accounts), tuple(models), dict(await cursor.fetchall()))


def bits(cells: int) -> str:
    """A bitmap as a bit string, cell 0 first."""
    return f"{cells:0{MOST_CELLS}b}"[::-1] if cells else NO_CELLS


async def _transaction(db: Connection, work: Callable[[Connection], Awaitable[Got]]) -> Got:
    async with db.transaction():
        return await work(db)


def _key(name: str) -> int:
    """The number of an advisory lock."""
    digest = hashlib.sha256(b"sealwright leakage ledger\n" + name.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("a leakage ledger in PostgreSQL", "postgres") from error
    return psycopg


def _put_back() -> Unavailable:
    return unavailable(
        "the record in PostgreSQL holds less than was acknowledged",
        "it was put back to an older state, from a backup or a standby that lagged",
        "restore the newest state, or stop every replica and start Redis anew",
    )


def _lost(error: BaseException) -> Unavailable:
    state = getattr(error, "sqlstate", None) or ""
    why = f"{type(error).__name__} {state}".strip()
    if state.startswith("53"):
        return unavailable(
            "PostgreSQL has no room left", why, "make room on its disk, or raise its connections"
        )
    if state.startswith("42501") or state.startswith("28"):
        return unavailable(
            "PostgreSQL does not let us in", why, "check user, password and rights on its tables"
        )
    return unavailable(
        "PostgreSQL is out of reach or too slow",
        f"{why}; no claim can be made durable",
        "start PostgreSQL, or mend [serve] ledger in seal.toml",
    )
