"""The leakage ledger of one node: counters in memory, claims in SQLite behind them.

One event loop uses it. Claims that meet are made durable together, in a thread of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from sealwright.adapters.claims_sqlite import SqliteClaims
from sealwright.core.clock import steady_us
from sealwright.core.errors import Unavailable
from sealwright.serve import bounds
from sealwright.serve.book import Book
from sealwright.serve.claims import Claim, Claims, Wanted
from sealwright.serve.interface import Allowance, Ask, Balance, Reservation, Rung


class MemoryLedger:
    """The port ``Ledger`` for one process. Costs a durable write a chunk, else none."""

    def __init__(self, claims: Claims, clock_us: Callable[[], int]) -> None:
        self._claims = claims
        self._clock = clock_us
        self._last_us = 0
        self._book = Book(claims.take())
        self._wanted = Wanted()
        self._writing: asyncio.Future[None] | None = None
        self._structure = asyncio.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: Path, clock_us: Callable[[], int] | None = None) -> MemoryLedger:
        """Open or make the record at ``path``. Raises: Unavailable."""
        claims = SqliteClaims.open(path)
        try:
            return cls(claims, clock_us or steady_us())
        except BaseException:
            claims.close(None)
            raise

    async def reserve(self, ask: Ask, allowance: Allowance) -> Reservation:
        """Take ``ask.mbits`` before the call. Raises: BadInput, Refused, Unavailable."""
        while not self._closed:
            taken = self._book.reserve(ask, allowance, self._now_us())
            if type(taken) is Reservation:
                return taken
            await self._make_durable(taken)  # type: ignore[arg-type]
        raise _closed()

    async def settle(
        self, reservation: Reservation, mbits: int, cells: Sequence[int], anomaly_mbits: int = 0
    ) -> Balance:
        """Charge what was released. Raises: BadInput, Refused, Unavailable."""
        while not self._closed:
            settled = self._book.settle(reservation, mbits, cells, anomaly_mbits, self._now_us())
            if type(settled) is Balance:
                return settled
            await self._make_durable(settled)  # type: ignore[arg-type]
        raise _closed()

    async def place(self, principal: str, group: str) -> None:
        """Count this principal in ``group``. Raises: BadInput, Unavailable."""
        bounds.check_name("a principal", principal)
        bounds.check_name("a group", group)
        async with self._structure:
            book = self._open()
            await asyncio.to_thread(self._claims.place, principal, group)
            book.place(principal, group)

    async def climb(self, model: str, group: str, rung: Rung, until_ms: int) -> Balance:
        """Set a group's rung. Raises: BadInput, Unavailable."""
        bounds.check_name("a model", model)
        bounds.check_name("a group", group)
        bounds.check_rung(rung, until_ms)
        async with self._structure:
            book = self._open()
            names = book.climbers(model, group)
            await asyncio.to_thread(self._claims.climb, model, names, rung, until_ms)
            book.climb(model, names, rung, until_ms)
            return book.balance(model, group, self._now_us())

    async def balances(self, model: str) -> tuple[Balance, ...]:
        """Every group of which somebody ever asked, by name. Raises: BadInput, Unavailable."""
        bounds.check_name("a model", model)
        return self._open().balances(model, self._now_us())

    async def close(self) -> None:
        """Let go, and give back what was claimed and not spent. Raises: Unavailable."""
        if self._closed:
            return
        self._closed = True
        async with self._structure:
            if self._writing is not None:
                await asyncio.wait([self._writing])
            await asyncio.to_thread(self._claims.close, self._book.record())

    def _open(self) -> Book:
        if self._closed:
            raise _closed()
        return self._book

    def _now_us(self) -> int:
        now_us = self._clock()
        if now_us < self._last_us:
            return self._last_us
        self._last_us = now_us
        return now_us

    async def _make_durable(self, claim: Claim) -> None:
        """Return once this claim, or one that was already being written, is durable."""
        self._wanted.add(claim)
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())
            self._writing.add_done_callback(_seen)
        await asyncio.shield(self._writing)

    async def _write(self) -> None:
        try:
            # those who ask in this turn of the loop come along
            await asyncio.sleep(0)
            batch = [self._book.whole(one) for one in self._wanted.take()]
            await asyncio.to_thread(self._claims.claim, batch)
            for one in batch:
                self._book.granted(one)
        finally:
            self._writing = None


def _closed() -> Unavailable:
    return bounds.unavailable("the ledger is closed", "", "seal serve")


def _seen(writing: asyncio.Future[None]) -> None:
    """Those who wait get the error; where all have left, nobody is told."""
    if not writing.cancelled():
        writing.exception()
