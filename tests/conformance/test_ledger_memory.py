"""The ledger of one node at its edges: kill -9, a second process, a full disk, another's file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from ledger_rigs import Clock

from sealwright.adapters import claims_sqlite
from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.app.budgeting import open_budget
from sealwright.core.clock import steady_us
from sealwright.core.errors import BadInput, Refused, Unavailable
from sealwright.serve.interface import Allowance, Ask

ALLOWED = Allowance(1_000_000, 10_000_000, rate_per_s=10**6, burst=10**6)

SERVING = """
import asyncio, sys
from pathlib import Path
from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.serve.interface import Allowance, Ask
allowed = Allowance(1_000_000, 10_000_000, rate_per_s=10**6, burst=10**6)
async def serve():
    ledger = MemoryLedger.open(Path(sys.argv[1]))
    at = 0
    while True:
        held = await ledger.reserve(Ask("m", "ann", 900, 0), allowed)
        print("reserved", flush=True)
        await ledger.settle(held, 700, [at % 1024])
        print("released 700", flush=True)
        at += 1
asyncio.run(serve())
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "budget.db"


def started(path):
    return subprocess.Popen(
        [sys.executable, "-c", SERVING, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def balance(path):
    async def read():
        ledger = MemoryLedger.open(path)
        (one,) = await ledger.balances("m")
        await ledger.close()
        return one

    return asyncio.run(read())


@pytest.mark.parametrize("lines", [1, 2, 7, 60])
def test_kill_9_between_reserve_and_settle_leaves_no_answer_uncounted(path, lines):
    with started(path) as process:
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    answers = sum(line == "released 700\n" for line in said)
    one = balance(path)
    assert 700 * answers <= one.spent_mbits <= 700 * answers + 2 * 900 + 1_000_000 // 64
    assert answers <= one.cells <= answers + 1 + 64


def test_a_second_process_on_the_same_record_is_refused_clearly(path):
    with started(path) as process:
        process.stdout.readline()
        with pytest.raises(Unavailable) as caught:
            MemoryLedger.open(path)
        process.kill()
    assert "another process" in caught.value.what
    assert "redis" in caught.value.hint
    assert balance(path).group == "ann"


def test_whoever_may_not_serve_can_still_read_what_is_claimed(path):
    with started(path) as process:
        for _ in range(4):
            process.stdout.readline()
        (one,) = claims_sqlite.peek(path).accounts
        process.kill()
    assert one.claimed_mbits >= 1400


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk to fill")
def test_a_full_disk_refuses_loses_nothing_and_goes_on_when_there_is_room(tmp_path):
    script = f"""
import asyncio, json, os
from pathlib import Path
from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.core.errors import Unavailable
from sealwright.serve.interface import Allowance, Ask
allowed = Allowance(1_000_000, 10_000_000_000, rate_per_s=10**6, burst=10**6)
small = Path({str(tmp_path)!r}) / "small"
async def main():
    ledger = MemoryLedger.open(small / "budget.db")
    async def answer(who):
        held = await ledger.reserve(Ask("m", who, 1000, 0), allowed)
        await ledger.settle(held, 1000, range(200))
        return 1000
    filler = small / "filler"
    released, why = await answer("p"), ""
    try:
        with filler.open("wb") as out:
            while True:
                out.write(bytes(4096))
                out.flush()
    except OSError:
        pass
    for at in range(2000):
        try:
            released += await answer(f"p{{at}}")
        except Unavailable as error:
            why = error.what + error.hint
            break
    filler.unlink()
    released += await answer("late")
    os._exit(print(json.dumps([released, why]), flush=True) or 9)
asyncio.run(main())
"""
    command = (
        f"mkdir {tmp_path}/small && mount -t tmpfs -o size=1m tmpfs {tmp_path}/small || exit 77\n"
    )
    command += '"$1" -c "$2"; test $? = 9 && "$1" -c "$3"'
    reading = f"""
import asyncio
from pathlib import Path
from sealwright.adapters.budget_memory import MemoryLedger
async def main():
    ledger = MemoryLedger.open(Path({str(tmp_path)!r}) / "small" / "budget.db")
    print(sum(one.spent_mbits for one in await ledger.balances("m")))
asyncio.run(main())
"""
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, "sh", sys.executable, script, reading],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine does not let us mount a small disk")
    assert done.returncode == 0, done.stderr
    (released, why), counted = map(json.loads, done.stdout.splitlines())
    assert "guard.ledger" in why
    assert "make room" in why
    assert counted >= released


def test_a_file_that_is_no_record_is_refused_and_left_as_it_is(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE accounts (x)")
    other.close()
    with pytest.raises(Unavailable):
        MemoryLedger.open(path)
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(Unavailable):
        MemoryLedger.open(path)
    assert path.read_bytes().startswith(b"nothing")
    with pytest.raises(Unavailable):
        MemoryLedger.open(path / "below.db")


def test_what_the_record_cannot_write_is_not_served_and_a_later_try_goes_on(path):
    class Flaky(claims_sqlite.SqliteClaims):
        failing = False

        def claim(self, claims):
            if self.failing:
                raise Unavailable("guard.ledger: not now")
            super().claim(claims)

    async def history():
        claims = Flaky.open(path)
        ledger = MemoryLedger(claims, Clock())
        claims.failing = True
        asked = [ledger.reserve(Ask("m", f"p{at}", 5, 0), ALLOWED) for at in range(5)]
        refused = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(one, Unavailable) for one in refused)
        assert await ledger.balances("m") == ()
        claims.failing = False
        held = await ledger.reserve(Ask("m", "p1", 5, 0), ALLOWED)
        await ledger.settle(held, 5, ())
        await ledger.close()
        with pytest.raises(Unavailable):
            await ledger.reserve(Ask("m", "p1", 5, 0), ALLOWED)

    asyncio.run(history())
    assert balance(path).spent_mbits == 5


def test_whoever_gives_up_waiting_takes_nothing_and_holds_nobody_up(path):
    async def history():
        ledger = MemoryLedger.open(path, Clock())
        waiting = [
            asyncio.ensure_future(ledger.reserve(Ask("m", f"p{at}", 5, 0), ALLOWED))
            for at in range(6)
        ]
        await asyncio.sleep(0)
        for one in waiting[::2]:
            one.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in done] == [True, False] * 3
        assert sum(one.spent_mbits for one in await ledger.balances("m")) == 15
        await ledger.close()

    asyncio.run(history())


def test_a_bitmap_that_was_kept_stays_kept_when_a_later_writer_gave_up(path):
    """A claim left behind by somebody who gave up must not put an older bitmap in its place."""

    async def history():
        ledger = MemoryLedger.open(path, Clock())

        async def answer(cells):
            held = await ledger.reserve(Ask("m", "ann", 1, 0), ALLOWED)
            await ledger.settle(held, 1, cells)

        await answer(range(0, 100))
        held = await ledger.reserve(Ask("m", "ann", 1, 0), ALLOWED)
        left = asyncio.ensure_future(ledger.settle(held, 1, range(300, 400)))
        await asyncio.sleep(0)
        left.cancel()
        await answer(range(500, 700))
        await answer(range(800, 1000))
        ledger._claims.close(None)

    asyncio.run(history())
    (row,) = claims_sqlite.peek(path).accounts
    assert row.cells.bit_count() + row.margin >= 500


def test_clocks_that_are_set_move_a_steady_clock_not_at_all():
    clock = steady_us()
    before = clock()
    assert 0 <= clock() - before < 10**8


def test_a_ledger_is_opened_as_the_settings_name_it(tmp_path):
    async def history():
        ledger = await open_budget("file", tmp_path, "o")
        with pytest.raises(Refused):
            await ledger.reserve(Ask("m", "ann", 2, 0), Allowance(1, 1))
        await ledger.close()
        for bad in ("", "sqlite:/x", "redis", "mysql://x"):
            with pytest.raises(BadInput):
                await open_budget(bad, tmp_path, "o")

    asyncio.run(history())
