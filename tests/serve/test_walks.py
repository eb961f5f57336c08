"""Steps of a walk along a boundary are found and charged; honest questions are taken for none."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.app.bench.guard.purse import seen_by
from sealwright.app.servingwalks import Walking
from sealwright.core.errors import BadInput, Refused
from sealwright.serve import pace
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Allowance, Answer, Ask, Caller
from sealwright.serve.paces import Paces
from sealwright.serve.walks import CHARGED, Walks


def numbers(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 6))


def halvings(seed, times=5):
    """Two ends of another label, and the steps between them."""
    one, two = np.random.default_rng(seed).normal(size=(2, 6))
    rows, low, high = [one, two], 0.0, 1.0
    for at in range(times):
        middle = (low + high) / 2
        rows.append((1 - middle) * one + middle * two)
        low, high = (middle, high) if (seed >> at) & 1 else (low, middle)
    return np.array(rows), np.array([0, 1] + [0 if (seed >> at) & 1 else 1 for at in range(times)])


@pytest.fixture(scope="module")
def walks():
    return Walks(numbers(600, 9))


@given(seed=st.integers(0, 10_000))
def test_the_steps_of_a_line_search_are_found(walks, seed):
    rows, labels = halvings(seed)
    steps, _ = walks.look(rows, labels, walks.blank())
    assert not any(steps[:2])
    assert sum(bool(step) for step in steps) >= 3
    assert all(len(step) == CHARGED for step in steps if step)


def test_unrelated_rows_and_rows_asked_again_are_no_steps(walks):
    rows = numbers(400, 1)
    rows[200:] = rows[:200]
    steps, _ = walks.look(rows, np.arange(400) % 2, walks.blank())
    assert not any(steps)


def test_between_two_that_were_answered_alike_nothing_is_looked_for(walks):
    rows, labels = halvings(3)
    steps, _ = walks.look(rows, np.zeros_like(labels), walks.blank())
    assert not any(steps)


def test_a_what_if_question_of_one_column_is_no_step(walks):
    rows = np.repeat(numbers(1, 2), 3, axis=0)
    rows[1, 0] += 4
    rows[2, 0] += 2
    steps, _ = walks.look(rows, np.array([0, 1, 1]), walks.blank())
    assert not any(steps)


def test_rows_in_turn_cost_what_they_cost_at_once(walks):
    rows, labels = halvings(5, 40)
    at_once, _ = walks.look(rows, labels, walks.blank())
    past, in_turn = walks.blank(), []
    for row, label in zip(rows, labels, strict=True):
        step, past = walks.look(row[None], label[None], past)
        in_turn += step
    assert in_turn == at_once


def test_words_of_a_table_are_one_ends_or_the_others():
    rng = np.random.default_rng(1)
    cells = np.empty((300, 3), object)
    cells[:, 0], cells[:, 1] = rng.integers(0, 90, 300), rng.normal(size=300)
    cells[:, 2] = rng.choice(["a", "b", "c"], 300)
    walks = Walks(cells)
    ends = np.array([[10, -1.0, "a"], [70, 1.0, "b"]], object)
    labels = np.array([0, 1, 1])
    for word, found in (("a", True), ("b", True), ("c", False)):
        rows = np.concatenate([ends, np.array([[40, 0.0, word]], object)])
        steps, _ = walks.look(rows, labels, walks.blank())
        assert bool(steps[2]) == found


def test_rows_of_another_form_are_not_looked_at(walks):
    rows = np.zeros((2, 5))
    assert walks.look(rows, np.array([0, 1]), walks.blank())[0] == [(), ()]


def test_texts_are_not_looked_at():
    walks = Walks(np.array(["one", "two"], object))
    assert walks.look(np.array(["x", "y"]), np.array([0, 1]), walks.blank())[0] == [(), ()]


class Cover:
    def __init__(self):
        self.frame = Frame.fit(numbers(600, 9), 1)

    def cells(self, features):
        return self.frame.cells(features)

    def behind(self, caller, inputs, answer, fidelity):
        pass


def served(tmp_path, capped):
    """A ledger and what charges beside it, a batch of 600 ordinary rows seen."""

    async def run(told):
        ledger = MemoryLedger.open(tmp_path / "budget.db")
        cover = Cover()
        walking = Walking(
            *(cover, cover, ledger, "m", lambda who: who, lambda: 0, print), 1_000, charging=True
        )
        walking.behind(
            Caller("eve", "key"), numbers(600, 9), Answer(numbers(600), numbers(600)), "top1"
        )
        await walking.work()
        try:
            return await told(ledger, walking)
        finally:
            await ledger.close()

    return run


def ask_rows(walking, who, rows, labels):
    scores = np.eye(2)[labels]
    walking.behind(Caller(who, "key"), rows, Answer(scores, rows), "top1")


def test_steps_are_charged_as_cells_and_end_an_account_that_plain_cells_would_not(tmp_path):
    allowed = Allowance(10**9, 10**9, 60, 10**6, 10**6)

    async def told(ledger, walking):
        await ledger.settle(await ledger.reserve(Ask("m", "eve", 1_000, 0), allowed), 1_000, [1])
        for seed in range(30):
            ask_rows(walking, "eve", *halvings(seed))
            await walking.work()
        one = (await ledger.balances("m"))[0]
        assert one.cells > 60
        assert (one.spent_mbits, one.left_mbits) == (1_000, 10**9 - 1_000)
        with pytest.raises(Refused) as refused:
            await ledger.reserve(Ask("m", "eve", 1_000, 0), allowed)
        assert refused.value.rule == "guard.coverage"
        assert "steps of walks charged" in walking.state

    asyncio.run(served(tmp_path, 60)(told))


def test_rows_that_cannot_be_looked_at_hide_nobody_elses_walk(tmp_path):
    async def told(ledger, walking):
        allowed = Allowance(10**9, 10**9, 600, 10**6, 10**6)
        await ledger.settle(await ledger.reserve(Ask("m", "eve", 1_000, 0), allowed), 1_000, [1])
        bad = np.array([[object()] * 6], object)
        walking.behind(Caller("mallory", "key"), bad, Answer(np.eye(2)[:1], numbers(1)[:, :3]), "")
        ask_rows(walking, "eve", *halvings(3))
        await walking.work()
        assert "1 rows were not looked at" in walking.state
        assert (await ledger.balances("m"))[0].cells > 8

    asyncio.run(served(tmp_path, 600)(told))


def test_honest_rows_are_charged_nothing_beyond_their_cells(tmp_path):
    async def told(ledger, walking):
        allowed = Allowance(10**9, 10**9, 60, 10**6, 10**6)
        await ledger.settle(await ledger.reserve(Ask("m", "ann", 1_000, 0), allowed), 1_000, [1])
        ask_rows(walking, "ann", numbers(500, 4), np.arange(500) % 2)
        await walking.work()
        assert (await ledger.balances("m"))[0].cells == 1

    asyncio.run(served(tmp_path, 60)(told))


def test_a_pace_is_told_from_enough_callers_and_leaves_new_ones_alone():
    rng = np.random.default_rng(2)
    paces, fresh = Paces(9_967), list[object]()
    for at in range(640):
        own, rows = int(rng.integers(10, 300)), int(rng.integers(60, 1_500))
        touched = [(int(cell),) for cell in rng.integers(0, own, rows)]
        if at < pace.CALLERS:
            paces.add(f"caller-{at}", touched)
        else:
            fresh.append(seen_by(touched))
    told = paces.told()
    assert [bits for bits, _ in told][:2] == [250, 499]
    assert [cells for _, cells in told] == sorted(cells for _, cells in told)
    most = pace.fitted(paces.heard())
    assert np.mean([(one > most[: len(one)]).any() for one in fresh]) <= 0.025
    with pytest.raises(BadInput):
        paces.told(lambda who: who != "caller-7")
