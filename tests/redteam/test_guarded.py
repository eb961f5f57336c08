"""Thieves behind cells, a pace and walks: the oracle decides as the ledger of `seal serve` does."""

import asyncio
from decimal import Decimal

import numpy as np
import pytest
from bank import Bank
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.app.exampleinputs import Examples
from sealwright.app.extracting import Wish, guarded
from sealwright.core.errors import Refused
from sealwright.redteam.extraction.interface import Released
from sealwright.redteam.extraction.oracle import Limits, MeteredOracle, Served
from sealwright.redteam.extraction.thieves import thief
from sealwright.serve import bounds
from sealwright.serve.interface import Allowance, Ask

ROW = 10_000
PACE = ((100_000, 5), (400_000, 12), (1_000_000, 20))


def told_by_cells(classes=3):
    """A model whose row n lies in cell n."""

    def answer(inputs):
        return np.tile(np.eye(classes)[0], (len(inputs), 1)), inputs

    def release(scores):
        return Released(np.arange(len(scores)), scores.argmax(axis=1) if len(scores) else [])

    return Served(classes, answer, release, ROW, lambda found: found[:, 0].astype(int).tolist())


def allowance(cells=0, pace=PACE, mbits=2_000_000):
    return Allowance(mbits, 10**12, cells, 10**6, 10**6, pace)


def oracle_of(limit, **more):
    allowed = allowance(limit.cells if limit.cells < 2**40 else 0, mbits=limit.mbits)
    return MeteredOracle(
        told_by_cells(), limit, room=lambda spent: bounds.room(allowed, spent), **more
    )


def asked(oracle, cells):
    return len(oracle.ask(np.array(cells, float)[:, None]).at)


@settings(max_examples=25, deadline=None)
@given(cells=st.lists(st.integers(0, 40), min_size=1, max_size=60), cap=st.sampled_from([0, 15]))
def test_whatever_a_thief_got_the_ledger_lets_it_have_for_the_same_charge(
    tmp_path_factory, cells, cap
):
    oracle = oracle_of(Limits(mbits=2_000_000, cells=cap or 2**50))
    had = cells[: asked(oracle, cells)]
    spent = [0, *(one.mbits for one in oracle.readings())]

    async def story():
        ledger = MemoryLedger.open(tmp_path_factory.mktemp("ledger") / "budget.db")
        allowed = allowance(cap)

        async def answered(cell):
            held = await ledger.reserve(Ask("m", "thief", ROW, 0), allowed)
            return await ledger.settle(held, ROW, [cell])

        for at, cell in enumerate(had):
            for _ in range((spent[at + 1] - spent[at]) // ROW - 1):
                await answered(had[at - 1])  # waits
            balance = await answered(cell)
        assert (balance.spent_mbits, balance.cells) == (spent[-1], len(set(had)))
        await ledger.close()

    asyncio.run(story())


def test_a_thief_waits_no_longer_than_the_ledger_makes_it(tmp_path):
    oracle = oracle_of(Limits(mbits=2_000_000))
    assert asked(oracle, range(8)) == 8
    waits = np.diff([0, *(one.mbits for one in oracle.readings())]) // ROW - 1
    assert waits.max() >= 1
    at = int(waits.argmax())

    async def story():
        ledger = MemoryLedger.open(tmp_path / "budget.db")
        allowed = allowance()
        before = oracle.readings()[at - 1].mbits + (int(waits[at]) - 1) * ROW
        held = await ledger.reserve(Ask("m", "thief", before, 0), allowed)
        await ledger.settle(held, before, list(range(at)))
        held = await ledger.reserve(Ask("m", "thief", ROW, 0), allowed)
        with pytest.raises(Refused) as refused:
            await ledger.settle(held, ROW, [at])
        assert refused.value.rule == "guard.coverage"
        await ledger.close()

    asyncio.run(story())


def test_where_no_waiting_helps_nothing_is_spent_on_it():
    oracle = oracle_of(Limits(mbits=2_000_000))
    assert asked(oracle, range(40)) == 20
    assert oracle.readings()[-1].cells == 20
    spent = oracle.readings()[-1].mbits
    assert oracle.accounts[0].mbits == spent < 2_000_000
    assert asked(oracle, [0]) == 0, "a stopped account stays stopped"


def test_a_budget_that_ends_while_a_thief_waits_is_spent_and_no_more():
    oracle = oracle_of(Limits(mbits=330_000))
    count = asked(oracle, range(40))
    assert count == bounds.room(allowance(), 330_000)
    assert oracle.accounts[0].mbits <= 330_000


def test_steps_of_walks_are_charged_behind_a_batch_and_leave_less_room():
    def steps(account, inputs, scores):
        return [range(900 + 8 * at, 908 + 8 * at) for at in range(2)]

    plain, walked = (
        oracle_of(Limits(mbits=2_000_000, cells=18), steps=one) for one in (None, steps)
    )
    for oracle in (plain, walked):
        assert asked(oracle, [0, 1]) == 2
    assert len(walked.accounts[0].cells) == 18
    assert walked.accounts[0].stopped and not plain.accounts[0].stopped
    assert asked(plain, range(2, 18)) == 16


def test_a_boundary_thief_gets_less_where_its_walks_are_charged():
    bank = Bank("table")
    rows = Examples(bank.space, bank.known("table", count=400).seeds, ())
    got = {}
    for cells in (0, 60):
        wish = Wish(queries=400, mbits=400 * 8_000, cells=cells, target=Decimal(1))
        oracle = guarded(bank.served(), wish, rows)
        got[cells] = thief("boundary", bank.known("table")).queries(400, oracle)
        if cells:
            own = len(set(bank.cells(bank.answer(got[cells].inputs)[1])))
            assert len(oracle.accounts[0].cells) > own, "cells that only walks touch"
    assert len(got[60].inputs) < len(got[0].inputs)


def test_walks_are_charged_where_anything_caps_cells_as_when_it_is_served():
    assert (Wish(cells=5).walks, Wish(pace=((1, 1),)).walks, Wish().walks) == (True, True, False)
