"""Tails and bounds against SciPy, and what must hold of them whatever the numbers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.registry import compare_statistics as cs

stats = pytest.importorskip("scipy.stats")


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 400), st.data(), st.floats(0.01, 0.99))
def test_the_binomial_tail_is_scipys(trials, data, rate):
    least = data.draw(st.integers(0, trials))
    ours, theirs = (
        cs.log_binomial_tail(least, trials, rate),
        stats.binom.logsf(least - 1, trials, rate),
    )
    if ours < -600:  # SciPy's own is then the logarithm of a number that has few digits left
        assert theirs < -590
    else:
        assert ours == pytest.approx(theirs, abs=1e-6, rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.floats(-30, 60), st.integers(1, 80))
def test_students_tail_is_scipys(t, freedom):
    assert cs.log_student_tail(t, freedom) == pytest.approx(
        stats.t.logsf(t, freedom), rel=1e-6, abs=1e-9
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.data())
def test_clopper_and_pearsons_bound_is_scipys_and_above_the_rate(trials, data):
    hits = data.draw(st.integers(0, trials - 1))
    found = cs.clopper_pearson(hits, trials, 0.99)
    assert found == pytest.approx(stats.beta.ppf(0.99, hits + 1, trials - hits), abs=1e-6)
    assert found > hits / trials


def test_a_p_below_what_a_float_holds_is_still_a_number():
    assert math.isfinite(cs.log_binomial_tail(2000, 2000, 0.1))
    assert cs.log_binomial_tail(2000, 2000, 0.1) < -4000


def test_the_null_is_that_of_the_relation_that_lies_highest():
    spread = cs.spread_of([[0.1, 0.11, 0.12], [0.3, 0.31, 0.33]], 0.001)
    assert spread.centre == pytest.approx(0.3133, abs=1e-3)
    assert spread.highest == 0.33
    assert spread.log_p(0.32) > spread.log_p(0.5)
    assert spread.log_p(spread.limit(-10.0)) == pytest.approx(-10, abs=1e-4)


def test_references_that_never_vary_do_not_make_anything_certain():
    spread = cs.spread_of([[0.2] * 20, [0.2] * 20], 0.01)
    assert spread.spread == 0.01


def test_a_new_model_just_above_the_highest_reference_does_not_count():
    matches = cs.matches_of(2000, [[400 + 5 * at for at in range(15)], [380] * 15])
    assert matches.log_p(480) > math.log(1e-6)


@pytest.mark.parametrize(
    "strata", [[], [[0.1, 0.2]], [[0.1, 0.2, 0.3], [0.1]], [[0.1, float("nan"), 0.3]]]
)
def test_too_few_references_or_no_numbers_are_refused(strata):
    with pytest.raises(ValueError, match="reference"):
        cs.spread_of(strata, 0.01)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="more points"):
        cs.matches_of(10, [[11, 1, 1]])
