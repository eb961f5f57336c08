"""A tolerance limit holds as often as it says, whatever the values are drawn from."""

import random

import pytest

from sealwright.kit.intervals import tolerance_rank


def test_the_rank_is_that_of_the_published_tables():
    # one-sided 95 % limits need 59 values for 95 % of new ones, 299 for 99 % (Hahn and Meeker 1991)
    assert [tolerance_rank(count, 0.95) for count in (58, 59, 93)] == [0, 59, 92]
    assert [tolerance_rank(count, 0.99) for count in (298, 299)] == [0, 299]


def test_a_hundred_and_nineteen_are_the_fewest_for_97_and_a_half_percent():
    assert tolerance_rank(118, 0.975) == 0
    assert tolerance_rank(119, 0.975) == 119
    assert tolerance_rank(240, 0.975) == 239


@pytest.mark.parametrize(("count", "share"), [(119, 0.975), (240, 0.975), (60, 0.9)])
def test_it_holds_at_least_as_often_as_it_says(count, share):
    rng, rank, tries = random.Random(1), tolerance_rank(count, share), 2_000
    held = sum(sorted(rng.random() for _ in range(count))[rank - 1] >= share for _ in range(tries))
    assert held / tries > 0.95 - 0.015
