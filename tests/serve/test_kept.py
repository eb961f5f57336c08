"""What is kept of callers' questions: a bounded, random part of the heaviest, as it was told."""

import numpy as np
import pytest

from sealwright.serve import kept as keeping
from sealwright.serve.interface import Answer, Caller
from sealwright.serve.kept import Keeper
from sealwright.serve.outputs import Shape

SHAPE = Shape("multiclass", 3, ("cat", "dog", "eel"))


def ask(keeper, who, rows, fidelity="top1", internal=False, seed=0):
    inputs = np.random.default_rng(seed).normal(size=(rows, 4))
    scores = np.tile([0.2, 0.256, 0.544], (rows, 1))
    answer = Answer(scores, inputs)
    keeper.behind(Caller(who, "key", internal), inputs, answer, fidelity)
    return inputs


@pytest.mark.parametrize(
    ("fidelity", "top", "scores"), [("label", 0, 0), ("top1", 4, 0), ("full", 4, 12)]
)
def test_only_what_left_is_kept(fidelity, top, scores):
    keeper = Keeper(SHAPE, 100)
    inputs = ask(keeper, "ann", 5, fidelity)
    assert keeper.work(1000)
    told = keeper.kept().accounts["ann"].requests[0]
    assert (told.batch() == inputs).all()
    assert np.frombuffer(told.labels, "<u2").tolist() == [2] * 5
    assert (len(told.top), len(told.scores)) == (5 * top, 5 * scores)
    if top:
        assert np.frombuffer(told.top, "<f4") == pytest.approx(0.54, abs=0.005)


def test_our_own_people_are_not_kept():
    keeper = Keeper(SHAPE, 100)
    ask(keeper, "ann", 5, internal=True)
    assert not keeper.work(0)
    assert keeper.count == (0, 0)


def test_no_caller_has_more_rows_than_may_be_and_all_are_counted():
    keeper = Keeper(SHAPE, 100)
    for at in range(50):
        ask(keeper, "ann", 10, seed=at)
    keeper.work(0)
    account = keeper.kept().accounts["ann"]
    assert (account.asked, keeper.count) == (500, (100, 1))
    firsts = {one.batch()[0, 0] for one in account.requests}
    assert firsts != {np.random.default_rng(at).normal(size=(10, 4))[0, 0] for at in range(10)}


def test_who_asks_most_has_a_place(monkeypatch):
    monkeypatch.setattr(keeping, "CALLERS", 2)
    keeper = Keeper(SHAPE, 100)
    for who, rows in (("ann", 50), ("bob", 5), ("cat", 3), ("cat", 3)):
        ask(keeper, who, rows)
        keeper.work(0)
    assert set(keeper.kept().accounts) == {"ann", "cat"}


def test_bytes_are_bounded_and_the_lightest_go_first():
    keeper = Keeper(SHAPE, 1000, most_bytes=20_000)
    ask(keeper, "bob", 10)
    for at in range(100):
        ask(keeper, "ann", 10, seed=at)
        keeper.work(0)
    found = keeper.kept().accounts
    assert set(found) == {"ann"}
    assert 15_000 < sum(one.size for one in found["ann"].requests) <= 20_000


def test_what_is_old_is_forgotten_and_a_restart_goes_on():
    keeper = Keeper(SHAPE, 100)
    for at in (1, 2, 3):
        ask(keeper, "ann", 10)
        keeper.work(at)
    again = Keeper(SHAPE, 100)
    again.take(keeper.kept())
    assert again.kept() == keeper.kept()
    again.forget(3)
    assert [one.at_ms for one in again.kept().accounts["ann"].requests] == [3]
    again.forget(4)
    assert again.count == (0, 0)
    again.clear()
    assert again.kept().accounts == {}


def test_what_comes_too_fast_is_counted_and_not_kept():
    keeper = Keeper(SHAPE, 100_000)
    for at in range(30):
        ask(keeper, "ann", 500, seed=at)
    keeper.work(0)
    assert keeper.missed == 30 * 500 - keeper.count[0] > 0
