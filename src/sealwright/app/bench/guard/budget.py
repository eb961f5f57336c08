"""The leakage ledger under load: three replicas, one killed midway, Redis restarted, nothing over.

Sixty-odd clients ask until a number of requests was answered. The yardstick looks first and counts
afterwards, as gateways do that were raced past (LiteLLM's issue 34732).
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.adapters.claims_sqlite import SqliteClaims
from sealwright.app.bench import Ask as Question
from sealwright.app.bench import Row, measure
from sealwright.app.bench.guard import replica
from sealwright.app.bench.guard.servers import Postgres, Redis, missing
from sealwright.core.errors import Unavailable
from sealwright.serve.claims import Claim
from sealwright.serve.interface import Allowance, Ask, Balance, Ledger

REPLICAS = 3
REQUESTS = 1_000_000
QUICK = 20_000
OPEN = Allowance(1 << 40, 1 << 45, 0, 1_000_000, 1_000_000)
STALL_S = 120


class Left(NamedTuple):
    """What the replicas' files say: requests answered, and millibits released by group."""

    requests: int
    released: tuple[int, ...]

    @property
    def total(self) -> int:
        """Over all groups."""
        return sum(self.released)

    def over(self, allowed: Allowance) -> int:
        """Millibits beyond any cap."""
        groups = sum(max(0, one - allowed.group_mbits) for one in self.released)
        return max(groups, self.total - allowed.model_mbits, 0)


def rows(ask: Question) -> list[Row]:
    """The section ``budget`` of ``seal bench guard``."""
    total = QUICK if ask.quick else REQUESTS
    out = [_memory_cost(ask.quick)]
    why = missing() or _extras()
    if why:
        names = ("budget overruns", "answers uncounted", "budget wasted by the two crashes")
        return [*out, *(Row(f"{one}, {total:,} requests", None, "", note=why) for one in names)]
    with _servers() as (redis, postgres):
        out.append(_redis_cost(redis, postgres.database("cost"), ask.quick))
        ask.note("  a counter that is looked at first ...")
        naive = _race(redis, "", "naive", QUICK, lambda _: None)
        redis.cli("FLUSHALL")
        ask.note(f"  {total:,} requests ...")
        out += _raced(redis, postgres.database("race"), total, naive, ask.note)
    return out


def _raced(
    redis: Redis, url: str, total: int, naive: Left, note: Callable[[str], None]
) -> list[Row]:
    allowed = replica.allowance(total)
    left = _race(redis, url, "serve", total, note)
    counted = {one.group: one.spent_mbits for one in asyncio.run(_balances(redis, url))}
    uncounted = [max(0, got - counted.get(f"p{at}", 0)) for at, got in enumerate(left.released)]
    everything = sum(counted.values())
    how = (
        f"{left.requests:,} requests of {REPLICAS * replica.CLIENTS} clients over {REPLICAS}"
        " replicas; one killed with -9 after a fifth, Redis killed and restarted after two fifths"
    )
    yard = naive.over(replica.allowance(QUICK))
    return [
        measure(
            f"budget overruns, {total:,} requests",
            left.over(allowed),
            "millibits",
            target=0,
            better="lower",
            yardsticks={f"look, then count ({QUICK:,} requests)": yard},
            note=how,
        ),
        measure("answers uncounted", sum(uncounted), "millibits", target=0, better="lower"),
        measure(
            "budget wasted by the two crashes",
            100 * (allowed.model_mbits - left.total) / allowed.model_mbits,
            "% of the model's budget",
            yardsticks={
                "% of the groups' budgets": 100
                * (everything - left.total)
                / (allowed.group_mbits * replica.GROUPS)
            },
            note=f"{left.total:,} of {allowed.model_mbits:,} millibits were released at its end",
        ),
    ]


def _race(redis: Redis, url: str, mode: str, total: int, note: Callable[[str], None]) -> Left:
    """Replicas ask until ``total`` requests were answered; the ledger's are also crashed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "left"
        path.touch()
        running = [_replica(redis, url, mode, path, at, total) for at in range(REPLICAS)]
        try:
            _until(path, total // 5, note)
            if mode == "serve":
                running[0].kill()
                running[0].wait()
                running[0] = _replica(redis, url, mode, path, REPLICAS, total)
            _until(path, 2 * total // 5, note)
            if mode == "serve":
                redis.kill()
                redis.start()
            _until(path, total, note)
        finally:
            for one in running:
                one.kill()
                one.wait()
        return _left(path)


def _replica(
    redis: Redis, url: str, mode: str, path: Path, number: int, total: int
) -> subprocess.Popen[bytes]:
    words = [mode, redis.url, url, str(path), str(number), str(total)]
    return subprocess.Popen([sys.executable, "-m", replica.__name__, *words])


def _until(path: Path, requests: int, note: Callable[[str], None]) -> None:
    told = moved = time.monotonic()
    seen = -1
    while (size := path.stat().st_size // replica.RECORD.size) < requests:
        now = time.monotonic()
        if size != seen:
            seen, moved = size, now
        if now - moved > STALL_S:
            raise Unavailable(f"the replicas answered nothing for {STALL_S} s")
        if now - told > 10:
            note(f"  {size:,} ...")
            told = now
        time.sleep(0.05)


def _left(path: Path) -> Left:
    requests, released = 0, [0] * replica.GROUPS
    whole = path.read_bytes()
    for _, group, mbits in replica.RECORD.iter_unpack(whole):
        requests += 1
        released[group] += mbits
    return Left(requests, tuple(released))


async def _balances(redis: Redis, url: str) -> tuple[Balance, ...]:
    from sealwright.adapters.budget_redis import RedisLedger

    ledger = await RedisLedger.open(redis.url, url, replica.ORIGIN, timeout_s=30.0)
    try:
        return await ledger.balances("m")
    finally:
        await ledger.close()


def _memory_cost(quick: bool) -> Row:
    with tempfile.TemporaryDirectory() as folder:

        async def paid() -> float:
            ledger = MemoryLedger.open(Path(folder) / "budget.db")
            try:
                return await _pair_us(ledger, 5_000 if quick else 50_000, 1)
            finally:
                await ledger.close()

        return measure(
            "reserve and settle, in memory with SQLite behind",
            asyncio.run(paid()),
            "us CPU",
            target=10,
            better="lower",
            yardsticks={"a durable write each": _durable_us(Path(folder) / "each.db", quick)},
        )


def _redis_cost(redis: Redis, url: str, quick: bool) -> Row:
    async def paid(clients: int) -> float:
        from sealwright.adapters.budget_redis import RedisLedger

        ledger = await RedisLedger.open(redis.url, url, replica.ORIGIN, timeout_s=30.0)
        try:
            return await _pair_us(ledger, 1_000 if quick else 10_000, clients)
        finally:
            await ledger.close()

    return measure(
        "reserve and settle, Redis with PostgreSQL behind, 64 clients",
        asyncio.run(paid(64)),
        "us CPU of a replica",
        yardsticks={"one client": asyncio.run(paid(1))},
    )


async def _pair_us(ledger: Ledger, pairs: int, clients: int) -> float:
    """CPU microseconds of this process for a reservation and its settlement, claims included."""
    asks = [Ask("m", f"p{at}", 3000, 0) for at in range(64)]

    async def client(at: int) -> None:
        for turn in range(pairs // clients):
            held = await ledger.reserve(asks[(at + turn) % len(asks)], OPEN)
            await ledger.settle(held, 2000, (turn % 64,))

    await client(0)
    start = time.process_time()
    await asyncio.gather(*map(client, range(clients)))
    return (time.process_time() - start) / (pairs // clients * clients) * 1e6


def _durable_us(path: Path, quick: bool) -> float:
    """The same charge as a durable write for each request."""
    claims = SqliteClaims.open(path)
    times = 100 if quick else 1_000
    start = time.process_time()
    for at in range(times):
        claims.claim([Claim("m", f"p{at % 64}", at, at, 0, 1, 0, 1, 1)])
    spent = time.process_time() - start
    claims.close(None)
    return spent / times * 1e6


@contextmanager
def _servers() -> Iterator[tuple[Redis, Postgres]]:
    folder = Path(tempfile.mkdtemp(prefix="seal-"))
    folder.chmod(0o755)
    try:
        (folder / "redis").mkdir()
        (folder / "postgres").mkdir()
        redis, postgres = Redis(folder / "redis"), Postgres(folder / "postgres")
        try:
            redis.start()
            postgres.start()
            yield redis, postgres
        finally:
            redis.kill()
            postgres.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _extras() -> str:
    lacking = [one for one in ("redis", "psycopg") if importlib.util.find_spec(one) is None]
    return "pip install 'sealwright[redis,postgres]'" if lacking else ""
