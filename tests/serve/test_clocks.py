"""A clock that is set back or forward gives nothing back early and locks nobody for ever."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from serve_house import DIGEST, MODEL, Log

from sealwright.app.servecontrol import Question
from sealwright.app.servingdesk import Desk
from sealwright.app.servingladder import Climber
from sealwright.app.servinglinks import Linker
from sealwright.app.servingsource import Subject
from sealwright.app.servingwatch import Standing
from sealwright.core.errors import Refused
from sealwright.serve.evidence import Event
from sealwright.serve.gateway import Gateway, Limits
from sealwright.serve.interface import Balance
from sealwright.serve.journal import About, Covered, Journal
from sealwright.serve.ladder import HOLD_MS
from sealwright.serve.messages import Peer, Reply

NOW_MS = 1_900_000_000_000
YEAR_MS = 366 * 86_400_000


class Rungs:
    """A ledger of one group on one rung."""

    def __init__(self, rung, until_ms):
        self.rung, self.until_ms = rung, until_ms

    async def balances(self, model):
        return (Balance(model, "odd", ("odd",), 0, 10**9, 10**9, 0, 0, self.rung, self.until_ms),)

    async def climb(self, model, group, rung, until_ms):
        self.rung, self.until_ms = rung, until_ms
        return (await self.balances(model))[0]


class Said:
    def __init__(self):
        self.events = []

    async def event(self, event, *, again=False):
        self.events.append(event)
        return len(self.events) - 1

    def require(self):
        pass


def climber(ledger, hand=()):
    return Climber(MODEL, DIGEST, ledger, Said(), lambda: NOW_MS, asyncio.Lock(), frozenset(hand))


def test_a_rung_that_a_clock_a_year_ahead_set_ends_as_one_that_is_set_now():
    ledger = Rungs("degrade", NOW_MS + YEAR_MS)
    made = climber(ledger)
    asyncio.run(made.recall())
    assert ledger.until_ms == NOW_MS + HOLD_MS["degrade"]
    assert not made.benign("odd"), "it is still on its rung"


@pytest.mark.parametrize(
    ("rung", "until_ms", "hand"),
    [
        ("degrade", NOW_MS + 1_000, ()),
        ("degrade", NOW_MS + YEAR_MS, ("odd",)),
        ("block", 2**53, ()),
    ],
)
def test_what_a_person_said_and_what_is_within_bounds_stays_as_it_is(rung, until_ms, hand):
    ledger = Rungs(rung, until_ms)
    asyncio.run(climber(ledger, hand).recall())
    assert (ledger.rung, ledger.until_ms) == (rung, until_ms)


def test_a_hold_lasts_as_long_as_was_said_whatever_the_clock_is_set_to(monkeypatch):
    ledger, said = Rungs("observe", 0), Said()
    desk = Desk(
        MODEL, DIGEST, "", ledger, said, Linker(MODEL, DIGEST, ledger, said), lambda: NOW_MS
    )
    for wrong in (0.0, NOW_MS / 1000 + 10**9):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
        asked = Question("hold", "odd", reason="try", rung="degrade", span_s=3_600)
        asyncio.run(desk.answer(asked))
        assert ledger.until_ms == NOW_MS + 3_600_000


@pytest.fixture
def system(monkeypatch):
    """The system's clock, and the machine's, in seconds."""
    found = {"time": 1_000_000, "monotonic": 50}
    monkeypatch.setattr(time, "time_ns", lambda: found["time"] * 10**9)
    monkeypatch.setattr(time, "monotonic_ns", lambda: found["monotonic"] * 10**9)
    return found


@pytest.fixture
def standing(system):
    """Of a model whose lease ends in a minute."""
    made = Standing(None, Subject(MODEL, DIGEST, "toy", leased=True), None, Said(), print)
    made._withdrawn, made._until_ms = "", 1_000_060_000
    return made


def test_a_lease_is_not_made_longer_by_setting_the_clock_back(standing, system):
    standing.require()
    system.update(time=1_000_000 - 86_400, monotonic=50 + 61)
    with pytest.raises(Refused) as caught:
        standing.require()
    assert caught.value.rule == "guard.lease"


def test_a_lease_that_a_jump_forward_ended_goes_on_when_the_clock_is_right_again(standing, system):
    system.update(time=1_000_000 + 86_400, monotonic=51)
    with pytest.raises(Refused):
        standing.require()
    system.update(time=1_000_002, monotonic=52)
    standing.require()


def test_a_grant_that_ended_is_not_revived_by_setting_the_clock_back(system):
    seen = []

    class Front:
        async def handle(self, request):
            seen.append(request.at_ms)
            return Reply(200, b"{}")

    async def ask(gateway):
        await gateway.answer("GET", b"/", {}, b"", Peer("192.0.2.1"))

    gateway = Gateway(Front(), Limits(), print)
    asyncio.run(ask(gateway))
    system.update(time=900_000, monotonic=60)
    asyncio.run(ask(gateway))
    assert seen == [1_000_000_000, 1_000_010_000], "what callers' grants are held against"


def test_a_denial_is_said_after_the_clock_was_set_back(tmp_path):
    log, now = Log(), [datetime(2026, 11, 26, tzinfo=UTC)]
    told = Event("denial", MODEL, DIGEST, "key:acme", "acme", "observe", "guard.budget", "spent")

    async def scene():
        about = About(MODEL, DIGEST, DIGEST, "ada")
        made = Journal(tmp_path / "records", about, log, lambda: now[0], Covered({}))
        assert await made.event(told) == 0
        assert await made.event(told) == -1
        now[0] -= timedelta(days=300)
        assert await made.event(told) == 1
        assert await made.event(told) == -1
        await made.close()

    asyncio.run(scene())
