"""The ledger of several replicas at its edges: its servers lost, put back, slow, or full."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest
from ledger_rigs import ORIGIN
from servers import fresh_postgres, fresh_redis, shared_postgres

from sealwright.adapters.budget_redis import RedisLedger
from sealwright.app.budgeting import addresses, open_budget
from sealwright.core.errors import BadInput, Refused, Unavailable
from sealwright.serve.interface import Allowance, Ask

ALLOWED = Allowance(1_000_000, 10_000_000, rate_per_s=10**6, burst=10**6)
CHUNK = ALLOWED.group_mbits // 64


@pytest.fixture
def redis():
    server = fresh_redis()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def url():
    return shared_postgres().database("replicas")


def scenario(work):
    asyncio.run(work())


def opened(redis, url, **options):
    return RedisLedger.open(redis.url, url, ORIGIN, **{"timeout_s": 3.0, **options})


async def answer(ledger, mbits=1000, cells=(), who="ann", allowed=ALLOWED):
    held = await ledger.reserve(Ask("m", who, mbits, 0), allowed)
    return await ledger.settle(held, mbits, cells)


async def shown(ledger, group="ann"):
    return {one.group: one for one in await ledger.balances("m")}[group]


def test_a_redis_killed_between_reserve_and_settle_charges_the_claim_and_no_answer_leaves(
    redis, url
):
    async def history():
        ledger = await opened(redis, url)
        await answer(ledger, cells=[1, 2])
        held = await ledger.reserve(Ask("m", "ann", 900, 0), ALLOWED)
        redis.kill()
        with pytest.raises(Unavailable) as caught:
            await ledger.settle(held, 900, [3])
        assert "guard.ledger" in caught.value.what
        assert caught.value.hint
        redis.start()
        with pytest.raises(Refused) as refused:
            await ledger.settle(held, 900, [3])
        assert refused.value.rule == "guard.reservation"
        one = await shown(ledger)
        assert 1900 <= one.spent_mbits <= 1000 + CHUNK
        assert 2 <= one.cells <= 2 + 64
        await answer(ledger)
        await ledger.close()

    scenario(history)


def test_a_redis_put_back_from_an_old_snapshot_is_not_believed(redis, url):
    async def history():
        ledger = await opened(redis, url)
        await answer(ledger)
        redis.cli("SAVE")
        for _ in range(10):
            await answer(ledger)
        redis.kill()
        redis.start()
        assert redis.cli("DBSIZE") != "0"
        assert (await shown(ledger)).spent_mbits >= 11_000
        await ledger.close()

    scenario(history)


def test_an_append_only_redis_that_lost_its_last_second_is_not_believed(redis, url, tmp_path):
    async def history():
        ledger = await opened(redis, url)
        redis.cli("CONFIG", "SET", "appendonly", "yes")
        for _ in range(12):
            await answer(ledger)
        redis.kill()
        redis.start("--appendonly", "yes")
        assert (await shown(ledger)).spent_mbits >= 12_000
        await ledger.close()

    scenario(history)


def test_counters_put_back_into_a_running_redis_are_not_believed(redis, url):
    async def history():
        ledger = await opened(redis, url)
        await answer(ledger)
        import redis as client

        direct = client.Redis(unix_socket_path=str(redis.socket))
        kept = {key: direct.dump(key) for key in direct.keys("*")}
        for _ in range(8):
            await answer(ledger)
        for key, value in kept.items():
            direct.restore(key, 0, value, replace=True)
        direct.close()
        assert (await shown(ledger)).spent_mbits >= 9000
        await ledger.close()

    scenario(history)


@pytest.mark.parametrize("kind", ["a", "g", "m"])
def test_counters_that_redis_threw_away_are_never_taken_for_nothing_spent(redis, url, kind):
    async def history():
        ledger = await opened(redis, url)
        for _ in range(5):
            await answer(ledger)
        (gone,) = redis.cli("KEYS", f"seal:*:{kind}:*").split()
        redis.cli("DEL", gone)
        left = (await answer(ledger)).left_mbits
        assert left <= 1_000_000 - 6000
        assert (await shown(ledger)).spent_mbits >= 6000
        await ledger.close()

    scenario(history)


def test_a_redis_that_may_throw_keys_away_is_refused(redis, url):
    redis.cli("CONFIG", "SET", "maxmemory", "100mb")
    redis.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(Unavailable) as caught:
        asyncio.run(opened(redis, url))
    assert "noeviction" in caught.value.hint


def test_a_redis_that_is_full_refuses_and_goes_on_when_there_is_room(redis, url):
    async def history():
        ledger = await opened(redis, url)
        await answer(ledger)
        redis.cli("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(Unavailable) as caught:
            await answer(ledger)
        assert "memory" in caught.value.hint
        redis.cli("CONFIG", "SET", "maxmemory", "0")
        assert (await answer(ledger)).spent_mbits == 2000
        await ledger.close()

    scenario(history)


def test_a_redis_that_hangs_is_given_up_and_what_was_taken_stays_charged(redis, url):
    async def history():
        ledger = await opened(redis, url, timeout_s=0.5)
        await answer(ledger)
        redis.cli("CLIENT", "PAUSE", "1500", "ALL")
        with pytest.raises(Unavailable):
            await answer(ledger)
        await asyncio.sleep(1.5)
        one = await answer(ledger)
        assert one.spent_mbits in (2000, 3000)
        await ledger.close()

    scenario(history)


def test_without_postgresql_only_what_was_claimed_is_served(redis):
    postgres = fresh_postgres()
    postgres.start()
    try:

        async def history():
            ledger = await opened(redis, postgres.database("one"))
            await answer(ledger)
            postgres.kill()
            answers = 1
            with pytest.raises(Unavailable) as caught:
                while True:
                    await answer(ledger)
                    answers += 1
            assert 1 < answers <= 1 + (CHUNK + 1000) // 1000
            assert "PostgreSQL" in caught.value.what
            with pytest.raises(Unavailable):
                await ledger.place("ann", "g")
            assert (await shown(ledger)).spent_mbits == answers * 1000
            postgres.start()
            assert (await answer(ledger)).spent_mbits == (answers + 1) * 1000
            await ledger.close()

        scenario(history)
    finally:
        postgres.kill()


def test_a_postgresql_put_back_to_an_older_state_is_refused(redis, url):
    async def history():
        ledger = await opened(redis, url)
        await answer(ledger)
        shared_postgres().sql("UPDATE sealwright_accounts SET claimed = 500", "replicas")
        with pytest.raises(Unavailable) as caught:
            await answer(ledger, mbits=2 * CHUNK)
        assert "put back" in caught.value.why
        await ledger.close()

    scenario(history)


def test_replicas_that_race_never_take_more_than_there_is(redis, url):
    small = Allowance(60_000, 150_000, rate_per_s=10**6, burst=10**6)

    async def history():
        replicas = await asyncio.gather(*(opened(redis, url) for _ in range(3)))

        async def client(at):
            released = 0
            for turn in range(12):
                try:
                    await answer(replicas[at % 3], 900, [turn], f"p{at % 4}", small)
                except Refused as error:
                    assert error.rule in ("guard.budget", "guard.model-budget")
                    continue
                released += 900
            return released

        released = sum(await asyncio.gather(*(client(at) for at in range(24))))
        assert 150_000 - 900 < released <= 150_000
        seen = [await one.balances("m") for one in replicas]
        assert seen[0] == seen[1] == seen[2]
        assert sum(one.spent_mbits for one in seen[0]) == released
        assert all(one.spent_mbits <= 60_000 for one in seen[0])
        for one in replicas:
            await one.close()

    scenario(history)


def test_replicas_that_start_together_share_one_epoch_and_its_end(redis, url):
    async def history():
        replicas = await asyncio.gather(*(opened(redis, url) for _ in range(4)))
        assert len({one._epoch.token for one in replicas}) == 1
        for one in replicas:
            await answer(one)
        redis.cli("FLUSHALL")
        done = await asyncio.gather(*(answer(one) for one in replicas), return_exceptions=True)
        assert all(not isinstance(one, Exception) for one in done), done
        assert len({one._epoch.token for one in replicas}) == 1
        number = shared_postgres().sql("SELECT number FROM sealwright_epochs", "replicas")
        assert number == "2"
        assert len({key.split(":")[2] for key in redis.cli("KEYS", "*").split()}) <= 2
        for one in replicas:
            await one.close()

    scenario(history)


def test_a_reservation_of_another_replica_is_refused(redis, url):
    async def history():
        one, other = await opened(redis, url), await opened(redis, url)
        held = await one.reserve(Ask("m", "ann", 100, 0), ALLOWED)
        with pytest.raises(Refused) as caught:
            await other.settle(held, 0, [])
        assert caught.value.rule == "guard.reservation"
        assert (await one.settle(held, 50, [])).spent_mbits == 50
        await one.close()
        await other.close()

    scenario(history)


def test_rungs_places_and_cells_are_shared_by_replicas(redis, url):
    async def history():
        one, other = await opened(redis, url), await opened(redis, url)
        await answer(one, cells=[1, 2])
        await answer(other, cells=[2, 3], who="bob")
        await one.place("bob", "ann")
        both = await answer(other, who="bob")
        assert (both.members, both.spent_mbits, both.cells) == (("ann", "bob"), 3000, 3)
        await other.climb("m", "ann", "block", 1 << 42)
        with pytest.raises(Refused):
            await answer(one)
        await one.close()
        await other.close()

    scenario(history)


def test_workspaces_on_the_same_servers_do_not_meet(redis, url):
    async def history():
        one = await opened(redis, url)
        other = await RedisLedger.open(redis.url, url, "sealwright.local/other")
        await answer(one)
        assert await other.balances("m") == ()
        await answer(other, mbits=10)
        assert (await shown(one)).spent_mbits == 1000
        await one.close()
        await other.close()

    scenario(history)


SERVING = """
import asyncio, sys
from sealwright.adapters.budget_redis import RedisLedger
from sealwright.serve.interface import Allowance, Ask
allowed = Allowance(1_000_000, 10_000_000, rate_per_s=10**6, burst=10**6)
async def serve():
    ledger = await RedisLedger.open(sys.argv[1], sys.argv[2], sys.argv[3])
    at = 0
    while True:
        held = await ledger.reserve(Ask("m", "ann", 900, 0), allowed)
        print("reserved", flush=True)
        await ledger.settle(held, 700, [at % 1024])
        print("released 700", flush=True)
        at += 1
asyncio.run(serve())
"""


@pytest.mark.parametrize("lines", [1, 8])
def test_a_replica_killed_between_reserve_and_settle_leaves_no_answer_uncounted(redis, url, lines):
    words = [sys.executable, "-c", SERVING, redis.url, url, ORIGIN]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    answers = said.count("released 700\n")

    async def history():
        ledger = await opened(redis, url)
        one = await shown(ledger)
        assert 700 * answers <= one.spent_mbits <= 700 * answers + 2 * 900
        assert answers <= one.cells <= answers + 1
        await answer(ledger)
        await ledger.close()

    scenario(history)


def test_servers_that_are_not_there_or_do_not_let_us_in_are_named_with_a_hint(redis, url, tmp_path):
    async def tried(redis_url, postgres_url):
        with pytest.raises(Unavailable) as caught:
            await RedisLedger.open(redis_url, postgres_url, ORIGIN, timeout_s=2.0)
        assert caught.value.hint
        return caught.value

    async def history():
        gone = f"unix://{tmp_path}/none.sock"
        assert "Redis" in (await tried(gone, url)).what
        nowhere = f"postgresql://seal:secret@/x?host={tmp_path}"
        error = await tried(redis.url, nowhere)
        assert "PostgreSQL" in error.what
        assert "secret" not in str(error.lines())
        redis.cli("CONFIG", "SET", "requirepass", "open sesame")
        assert "SEAL_REDIS_PASSWORD" in (await tried(redis.url, url)).hint
        ledger = await opened(redis, url, password="open sesame")
        await answer(ledger)
        await ledger.close()

    scenario(history)


def test_the_ledger_of_replicas_is_opened_as_the_settings_name_it(redis, url, tmp_path):
    async def history():
        ledger = await open_budget(f"{redis.url} + {url}", tmp_path, ORIGIN)
        await answer(ledger)
        await ledger.close()
        with pytest.raises(Unavailable):
            await answer(ledger)

    scenario(history)
    for bad in ("redis://x", "redis://x + mysql://y", "postgresql://x + redis://y", "redis://a +"):
        with pytest.raises(BadInput):
            addresses(bad)
    with pytest.raises(BadInput):
        asyncio.run(RedisLedger.open(redis.url, url, "a*b"))
