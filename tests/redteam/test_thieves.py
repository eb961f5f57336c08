"""Each thief asks what it says it asks, within its budget, and copies what can be copied."""

import numpy as np
import pytest
from bank import Bank

from sealwright.core.errors import BadInput
from sealwright.redteam.extraction import heist
from sealwright.redteam.extraction.interface import Known
from sealwright.redteam.extraction.oracle import Limits, MeteredOracle, Served
from sealwright.redteam.extraction.thieves import HELD_OUT, THIEVES, accounts_of, thief

FORMS = ("image", "table", "mixed", "text")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", THIEVES)
def test_a_thief_asks_valid_inputs_within_its_budget(name, form):
    bank = Bank(form)
    oracle = bank.oracle()
    stolen = thief(name, bank.known(form)).queries(70, oracle)
    assert len(stolen.inputs) == len(stolen.targets) == len(oracle.readings()) == bank.asked == 70
    assert np.array_equal(bank.space.fit(stolen.inputs), stolen.inputs)
    assert np.allclose(stolen.targets.sum(axis=1), 1)


@pytest.mark.parametrize("name", THIEVES)
def test_the_same_seed_asks_the_same(name):
    bank = Bank("mixed")
    one, two = (thief(name, bank.known("mixed")).queries(60, bank.oracle()) for _ in range(2))
    assert np.array_equal(one.inputs, two.inputs)
    other = thief(name, bank.known("mixed", seed=2)).queries(60, bank.oracle())
    assert not np.array_equal(one.inputs, other.inputs)


@pytest.mark.parametrize("name", THIEVES)
def test_a_thief_leaves_when_its_account_is_stopped(name):
    bank = Bank("table")
    oracle = bank.oracle(Limits(queries=35))
    assert len(thief(name, bank.known("table")).queries(1000, oracle).inputs) == 35


@pytest.mark.parametrize("form", FORMS)
def test_a_copy_of_ordinary_inputs_agrees_more_than_one_of_random_ones(form):
    bank = Bank(form)
    exam = bank.exam(form)
    known = bank.known(form)
    near = heist.rob("in-distribution", known, bank.oracle(), 150, exam).best
    far = heist.rob("random", known, bank.oracle(), 30, exam).best
    assert near.agreed > 0.8 * 200
    assert near.agreed >= far.agreed


def test_a_data_free_thief_never_reads_the_seeds():
    bank = Bank("table")
    known = bank.known("table")
    blind = Known(known.space, known.classes, known.seeds * np.nan, known.labels, seed=1)
    one = thief("data-free", known).queries(60, bank.oracle())
    two = thief("data-free", blind).queries(60, bank.oracle())
    assert np.array_equal(one.inputs, two.inputs)


def test_a_line_search_ends_near_the_boundary():
    bank = Bank("table")
    stolen = thief("boundary", bank.known("table")).queries(300, bank.oracle(fidelity="full"))
    sure = np.sort(stolen.targets, axis=1)
    margin = sure[:, -1] - sure[:, -2]
    assert np.median(margin[60:]) < np.median(margin[:60])


def test_accounts_go_on_where_others_are_stopped_and_each_stays_small():
    bank = Bank("table")
    oracle = bank.oracle(Limits(queries=20))
    stolen = thief("in-distribution*5", bank.known("table")).queries(1000, oracle)
    assert (len(stolen.inputs), stolen.accounts) == (100, 5)
    assert {held.queries for held in oracle.accounts.values()} == {20}


def test_linked_accounts_share_one_budget():
    bank = Bank("table")
    oracle = bank.oracle(Limits(queries=20), group=lambda account: account % 2)
    assert len(thief("random*10", bank.known("table")).queries(1000, oracle).inputs) == 40


def test_a_model_cap_holds_whatever_the_accounts():
    bank = Bank("table")
    oracle = bank.oracle(Limits(queries=20, model_queries=50))
    assert len(thief("random*10", bank.known("table")).queries(1000, oracle).inputs) == 50


def test_answers_stay_with_their_questions_when_accounts_are_stopped_midway():
    bank = Bank("table")
    oracle = bank.oracle(Limits(queries=7), fidelity="full")
    stolen = thief("in-distribution*9", bank.known("table")).queries(1000, oracle)
    assert np.allclose(stolen.targets, bank.answer(stolen.inputs)[0], atol=1e-6)


def test_cells_stop_an_account_at_its_cap():
    bank = Bank("table")
    oracle = bank.oracle(Limits(cells=5))
    thief("in-distribution", bank.known("table")).queries(1000, oracle)
    assert oracle.readings()[-1].cells == 5
    assert len(oracle.accounts[0].cells) == 5


def test_a_monitor_blocks_in_the_middle_of_a_batch():
    bank = Bank("table")
    seen = []

    def watch(account, inputs, features, scores):
        seen.append(len(inputs))
        return 10

    oracle = bank.oracle(watch=watch)
    assert len(thief("random", bank.known("table")).queries(500, oracle).inputs) == 10
    assert len(seen) == 1


@pytest.mark.parametrize("name", ["burglar", "random*0", "random*", "random*x", "random*9999"])
def test_a_thief_nobody_knows_is_refused(name):
    with pytest.raises(BadInput):
        accounts_of(name)


def test_a_budget_of_nothing_leaves_a_copy_that_knows_nothing():
    bank = Bank("table")
    curve = heist.rob("random", bank.known("table"), bank.oracle(), 0, bank.exam("table"))
    assert curve.points == ()
    assert curve.best is None


@pytest.mark.parametrize("name", THIEVES)
def test_a_constant_model_is_robbed_of_its_one_answer(name):
    bank = Bank("table")

    def constant(inputs):
        return np.tile([1.0, 0.0, 0.0], (len(inputs), 1)), inputs

    oracle = MeteredOracle(Served(3, constant, bank.served().release, 1, lambda f: [0] * len(f)))
    exam = heist.Exam(bank.exam("table").inputs, np.zeros(200, np.int64))
    assert heist.rob(name, bank.known("table"), oracle, 60, exam).best.agreed == 200


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: (np.full((len(x), 3), np.nan), x),
        lambda x: (np.ones((len(x), 2)) / 2, x),
        lambda x: (np.ones((1, 3)) / 3, x),
        lambda x: (np.full((len(x), 3), np.inf), x),
    ],
    ids=["nan", "fewer classes", "fewer rows", "infinite"],
)
def test_a_model_that_answers_nonsense_is_named(answer):
    bank = Bank("table")
    oracle = MeteredOracle(Served(3, answer, bank.served().release, 1, lambda f: [0] * len(f)))
    with pytest.raises(BadInput, match="the model answers"):
        thief("random", bank.known("table")).queries(10, oracle)


def test_no_exam_is_refused():
    bank = Bank("table")
    empty = heist.Exam(np.zeros((0, 16)), np.zeros(0, np.int64))
    with pytest.raises(BadInput, match="nothing is held out"):
        heist.rob("random", bank.known("table"), bank.oracle(), 10, empty)


def test_whoever_asks_nothing_still_has_what_is_public():
    bank = Bank("table")
    exam = bank.exam("table")
    assert heist.without_questions(bank.known("table"), exam) > 0.8 * 200
    one_label = Known(bank.space, 3, bank.known("table").seeds, np.zeros(60, np.int64))
    shares = np.bincount(exam.labels)
    assert heist.without_questions(one_label, exam) == shares.max()


def test_the_held_out_families_are_real_ones():
    assert set(THIEVES) > HELD_OUT
