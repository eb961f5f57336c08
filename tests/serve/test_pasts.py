"""What the guard remembers of callers outlives a restart, and a kill up to what is stated."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from test_walks import Cover, ask_rows, halvings, numbers
from test_watched import DIGEST, Town, rows, rungs, shelf  # noqa: F401

from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.adapters.pasts_sqlite import SqlitePasts
from sealwright.app.servingcover import Cover as RealCover
from sealwright.app.servingpasts import SealedPasts
from sealwright.app.servingwalks import Walking
from sealwright.core.errors import Unavailable, VerifyError
from sealwright.serve.interface import Allowance, Ask
from sealwright.serve.pasts import MOST, MOST_BYTES, SELDOM, Piece

KEY, DAY_MS = b"k" * 32, 86_400_000


class Clock:
    def __init__(self):
        self.now = 1_900_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    """Opens the pasts of a folder; all are closed at the end."""
    made = []

    def again(folder="one", key=KEY, space=DIGEST, keep_ms=30 * DAY_MS):
        while made:
            made.pop().close()
        (tmp_path / folder).mkdir(exist_ok=True)
        rows_ = SqlitePasts.open(tmp_path / folder / "x.pasts")
        made.append(rows_)
        return SealedPasts(rows_, key, space, clock, keep_ms)

    yield again
    while made:
        made.pop().close()


def killed(tmp_path, to="killed"):
    """A copy of the files as they lie there now: what a server that is killed leaves."""
    shutil.copytree(tmp_path / "one", tmp_path / to)
    return to


# -- where it lies ------------------------------------------------------------------------------


def test_pieces_come_back_once_those_that_changed_last_at_the_end(opened, clock):
    pasts = opened()
    assert pasts.empty
    pasts.write([Piece("level", "ann", "", b"1"), Piece("level", "bob", "", b"2")])
    clock.now += 1
    pasts.write([Piece("level", "ann", "", b"3"), Piece("memory", "ann", "", b"4")])
    again = opened()
    assert not again.empty
    assert [(one.name, one.body) for one in again.read("level")] == [("bob", b"2"), ("ann", b"3")]
    assert again.read("level") == []


def test_a_piece_that_is_empty_or_too_large_is_gone(opened):
    pasts = opened()
    pasts.write([Piece("level", "ann", "", b"1"), Piece("memory", "ann", "", b"1")])
    pasts.write([Piece("level", "ann", "", b""), Piece("memory", "ann", "", bytes(MOST_BYTES + 1))])
    again = opened()
    assert (again.read("level"), again.read("memory")) == ([], [])


def test_a_piece_measured_by_something_else_is_dropped_for_good(opened):
    opened().write([Piece("level", "ann", "a" * 64, b"1"), Piece("level", "bob", "b" * 64, b"1")])
    assert [one.name for one in opened().read("level", "b" * 64)] == ["bob"]
    assert opened().read("level", "a" * 64) == []


def test_an_expired_past_is_dropped_at_the_start_and_while_it_runs(opened, clock):
    pasts = opened()
    pasts.write([Piece("level", "old", "", b"1"), Piece("ruler", "", "", b"r")])
    clock.now += 30 * DAY_MS
    pasts.write([Piece("level", "new", "", b"1")])
    assert pasts.expire(["level"]) == []
    clock.now += 1
    assert pasts.expire(["level", "ruler"]) == [("level", "old")]
    clock.now += 30 * DAY_MS
    again = opened()
    assert again.read("level") == []
    assert [one.body for one in again.read("ruler")] == [b"r"]
    assert again.empty, "as if somebody had removed the file"
    assert not opened().empty


def test_of_each_kind_so_many_are_kept_and_no_more(opened, clock, monkeypatch):
    monkeypatch.setitem(MOST, "memory", 2)
    pasts = opened()
    for name in ("ann", "bob", "cat"):
        clock.now += 1
        pasts.write([Piece("memory", name, "", b"1"), Piece("level", name, "", b"1")])
    assert pasts.expire(["memory", "level"]) == []
    assert [one.name for one in opened().read("memory")] == ["bob", "cat"]


def test_what_is_kept_is_secret_and_for_its_owner_alone(opened, tmp_path):
    opened().write([Piece("memory", "ann", "", b"what was asked")])
    for path in (tmp_path / "one").iterdir():
        assert b"what was asked" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def changed_by(sql):
    def change(path):
        db = sqlite3.connect(path)
        db.execute(sql)
        db.commit()
        db.close()

    return change


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    "damage",
    [
        changed_by("UPDATE pasts SET sealed = zeroblob(60)"),
        changed_by("UPDATE pasts SET name = 'bob'"),
        changed_by("UPDATE pasts SET kind = 'memory'"),
        changed_by("UPDATE pasts SET at_ms = at_ms + 1"),
        changed_by("UPDATE pasts SET made = 'x'"),
        changed_by("PRAGMA user_version = 2"),
        changed_by("CREATE TABLE other (one)"),
        cut,
        lambda path: path.write_bytes(b"no database" * 100),
    ],
    ids=["body", "name", "kind", "time", "made", "version", "table", "cut", "no database"],
)
def test_what_was_changed_stops_the_start(opened, tmp_path, damage):
    opened().write([Piece("level", "ann", "", b"1" * 9000)])
    opened()
    path = tmp_path / "one" / "x.pasts"
    opened("other")  # lets go of the first, whose WAL is in the file then
    damage(path)
    with pytest.raises(VerifyError) as refused:
        opened()
    assert refused.value.rule == "guard.past"
    assert str(path) in refused.value.hint


@pytest.mark.parametrize("other", [{"key": b"o" * 32}, {"space": "cd" * 32}])
def test_with_another_key_or_for_another_model_nothing_is_read(opened, other):
    opened().write([Piece("level", "ann", "", b"1")])
    with pytest.raises(VerifyError):
        opened(**other)


def test_two_servers_do_not_write_one_past(opened, tmp_path):
    opened()
    with pytest.raises(Unavailable):
        SqlitePasts.open(tmp_path / "one" / "x.pasts")


def test_what_was_written_survives_a_kill(opened, tmp_path):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from sealwright.adapters.pasts_sqlite import SqlitePasts\n"
        "from sealwright.app.servingpasts import SealedPasts\n"
        "from sealwright.serve.pasts import Piece\n"
        f"rows = SqlitePasts.open(Path({str(tmp_path / 'one' / 'x.pasts')!r}))\n"
        f"pasts = SealedPasts(rows, {KEY!r}, {DIGEST!r}, lambda: 1_900_000_000_000, 1000)\n"
        "for at in range(50):\n"
        "    pasts.write([Piece('level', f'g{at}', '', b'1')])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "one").mkdir()
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(opened().read("level")) == 50


# -- the monitors -------------------------------------------------------------------------------


async def ask(town, count, first=5000):
    """One odd row a round from row ``first`` on."""
    for at in range(count):
        town.asks("thief", rows(1, first + at, centre=1.4))
        await town.monitors.work()
        town.now += 1000


def whole(shelf, pasts, count):  # noqa: F811
    """What a thief is told whom nothing interrupts."""

    async def story():
        town = Town(shelf, pasts=pasts)
        await town.grow()
        await ask(town, count)
        return town

    return asyncio.run(story())


def told(town):
    return [(one.rung, one.why) for one in town.journal.events]


def test_a_thief_split_over_a_restart_is_caught_as_soon_as_one_who_is_not(
    shelf,  # noqa: F811
    opened,
    tmp_path,
):
    count = 60
    plain = whole(shelf, opened("two"), count)
    assert told(plain)[-1][0] == "degrade"
    (tmp_path / f"{DIGEST[:16]}.monitors").unlink()

    async def story():
        town = Town(shelf, pasts=opened())
        await town.grow()
        for start in range(0, count, 3):
            await ask(town, 3, 5000 + start)
            await town.monitors.close()
            again = Town(shelf, town.ledger, town.journal, pasts=opened())
            again.now = town.now
            await again.climber.recall()
            await again.monitors.work()
            town = again
        return town

    assert told(asyncio.run(story())) == told(plain)


def test_without_a_past_the_same_thief_gets_no_further_than_a_warning(shelf):  # noqa: F811
    """So that the test above can fail."""

    async def story():
        town = Town(shelf)
        await town.grow()
        for start in range(0, 60, 3):
            await ask(town, 3, 5000 + start)
            again = Town(shelf, town.ledger, town.journal)
            again.now = town.now
            await again.climber.recall()
            await again.monitors.work()
            town = again
        return town

    assert rungs(asyncio.run(story()), "thief") == ["warn"]


def test_a_kill_loses_no_level_that_was_heard_and_at_most_ten_rounds_of_memory(
    shelf,  # noqa: F811
    opened,
    tmp_path,
):
    plain = whole(shelf, opened("two"), 23)
    (tmp_path / f"{DIGEST[:16]}.monitors").unlink()

    async def story():
        town = Town(shelf, pasts=opened())
        await town.grow()
        await ask(town, 23)
        folder = killed(tmp_path)
        again = Town(shelf, town.ledger, town.journal, pasts=opened(folder))
        await again.monitors.work()
        return town, again

    town, again = asyncio.run(story())
    levels = plain.monitors._watcher._levels["thief"]
    assert levels.max() > 0.2
    assert (again.monitors._watcher._levels["thief"] == levels).all()
    before = town.monitors._watcher._memories["thief"].points
    after = again.monitors._watcher._memories["thief"].points
    assert 23 - SELDOM <= len(after) <= 23
    assert (before[: len(after)] == after).all()


def test_callers_who_were_heard_before_a_restart_count_towards_the_fifty(shelf, opened):  # noqa: F811
    async def story():
        town = Town(shelf, pasts=opened())
        for at in range(10):
            town.asks(f"first{at}", rows(25, 1000 + at))
        await town.monitors.close()
        town = Town(shelf, pasts=opened())
        assert "250 of 500 rows of 10 callers" in town.monitors.state
        for at in range(10, 20):
            town.asks(f"first{at}", rows(25, 1000 + at))
        await town.monitors.work()
        for at in range(30):
            town.asks(f"p{at}", rows(60, 2000 + at))
        await town.monitors.close()
        town = Town(shelf, pasts=opened())
        await town.monitors.work()
        assert "30 of 50" in town.monitors.state
        for at in range(30, 52):
            town.asks(f"p{at}", rows(60, 2000 + at))
        await town.monitors.close()
        return town, opened()

    town, pasts = asyncio.run(story())
    assert town.monitors.state.startswith("on, calibrated by")
    assert pasts.read("sample") == []


def test_who_was_linked_while_no_server_ran_brings_the_level_along(shelf, opened):  # noqa: F811
    async def story():
        town = Town(shelf, pasts=opened())
        await town.grow()
        await ask(town, 20)
        await town.monitors.close()
        again = Town(shelf, town.ledger, pasts=opened())
        await again.linker.place("thief", "gang", "the same people")
        await again.monitors.work()
        return town, again

    town, again = asyncio.run(story())
    before = town.monitors._watcher._levels["thief"]
    assert (again.monitors._watcher._levels["gang"] == before).all()
    assert "thief" not in again.monitors._watcher._levels


def test_an_appeal_is_not_undone_by_a_restart(shelf, opened):  # noqa: F811
    async def story():
        town = Town(shelf, pasts=opened())
        await town.grow()
        await ask(town, 20)
        town.climber.by_person("thief", "observe", 0)
        await town.monitors.close()
        again = Town(shelf, town.ledger, pasts=opened())
        await again.monitors.work()
        return again

    watcher = asyncio.run(story()).monitors._watcher
    assert "thief" not in watcher._levels
    assert "thief" in watcher._memories


def test_a_full_disk_is_said_and_the_ladder_goes_on(shelf, opened):  # noqa: F811
    pasts = opened()

    def full(pieces):
        raise Unavailable("no space")

    async def story():
        town = Town(shelf, pasts=pasts)
        await town.grow()
        pasts.write = full
        await ask(town, 60)
        del pasts.write
        await town.monitors.work()
        return town

    town = asyncio.run(story())
    assert len(rungs(town, "thief")) >= 2
    assert [one for one in town.said if "over a restart" in one] == [
        "what callers asked is not kept over a restart: no space",
        "what callers asked is kept over a restart again",
    ]


# -- walks and paces ----------------------------------------------------------------------------


def walking_of(ledger, pasts):
    cover = Cover()
    cover.frame = FRAME
    return Walking(
        *(cover, cover, ledger, "m", lambda who: who, lambda: 0, print),
        1_000,
        charging=True,
        pasts=pasts,
    )


FRAME = Cover().frame


def test_a_walk_split_over_a_restart_is_charged_like_one_that_is_not(opened, tmp_path):
    allowed = Allowance(10**9, 10**9, 600, 10**6, 10**6)
    found, labels = halvings(3, 8)

    async def story(name, restarts):
        ledger = MemoryLedger.open(tmp_path / f"{name}.db")
        await ledger.settle(await ledger.reserve(Ask("m", "eve", 1_000, 0), allowed), 1_000, [1])
        walking = walking_of(ledger, opened(name))
        ask_rows(walking, "ann", numbers(600, 9), np.zeros(600, int))
        for row, label in zip(found, labels, strict=True):
            ask_rows(walking, "eve", row[None], label[None])
            await walking.work()
            if restarts:
                await walking.close()
                walking = walking_of(ledger, opened(name))
        (told_,) = await ledger.balances("m")
        paces = walking.paces.piece("eve")
        await ledger.close()
        return told_.cells, paces

    once, often = asyncio.run(story("one", False)), asyncio.run(story("two", True))
    assert once == often
    assert once[0] > 8


def test_steps_that_were_found_and_not_charged_when_it_was_killed_are_charged_after(
    opened, tmp_path
):
    allowed = Allowance(10**9, 10**9, 600, 10**6, 10**6)

    async def story():
        ledger = MemoryLedger.open(tmp_path / "budget.db")
        await ledger.settle(await ledger.reserve(Ask("m", "eve", 1_000, 0), allowed), 1_000, [1])
        walking = walking_of(ledger, opened())
        ask_rows(walking, "ann", numbers(600, 9), np.zeros(600, int))
        ask_rows(walking, "eve", *halvings(3, 8))
        walking._look()  # the other half of a round is to charge
        assert (await ledger.balances("m"))[0].cells == 1
        again = walking_of(ledger, opened(killed(tmp_path)))
        await again.work()
        (told_,) = await ledger.balances("m")
        after = opened("killed").read("due")
        await again.close()
        await ledger.close()
        return told_.cells, after

    cells, _ = asyncio.run(story())
    assert cells > 8


def test_two_halves_of_a_walk_are_one_walk_once_their_callers_are_linked(opened, tmp_path):
    found, labels = halvings(3, 8)

    async def story(linked):
        ledger = MemoryLedger.open(tmp_path / f"budget{linked}.db")
        together, cover = {}, Cover()
        walking = Walking(
            *(cover, cover, ledger, "m", lambda who: together.get(who, who), lambda: 0, print),
            1_000,
            charging=True,
        )
        ask_rows(walking, "ann", numbers(600, 9), np.zeros(600, int))
        ask_rows(walking, "bob", found[:2], labels[:2])
        await walking.work()
        if linked:
            together["bob"] = "gang"
            walking.joined("bob", "gang")
            together["eve"] = "gang"
        ask_rows(walking, "eve", found[2:], labels[2:])
        walking._look()
        await ledger.close()
        return walking.steps

    assert asyncio.run(story(True)) > asyncio.run(story(False))


def test_a_callers_pace_outlives_a_kill_up_to_ten_rounds(opened, tmp_path):
    async def story():
        ledger = MemoryLedger.open(tmp_path / "budget.db")
        walking = walking_of(ledger, opened())
        for at in range(25):
            ask_rows(walking, "eve", numbers(10, at), np.arange(10) % 2)
            await walking.work()
        again = walking_of(ledger, opened(killed(tmp_path)))
        await ledger.close()
        return walking.paces.heard(), again.paces.heard()

    (before,), (after,) = asyncio.run(story())
    assert len(before) == 250
    assert 250 - 10 * SELDOM <= len(after) <= 250
    assert (before[: len(after)] == after).all()


def test_an_expired_past_is_forgotten_while_the_server_runs(opened, tmp_path, clock):
    async def story():
        ledger = MemoryLedger.open(tmp_path / "budget.db")
        walking = walking_of(ledger, opened())
        ask_rows(walking, "ann", numbers(600, 9), np.zeros(600, int))
        ask_rows(walking, "eve", numbers(60, 1), np.arange(60) % 2)
        for _ in range(10):
            await walking.work()
        assert {"ann", "eve"} <= set(walking._pasts)
        clock.now += 31 * DAY_MS
        ask_rows(walking, "ann", numbers(10, 2), np.arange(10) % 2)
        for _ in range(50):
            await walking.work()
        await ledger.close()
        return walking

    walking = asyncio.run(story())
    assert set(walking._pasts) == {"ann"}
    assert len(walking.paces.heard()) == 1


# -- coverage -----------------------------------------------------------------------------------


def test_rows_that_coverage_is_to_be_fitted_from_outlive_a_restart(opened, tmp_path):
    def cover():
        return RealCover(tmp_path / "x.frame", print, opened())

    async def story():
        first = cover()
        first.cells(numbers(300, 1))
        await first.close()
        again = cover()
        assert "300 of 500" in again.state
        again.cells(numbers(200, 2))
        assert again.state == "fitted from 500 rows"
        await again.close()
        return opened().read("cover")

    assert asyncio.run(story()) == []
