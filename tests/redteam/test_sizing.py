"""A budget is sized by the best of the thieves, and by nothing that was not tried."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput
from sealwright.redteam.extraction.heist import Curve, Point
from sealwright.redteam.extraction.interface import Reading
from sealwright.redteam.extraction.sizing import reached, recommended


def curve(name, *points):
    made = tuple(Point(Reading(n, n * 8000, min(n, 90)), agreed) for n, agreed in points)
    return Curve(name, made, 1, 1000, 1)


NEAR = curve("near", (100, 700), (300, 800), (1000, 900))
FAR = curve("far", (100, 300), (300, 350), (1000, 340))


def test_the_best_thief_decides():
    here = reached([FAR, NEAR], "queries", 300)
    assert (here.thief, here.agreement, here.known) == ("near", 0.8, True)
    assert 0.8 < here.bound < 0.84


def test_a_budget_between_two_copies_counts_as_the_larger():
    assert reached([NEAR, FAR], "queries", 101).agreement == 0.8


def test_beyond_what_was_tried_nothing_is_known():
    here = reached([NEAR], "queries", 1001)
    assert (here.agreement, here.known) == (0.9, False)


def test_cells_that_a_thief_does_not_reach_are_no_gap():
    assert reached([NEAR, FAR], "cells", 95).known


def test_nobody_forgets_a_better_copy():
    assert reached([FAR], "queries", 1000).agreement == 0.35


def test_the_recommended_budget_keeps_the_bound_below_the_target():
    assert recommended([NEAR, FAR], "queries", 0.85) == 300
    assert recommended([NEAR, FAR], "mbits", 0.85) == 300 * 8000
    assert recommended([NEAR, FAR], "queries", 0.5) == 0


def test_without_thieves_there_is_no_size():
    with pytest.raises(BadInput):
        reached([], "queries", 10)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(1, 5000), st.integers(0, 1000)),
        min_size=1,
        max_size=8,
        unique_by=lambda pair: pair[0],
    ),
    st.integers(1, 5000),
    st.integers(1, 5000),
)
def test_a_larger_budget_never_bounds_lower(points, one, two):
    line = curve("any", *sorted(points))
    small, large = sorted((one, two))
    assert reached([line], "queries", small).bound <= reached([line], "queries", large).bound
