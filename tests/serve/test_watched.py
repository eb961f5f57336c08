"""Monitors, ladder and links as ``seal serve`` joins them: who asks oddly climbs, by statements."""

import asyncio
import json

import msgspec
import numpy as np
import pytest

from sealwright.app.servingladder import Climber, by_hand, drifted
from sealwright.app.servinglinks import Linker, links_of
from sealwright.app.servingmonitors import Monitors
from sealwright.app.servingsample import Sample, Shelf
from sealwright.core.errors import VerifyError
from sealwright.serve.arrays import Array, packed, unpacked
from sealwright.serve.callers import Known
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import RUNGS, Allowance, Answer, Ask, Balance, Caller
from sealwright.serve.journal import About, Covered, Journal
from sealwright.serve.ladder import Signal
from sealwright.serve.monitors.drift import Shift
from sealwright.serve.monitors.interface import Sight
from sealwright.serve.pasts import NOWHERE
from sealwright.serve.watcher import Heard

MODEL, DIGEST = "model:pets@1", "ab" * 32
NOW_MS = 1_900_000_000_000
MINUTE_MS = 60_000
PLENTY = Allowance(10**9, 10**12)


class FakeCover:
    """A frame that is there already."""

    def __init__(self):
        self.frame = Frame.fit(rows(500, 0), 1)

    def cells(self, features):
        return self.frame.cells(features)


class Ledger:
    """Rungs and groups in dictionaries; everybody has plenty left."""

    def __init__(self):
        self.rungs, self.placed, self.asked, self.left = {}, {}, set(), 10**9

    async def climb(self, model, group, rung, until_ms):
        self.rungs[group] = (rung, until_ms)

    async def place(self, principal, group):
        self.placed[principal] = group

    async def balances(self, model):
        told = {self.placed.get(who, who) for who in self.asked}
        return tuple(
            Balance(
                model,
                group,
                (group,),
                0,
                self.left,
                10**9,
                0,
                0,
                *self.rungs.get(group, ("observe", 0)),
            )
            for group in sorted(told)
        )


class Events:
    """A journal of events in a list."""

    def __init__(self):
        self.events, self.broken = [], False

    async def event(self, event, *, again=False):
        if self.broken:
            raise OSError("the disk is full")
        self.events.append(event)
        return len(self.events) - 1


class Town:
    """A served model's monitors, and people who ask it."""

    def __init__(self, shelf, ledger=None, journal=None, links="off", pasts=NOWHERE):
        self.ledger, self.journal = ledger or Ledger(), journal or Events()
        self.now, self.shifts, self.said = NOW_MS, [], []
        self.linker = Linker(MODEL, DIGEST, self.ledger, self.journal)
        self.climber = Climber(
            MODEL, DIGEST, self.ledger, self.journal, lambda: self.now, asyncio.Lock()
        )
        self.monitors = Monitors(
            FakeCover(),
            shelf,
            self.climber,
            self.linker.group,
            self.drifted,
            self.said.append,
            None if links == "off" else self.linker.acquainted,
            bytes(range(32)),
            pasts,
        )
        self.linker.enforced = links == "enforce"
        self.linker.joined = self.monitors.joined

    async def drifted(self, shifts):
        self.shifts.append(shifts)

    def asks(self, who, seen, internal=False):
        if hasattr(self.ledger, "asked"):
            self.ledger.asked.add(who)
        scores = np.abs(seen[:, :3]) + 0.1
        answer = Answer(scores / scores.sum(axis=1, keepdims=True), seen)
        self.monitors.behind(Caller(who, "key", internal), seen, answer, "top1")

    async def grow(self, people=52, count=60):
        """Rows to make monitors of, then rows of so many honest people."""
        for at in range(20):
            self.asks(f"first{at}", rows(25, 1000 + at))
        await self.monitors.work()
        for at in range(people):
            self.asks(f"p{at}", rows(count, 2000 + at))
        await self.monitors.work()


def rows(count, seed, centre=0.0):
    return np.random.default_rng(seed).normal(centre, 1, (count, 6))


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path, DIGEST, b"k" * 32)


def rungs(town, group):
    return [one.rung for one in town.journal.events if one.group == group]


async def steal(town, who="thief", tries=40, first=5000):
    """One odd row a second, as long as it takes to be degraded."""
    for at in range(tries):
        town.asks(who, rows(1, first + at, centre=9))
        await town.monitors.work()
        town.now += 1000
        if town.ledger.rungs.get(who, ("", 0))[0] == "degrade":
            return


def test_a_thief_climbs_rung_by_rung_each_an_event_and_honest_people_do_not(shelf):
    async def story():
        town = Town(shelf)
        await town.grow()
        assert town.monitors.state.startswith("on, calibrated by"), town.said
        await steal(town)
        for at in range(52):
            town.asks(f"p{at}", rows(40, 7000 + at))
        await town.monitors.work()
        return town

    town = asyncio.run(story())
    assert town.said == ["monitors: calibrated by 52 callers"]
    climbed = [RUNGS.index(one) for one in rungs(town, "thief")]
    assert climbed == sorted(set(climbed)), "only up, and each rung once"
    assert len(climbed) >= 3
    assert town.ledger.rungs["thief"][0] == "degrade"
    assert {one.group for one in town.journal.events} == {"thief"}
    assert {one.rule for one in town.journal.events} == {"guard.ladder"}
    assert town.journal.events[-1].what == "degrade"
    assert "of its threshold" in town.journal.events[-1].why


def test_rows_that_cannot_be_looked_at_hide_nobody_elses_and_are_said_once(shelf):
    async def story():
        town = Town(shelf)
        await town.grow()
        for at in range(30):
            town.asks("saboteur", rows(1, at)[:, :5])
            town.asks("thief", rows(1, 5000 + at, centre=9))
            town.asks("saboteur", rows(1, at)[:, :4])
            await town.monitors.work()
        return town

    town = asyncio.run(story())
    assert town.ledger.rungs["thief"][0] == "degrade"
    assert "60 rows were not looked at" in town.monitors.state
    (said,) = (one for one in town.said if "cannot be looked at" in one)
    assert said.startswith("monitors: rows of saboteur cannot")


def test_a_fault_that_nobody_foresaw_is_said_and_the_next_round_goes_on(shelf):
    async def story():
        town = Town(shelf)
        await town.grow()
        work, town.monitors._watcher.work = town.monitors._watcher.work, lambda: {}["none"]
        await town.monitors.work()
        assert town.monitors.state.startswith("not watching: ")
        town.monitors._watcher.work = work
        await steal(town)
        assert town.monitors.state.startswith("on")
        return town

    assert asyncio.run(story()).ledger.rungs["thief"][0] == "degrade"


def test_with_49_honest_people_nobody_is_moved(shelf):
    async def story():
        town = Town(shelf)
        await town.grow(people=49)
        await steal(town, tries=3)
        assert "49 of 50" in town.monitors.state
        return town

    town = asyncio.run(story())
    assert town.journal.events == []
    assert town.ledger.rungs == {}


def test_fifty_of_whom_a_few_are_too_strange_to_learn_from_are_not_enough(shelf):
    async def story():
        town = Town(shelf)
        await town.grow(people=48)
        for at in range(2):
            town.asks(f"odd{at}", rows(60, 3000 + at, centre=12 + 4 * at))
        await town.monitors.work()
        await steal(town, tries=30, first=8000)
        assert "too strange to learn from: odd" in town.said[-1]
        assert town.journal.events == []
        assert "48 of 50" in town.monitors.state
        for at in range(48, 53):
            town.asks(f"p{at}", rows(60, 2000 + at))
        await town.monitors.work()
        assert {f"odd{at}" for at in range(2)} == town.monitors._odd
        await steal(town)
        return town

    assert asyncio.run(story()).ledger.rungs["thief"][0] == "degrade"


def test_a_spent_budget_blocks_whoever_is_heard_also_before_there_are_fifty(shelf):
    async def story():
        town = Town(shelf)
        town.ledger.asked.add("poor")
        town.ledger.left = 0
        await town.climber.step(heard("poor", 0), False)
        return town

    town = asyncio.run(story())
    assert [(one.what, one.rung) for one in town.journal.events] == [("block", "block")]
    assert town.ledger.rungs["poor"][0] == "block"


def test_before_there_are_rows_of_twenty_callers_there_are_no_monitors(shelf):
    async def story():
        town = Town(shelf)
        for at in range(19):
            town.asks(f"p{at}", rows(500, at))
        town.asks("ours", rows(500, 1), internal=True)
        await town.monitors.work()
        return town.monitors.state

    assert (
        asyncio.run(story()) == "not yet: 475 of 500 rows of 19 callers were seen to make them of"
    )


def test_a_restart_keeps_the_calibration_and_the_rungs(shelf):
    async def story():
        town = Town(shelf)
        await town.grow()
        await steal(town)
        again = Town(shelf, town.ledger)
        again.now = town.now
        await again.climber.recall()
        await again.monitors.work()
        assert again.monitors.state == town.monitors.state
        await again.monitors.work()
        assert again.ledger.rungs["thief"][0] == "degrade"
        await steal(again, "another")
        assert again.ledger.rungs["another"][0] == "degrade"
        again.now = again.ledger.rungs["thief"][1]
        await again.monitors.work()
        return again

    again = asyncio.run(story())
    assert rungs(again, "thief") == ["step-up"], "it comes down by one when its time is over"


def test_a_calibration_of_an_older_version_is_learnt_anew(shelf):
    async def story():
        town = Town(shelf)
        await town.grow()
        learnt = shelf.read()
        old = msgspec.structs.replace(learnt.calibration, method=1)
        shelf.write(msgspec.structs.replace(learnt, calibration=old))
        again = Town(shelf)
        await again.monitors.work()
        return again

    again = asyncio.run(story())
    assert again.monitors.state.startswith("learning")
    assert "learn anew" in again.said[-1]


def test_what_was_learnt_is_secret_and_a_change_to_it_is_seen(shelf, tmp_path):
    asyncio.run(Town(shelf).grow())
    (path,) = tmp_path.glob("*.monitors")
    sealed = path.read_bytes()
    assert b"novelty" not in sealed
    path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(VerifyError) as caught:
        shelf.read()
    assert caught.value.rule == "guard.monitors"
    with pytest.raises(VerifyError):
        path.write_bytes(sealed)
        Shelf(tmp_path, DIGEST, b"other" * 6 + b"ab").read()


def test_an_appeal_that_is_granted_begins_the_levels_anew(shelf):
    async def story():
        town = Town(shelf)
        await town.grow()
        await steal(town)
        async with town.climber.moving:
            await town.ledger.climb(MODEL, "thief", "observe", 0)
            town.climber.by_person("thief", "observe", 0)
        before = len(town.journal.events)
        town.asks("thief", rows(30, 1))
        await town.monitors.work()
        assert len(town.journal.events) == before
        await steal(town)
        return town, before

    town, before = asyncio.run(story())
    assert len(town.journal.events) > before, "who goes on climbs again"


def heard(group, permille):
    return (Heard(group, 1, (Signal("novelty", permille),), 0),)


def test_nobody_is_moved_while_the_log_takes_nothing(shelf):
    async def story():
        town = Town(shelf)
        town.ledger.asked.add("odd")
        town.journal.broken = True
        with pytest.raises(OSError, match="full"):
            await town.climber.step(heard("odd", 3000), True)
        assert town.ledger.rungs == {}
        town.journal.broken = False
        await town.climber.step(heard("odd", 3000), True)
        return town

    assert asyncio.run(story()).ledger.rungs["odd"][0] == "degrade"


def test_a_rung_that_a_person_chose_ends_when_they_said(shelf):
    async def story():
        town = Town(shelf)
        town.ledger.asked.add("held")
        until = town.now + 60 * MINUTE_MS
        await town.ledger.climb(MODEL, "held", "degrade", until)
        town.climber.by_person("held", "degrade", until)
        assert not town.climber.benign("held")
        await town.climber.step(heard("held", 0), True)
        assert town.ledger.rungs["held"] == ("degrade", until)
        town.now = until + 1
        town.ledger.rungs["held"] = ("observe", 0)  # the ledger's own decay
        await town.climber.step((), True)
        return town

    town = asyncio.run(story())
    assert town.journal.events == []
    assert town.climber.benign("held")


def test_a_rung_that_goes_on_lasts_longer_without_a_new_event(shelf):
    async def story():
        town = Town(shelf)
        town.ledger.asked.add("odd")
        await town.climber.step(heard("odd", 1100), True)
        first = town.ledger.rungs["odd"][1]
        town.now += 10 * MINUTE_MS
        await town.climber.step(heard("odd", 1100), True)
        return town, first

    town, first = asyncio.run(story())
    assert rungs(town, "odd") == ["throttle"]
    assert town.ledger.rungs["odd"] == ("throttle", first + 10 * MINUTE_MS)


def test_a_linked_account_brings_its_level_along(shelf):
    async def story():
        town = Town(shelf)
        await town.grow()
        await steal(town)
        town.linker.known.clear()
        await town.linker.place("thief", "p0", "the same people")
        town.asks("p0", rows(1, 1))
        await town.monitors.work()
        return town

    assert asyncio.run(story()).ledger.rungs["p0"][0] == "degrade"


def test_traffic_that_drifts_is_told_once_a_window(shelf):
    async def story():
        town = Town(shelf)
        await town.grow()
        for at in range(25):
            town.asks(f"p{at}", rows(50, 9000 + at, centre=0.7))
        await town.monitors.work()
        return town

    town = asyncio.run(story())
    assert len(town.shifts) == 1
    event = drifted(MODEL, DIGEST, "ada", town.shifts[0])
    assert (event.what, event.rule, event.rung) == ("drift", "guard.drift", "observe")
    assert "novelty" in event.why


def key(name, organisation="", **more):
    return Known(None, Caller(f"key:{name}", "key", organisation=organisation, **more), 0)


def test_callers_of_one_organisation_or_certificate_share_a_group_and_a_persons_word_stays(shelf):
    async def story():
        town = Town(shelf)
        await town.linker.place("key:apart", "key:apart", "another department")
        keys = [
            key("a", "acme"),
            key("apart", "acme"),
            key("b", "acme"),
            key("c", certificate="c1"),
            key("d", certificate="c1"),
            key("e", network="10.0.0.0/24"),
            key("f", network="10.0.0.0/24"),
        ]
        await town.linker.organise(keys)
        await town.linker.organise(keys)
        return town

    town = asyncio.run(story())
    assert town.ledger.placed == {
        "key:apart": "key:apart",
        "key:a": "organisation:acme",
        "key:b": "organisation:acme",
        "key:c": "key:c",
        "key:d": "key:c",
    }
    assert town.linker.known["key:d"].why == "the same certificate (100)"
    assert len(town.journal.events) == 5, "each link is said once"


async def asks_alike(town, *who):
    """Each of ``who`` asks the same two hundred rows, which nobody else does."""
    await town.grow()
    for name in who:
        town.asks(name, rows(200, 77))
    await town.monitors.work()


@pytest.mark.parametrize("links", ["off", "suggest", "enforce"])
def test_who_asks_the_same_rare_rows_is_suggested_and_placed_only_where_that_is_wanted(
    shelf, monkeypatch, links
):
    monkeypatch.setattr("sealwright.app.servingmonitors.LINKED_EVERY", 1)

    async def story():
        town = Town(shelf, links=links)
        await asks_alike(town, "x", "y")
        return town

    town = asyncio.run(story())
    suggested = [(one.one, one.other, one.score) for one in town.linker.suggested]
    assert suggested == ([] if links == "off" else [("x", "y", 100)])
    events = [one for one in town.journal.events if one.what == "link"]
    assert town.ledger.placed == ({"x": "x", "y": "x"} if links == "enforce" else {})
    assert len(events) == len(town.ledger.placed)
    assert all("x and y: " in one.why and "rare queries" in one.why for one in events)


def test_an_enforced_link_joins_no_organisations_and_does_not_undo_a_persons_word(
    shelf, monkeypatch
):
    monkeypatch.setattr("sealwright.app.servingmonitors.LINKED_EVERY", 1)

    async def story():
        town = Town(shelf, links="enforce")
        await town.linker.organise([key("a", "acme"), key("b", "bolt")])
        await town.linker.place("apart", "apart", "another department")
        await asks_alike(town, "key:a", "key:b", "apart")
        assert len(town.linker.suggested) == 3
        assert town.linker.group("key:a") == "organisation:acme"
        assert town.linker.group("key:b") == "organisation:bolt"
        await town.linker.place("key:b", "key:b", "sold")
        town.asks("new", rows(200, 77))
        await town.monitors.work()
        assert town.linker.group("new") == "organisation:acme"
        await town.linker.place("new", "new", "only their auditor")
        await town.monitors.work()
        return town

    town = asyncio.run(story())
    assert town.linker.group("new") == "new"
    assert town.linker.group("apart") == "apart"


def test_arrays_come_back_as_they_were_kept():
    for found in (rows(3, 1).astype(np.float32), np.array([["a", "b"]], object), np.arange(4)):
        back = unpacked(packed(found))
        assert back.shape == found.shape
        assert (back == found).all()
    assert unpacked(Array((0, 2), "<f8")).shape == (0, 2)
    sample = Sample()
    sample.add("x", Sight(np.array(["one two", "three"]), rows(2, 1), rows(2, 2)))
    assert sample.learnt().sight().inputs.tolist() == ["one two", "three"]
    assert sample.learnt().near == (0, 1)


def seal(capsys, *words):
    from sealwright.app.cli import main

    capsys.readouterr()
    assert main([*words, "--json"]) == 0, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def test_each_rung_of_a_thief_is_verified_offline_and_kept_by_the_ledger(
    house, shelf, capsys, tmp_path
):
    from sealwright.adapters.budget_memory import MemoryLedger
    from sealwright.app import wiring

    workspace = wiring.open_workspace(house)
    record = tmp_path / "budget.db"

    async def story():
        ledger = MemoryLedger.open(record)
        about = About(MODEL, DIGEST, DIGEST, "ada")
        journal = Journal(
            tmp_path / "records", about, workspace.recorder, workspace.clock, Covered({})
        )
        town = Town(shelf, ledger, journal)
        town.now = int(workspace.clock().timestamp() * 1000)
        reserved = await ledger.reserve(Ask(MODEL, "thief", 1000, town.now), PLENTY)
        await ledger.settle(reserved, 1000, [])
        await town.grow()
        for at in range(30):
            town.asks("thief", rows(1, 5000 + at, centre=9))
            await town.monitors.work()
        (found,) = await ledger.balances(MODEL)
        event = drifted(MODEL, DIGEST, "ada", (Shift("novelty", 300, 1000),))
        await journal.event(event, again=True)
        await journal.close()
        await ledger.close()
        assert found.rung == "degrade"
        ledger = MemoryLedger.open(record)
        (again,) = await ledger.balances(MODEL)
        await ledger.close()
        assert (again.rung, again.rung_until_ms) == (found.rung, found.rung_until_ms)

    asyncio.run(story())
    history = wiring.open_workspace(house).history()
    assert links_of(history) == {}
    assert by_hand(history, MODEL) == frozenset()
    from sealwright.core.predicates import GUARD_EVENT

    events = history.of_type(GUARD_EVENT)
    assert len(events) >= 4
    trust = workspace.trust.fingerprint
    for at, entry in enumerate(events):
        out = tmp_path / f"proof{at}.json"
        seal(capsys, "serve", "prove", f"entry:{entry.index}", str(out))
        seal(capsys, "verify", str(out), "--trust", trust)
