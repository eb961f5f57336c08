"""The leakage ledger of several replicas: counters in Redis, claims in PostgreSQL behind them.

A request is one call to reserve and one to settle. The script that answers is loaded once an
epoch, under that epoch's token: a Redis that was restarted, failed over or flushed cannot answer,
and a new epoch starts from the record, with every open claim counted as spent.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib.resources import files
from itertools import repeat
from secrets import token_hex
from typing import Any, TypeVar

import msgspec

from sealwright.adapters import budget_replies as replies
from sealwright.adapters.claims_postgres import Granted, PostgresClaims, StaleEpoch
from sealwright.adapters.claims_sqlite import packed, unpacked
from sealwright.adapters.redis_line import RedisLine, ScriptUnknown, Word
from sealwright.core.errors import BadInput
from sealwright.serve import bounds, gcra
from sealwright.serve.claims import Claim, Record, Wanted
from sealwright.serve.interface import RUNGS, Allowance, Ask, Balance, Reservation, Rung

TIMEOUT_S = 5.0
TRIES = 4
"""How often a request may find that the epoch has ended before it gives up."""
MOST_GROUPS = 10_000
"""Groups whose members a replica remembers, so that they are not sent with every answer."""
_ORIGIN = re.compile(r"[A-Za-z0-9._/:-]{1,200}")
_LOAD_AT_ONCE = 512
Got = TypeVar("Got")


class _Lost(Exception):
    """The counters are not those of this epoch any more."""


class _Epoch:
    """One life of the counters: its script's SHA-1, the last moment seen, and groups' members."""

    def __init__(self, token: str, origin: str) -> None:
        text = files("sealwright.adapters").joinpath("budget.lua").read_text("utf-8")
        self.token = token
        self.script = text.replace("@TOKEN@", token).replace("@ORIGIN@", origin).encode()
        self.sha = hashlib.sha1(self.script, usedforsecurity=False).hexdigest()
        self.seen_us = 0
        self.members: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}


class RedisLedger:
    """The port ``Ledger`` for one of several replicas."""

    def __init__(
        self, line: RedisLine, record: PostgresClaims, origin: str, clock_us: Callable[[], int]
    ) -> None:
        self._line = line
        self._record = record
        self._origin = origin
        self._clock = clock_us
        self._replica = token_hex(8)
        self._epoch = _Epoch("", origin)
        self._joining = asyncio.Lock()
        self._wanted = Wanted()
        self._writing: asyncio.Future[None] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        redis_url: str,
        postgres_url: str,
        origin: str,
        *,
        password: str | None = None,
        timeout_s: float = TIMEOUT_S,
        clock_us: Callable[[], int] = lambda: 0,
    ) -> RedisLedger:
        """Join the epoch in force, or start one. ``clock_us`` 0: by Redis's own clock.

        Raises: BadInput, Unavailable, MissingExtra.
        """
        if not _ORIGIN.fullmatch(origin):
            raise BadInput(f"{origin!r} cannot name a ledger", why="letters, digits, . _ / : -")
        line = RedisLine(redis_url, password, timeout_s)
        ledger = cls(line, PostgresClaims(postgres_url, origin, timeout_s), origin, clock_us)
        try:
            await ledger._record.open()
            await ledger._join(ledger._epoch)
        except BaseException:
            await ledger.close()
            raise
        return ledger

    async def reserve(self, ask: Ask, allowance: Allowance) -> Reservation:
        """Take ``ask.mbits`` before the call. Raises: BadInput, Refused, Unavailable."""
        bounds.check_ask(ask)
        bounds.check_allowance(allowance)
        name = token_hex(16) + self._replica
        said = msgspec.msgpack.encode(ask)
        words: tuple[Word, ...] = (
            *(ask.model, ask.principal, name, said, ask.mbits, ask.weight),
            *(allowance.group_mbits, allowance.model_mbits, allowance.cells),
            *(gcra.interval_us(allowance.rate_per_s), allowance.burst),
            *(number for knot in allowance.pace for number in knot),
        )
        while True:
            kind, *rest = await self._ask("reserve", *words)
            if kind == "claim":
                await self._make_durable(replies.more(ask, allowance, *rest))
            elif kind == "ok":
                return Reservation(name, ask, await self._balance(ask.model, *rest))
            else:
                raise replies.refusal(kind, rest, ask, allowance)

    async def settle(
        self, reservation: Reservation, mbits: int, cells: Sequence[int], anomaly_mbits: int = 0
    ) -> Balance:
        """Charge what was released. Raises: BadInput, Refused, Unavailable."""
        bitmap = bounds.check_release(mbits, cells, anomaly_mbits)
        ask, name = reservation.ask, reservation.id
        bounds.check_ask(ask)
        if not (name.endswith(self._replica) and len(name) == 48 and name.isalnum()):
            raise bounds.unknown_reservation()
        words: tuple[Word, ...] = (
            *(ask.model, ask.principal, name, msgspec.msgpack.encode(ask)),
            *(ask.mbits, mbits, anomaly_mbits, *sorted(set(cells))),
        )
        while True:
            kind, *rest = await self._ask("settle", *words)
            if kind == "claim":
                await self._make_durable(replies.kept(ask, bitmap, *rest))
            elif kind == "ok":
                return await self._balance(ask.model, *rest)
            elif kind == "above":
                raise bounds.above_reserved(mbits, ask.mbits)
            elif kind == "covered":
                group, count, cap = rest
                raise bounds.covered(group, ask.model, count, cap)
            else:
                raise bounds.unknown_reservation()

    async def place(self, principal: str, group: str) -> None:
        """Count this principal in ``group``. Raises: BadInput, Unavailable."""
        bounds.check_name("a principal", principal)
        bounds.check_name("a group", group)

        async def both() -> None:
            epoch = self._epoch
            async with self._record.structure() as alone:
                await alone.place(epoch.token, principal, group)
                await self._call(epoch, "place", principal, group)

        await self._structured(both)

    async def climb(self, model: str, group: str, rung: Rung, until_ms: int) -> Balance:
        """Set a group's rung. Raises: BadInput, Unavailable."""
        bounds.check_name("a model", model)
        bounds.check_name("a group", group)
        bounds.check_rung(rung, until_ms)

        async def both() -> Balance:
            epoch = self._epoch
            async with self._record.structure() as alone:
                names = (await self._call(epoch, "members", model, group))[2] or [group]
                await alone.climb(epoch.token, model, names, rung, until_ms)
                words: tuple[Word, ...] = (model, group, RUNGS.index(rung), until_ms, *names)
                return replies.shown(model, *(await self._call(epoch, "climb", *words))[2])

        return await self._structured(both)

    async def balances(self, model: str) -> tuple[Balance, ...]:
        """Every group of which somebody ever asked, by name. Raises: BadInput, Unavailable."""
        bounds.check_name("a model", model)
        found = (await self._ask("balances", model))[2]
        return tuple(
            sorted((replies.shown(model, *one) for one in found), key=lambda one: one.group)
        )

    async def close(self) -> None:
        """Let go. The counters stay with Redis, for the other replicas and the next start."""
        self._closed = True
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._line.close()
        await self._record.close()

    async def _balance(
        self,
        model: str,
        now_us: int,
        allowed: int,
        all_allowed: int,
        group: str,
        version: int,
        spent: int,
        all_spent: int,
        *rest: int,
    ) -> Balance:
        members = self._epoch.members
        known = members.get((model, group))
        if known is None or known[0] != version:
            if len(members) > MOST_GROUPS:
                members.clear()
            _, at, found = await self._ask("members", model, group)
            known = members[model, group] = (at, tuple(sorted(found)))
        return replies.standing(
            model, group, known[1], allowed, all_allowed, spent, all_spent, *rest
        )

    async def _ask(self, op: str, *words: Word) -> list[Any]:
        """A call under the epoch in force; a new epoch is joined or started where that ended."""
        for _ in range(TRIES):
            epoch = self._epoch
            try:
                return await self._call(epoch, op, *words)
            except _Lost:
                await self._join(epoch)
        raise replies.restless(TRIES)

    async def _structured(self, work: Callable[[], Awaitable[Got]]) -> Got:
        for _ in range(TRIES):
            epoch = self._epoch
            try:
                return await work()
            except (_Lost, StaleEpoch):
                await self._join(epoch)
        raise replies.restless(TRIES)

    async def _call(self, epoch: _Epoch, op: str, *words: Word) -> list[Any]:
        """Raises: _Lost, Unavailable."""
        if self._closed:
            raise bounds.unavailable("the ledger is closed", "", "seal serve")
        try:
            reply = await self._line.call(
                "EVALSHA", epoch.sha, 0, op, self._clock(), epoch.seen_us, *words
            )
        except ScriptUnknown as error:
            raise _Lost from error
        bitmap: list[Any] = []
        if type(reply) is list:
            reply, stored = reply
            bitmap = [unpacked(stored)]
        kind, *rest = msgspec.msgpack.decode(reply)
        if kind == "lost":
            raise _Lost
        if kind == "ok" and rest[0] > epoch.seen_us:
            epoch.seen_us = rest[0]
        return [kind, *bitmap, *rest]

    async def _make_durable(self, claim: Claim) -> None:
        """Return once this claim, or one that was already being written, is durable."""
        self._wanted.add(claim)
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())
            self._writing.add_done_callback(
                lambda done: None if done.cancelled() else done.exception()
            )
        await asyncio.shield(self._writing)

    async def _write(self) -> None:
        try:
            await asyncio.sleep(0)
            batch = self._wanted.take()
            epoch = self._epoch
            try:
                granted = await self._record.claim(epoch.token, batch)
                await asyncio.gather(*map(self._grant, repeat(epoch), batch, granted))
            except (_Lost, StaleEpoch):
                await self._join(epoch)
        finally:
            self._writing = None

    async def _grant(self, epoch: _Epoch, one: Claim, got: Granted) -> None:
        await self._call(
            epoch,
            "grant",
            *(one.model, one.principal, got.mbits, got.model_mbits),
            *(packed(one.cells), one.margin, one.allowed_mbits, one.model_allowed_mbits),
        )

    async def _join(self, ended: _Epoch) -> None:
        """Join the epoch in force, or start a new one where ``ended`` is still said to be it."""
        async with self._joining:
            if self._epoch is not ended or await self._joined(ended):
                return
            async with self._record.structure() as alone:
                if await self._joined(ended):
                    return
                await self._noeviction()
                epoch = _Epoch(token_hex(16), self._origin)
                record = await alone.new_epoch(epoch.token)
                await self._line.call("SCRIPT", "LOAD", epoch.script)
                await self._load(epoch, record)
                await self._sweep(epoch.token)
                if await self._record.token() != epoch.token:
                    raise replies.restless(TRIES)
                self._epoch = epoch

    async def _joined(self, ended: _Epoch) -> bool:
        """Whether the record's epoch is another than ``ended`` and Redis has its counters."""
        token = await self._record.token()
        if not token or token == ended.token:
            return False
        epoch = _Epoch(token, self._origin)
        try:
            await self._call(epoch, "hello")
        except _Lost:
            return False
        self._epoch = epoch
        return True

    async def _load(self, epoch: _Epoch, record: Record) -> None:
        """Fill the counters of a new epoch, then put it in force."""
        placed = record.placed
        await self._all(epoch, "loadplaced", placed.items())
        models = [(one.model, one.claimed_mbits, one.allowed_mbits) for one in record.models]
        await self._all(epoch, "loadmodel", models)
        accounts = [
            (
                *(one.model, one.principal, one.claimed_mbits, packed(one.cells), one.lost),
                *(one.anomaly_mbits, one.allowed_mbits, RUNGS.index(one.rung), one.until_ms),
            )
            for one in record.accounts
        ]
        await self._all(epoch, "loadaccount", accounts)
        groups = {(one.model, placed.get(one.principal, one.principal)) for one in record.accounts}
        await self._all(epoch, "loadgroup", groups)
        await self._call(epoch, "activate")

    async def _all(self, epoch: _Epoch, op: str, rows: Iterable[tuple[Word, ...]]) -> None:
        ahead = list(rows)
        for at in range(0, len(ahead), _LOAD_AT_ONCE):
            some = ahead[at : at + _LOAD_AT_ONCE]
            await asyncio.gather(*(self._call(epoch, op, *words) for words in some))

    async def _noeviction(self) -> None:
        told = (await self._line.call("INFO", "memory")).decode()
        found = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
        if found.get("maxmemory", "0") != "0" and found.get("maxmemory_policy") != "noeviction":
            raise bounds.unavailable(
                "this Redis throws away keys when its memory is full",
                f"maxmemory-policy is {found.get('maxmemory_policy')}",
                "redis-cli CONFIG SET maxmemory-policy noeviction",
            )

    async def _sweep(self, token: str) -> None:
        """Remove the counters of ended epochs."""
        own, cursor = f"seal:{self._origin}:", b"0"
        keep = (f"{own}{token}:".encode(), f"{own}top".encode())
        while True:
            cursor, keys = await self._line.call("SCAN", cursor, "MATCH", f"{own}*", "COUNT", 1000)
            if old := [key for key in keys if not key.startswith(keep)]:
                await self._line.call("UNLINK", *old)
            if cursor == b"0":
                return
