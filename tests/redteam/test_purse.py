"""The bench's purse: a level new honest users stay below, and what a thief gets out of it."""

import numpy as np
import pytest

from sealwright.app.bench.guard.purse import Purse, purse, seen_by


def user(rng):
    rows, own = int(rng.integers(60, 1_500)), int(rng.integers(10, 300))
    return [(int(cell),) for cell in rng.integers(0, own, rows)]


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(3)
    return purse([user(rng) for _ in range(240)])


def test_new_users_like_those_who_set_it_are_left_alone(made):
    rng = np.random.default_rng(4)
    some = [user(rng) for _ in range(400)]
    assert np.mean([made.stop(one) < len(one) for one in some]) <= 0.025
    assert (np.diff(made.most) >= 0).all()


def test_who_asks_something_new_every_time_is_ended_by_the_pace_and_not_by_a_level(made):
    fresh = [(at,) for at in range(1_000)]
    stop = made.stop(fresh)
    assert stop < made.stop_by_cells(fresh) == made.cells
    assert len(set(fresh[:stop])) <= made.most[stop - 1]
    assert made.most[stop] < stop + 1


def test_patience_buys_answers_and_never_more_than_the_pace_allows():
    small = Purse(np.array([2, 2, 3, 3, 4, 4]), 4, 6)
    fresh = [(at,) for at in range(10)]
    assert small.stop(fresh) == 3
    assert small.patient(fresh) == 4
    again = [(0,)] * 10
    assert small.stop(again) == small.patient(again) == 6


def test_a_step_of_a_walk_counts_with_all_its_cells():
    assert seen_by([(1,), (1, 2, 3), (3,)]).tolist() == [1, 3, 3]
