"""Monitors rank strange above ordinary, and say the same of a stream whole or in pieces."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealwright.serve.calibrate import PRINCIPALS, Calibration, calibrated
from sealwright.serve.monitors import own
from sealwright.serve.monitors.combination import Combination
from sealwright.serve.monitors.drift import Traffic
from sealwright.serve.monitors.fluency import Fluency, Order
from sealwright.serve.monitors.interface import Sight
from sealwright.serve.monitors.panel import Look, Panel, margin
from sealwright.serve.monitors.roughness import Roughness, is_pictures
from sealwright.serve.monitors.surprise import MOST_BITS, Scale, levels

quiet = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])


def smooth(count, seed=0, size=8):
    """Pictures that vary slowly, and the same ones' coarse means as features."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 1, (count, 3, 3))
    up = np.repeat(np.repeat(small, 4, axis=1), 4, axis=2)[:, :size, :size]
    return (up + np.roll(up, 1, 1) + np.roll(up, 1, 2) + np.roll(up, 2, 1)) / 4


def sight(pictures):
    flat = pictures.reshape(len(pictures), -1)
    features = flat[:, ::7]
    scores = np.abs(flat[:, :4]) + 0.1
    return Sight(pictures, features, scores / scores.sum(axis=1, keepdims=True))


def of(inputs):
    return Sight(inputs, np.zeros((len(inputs), 1)), np.zeros((len(inputs), 1)))


@pytest.fixture(scope="module")
def panel():
    return Panel(sight(smooth(400)))


def test_noise_is_rougher_than_pictures_whatever_their_scale():
    look = Roughness(smooth(300)).look
    plain = look(of(smooth(100, 1)))
    noisy = look(of(smooth(100, 1) + np.random.default_rng(2).normal(0, 0.2, (100, 8, 8))))
    assert np.median(noisy) > np.quantile(plain, 0.95)
    assert np.allclose(look(of(smooth(100, 1) * 200 + 50)), plain, atol=0.3)


def test_pictures_are_known_by_their_shape():
    assert is_pictures(np.zeros((2, 8, 8)))
    assert is_pictures(np.zeros((2, 3, 32, 32), np.float32))
    assert is_pictures(np.zeros((2, 32, 32, 3), np.uint8))
    assert not is_pictures(np.zeros((2, 14)))
    assert not is_pictures(np.full((2, 8, 8), "x", object))


def test_columns_drawn_apart_are_improbable_together():
    rng = np.random.default_rng(0)

    def people(count):
        age = rng.uniform(20, 80, count)
        town = np.where(age > 50, "old", "new")
        rows = np.empty((count, 3), object)
        rows[:, 0], rows[:, 1], rows[:, 2] = age, town, (age > 35).astype(str)
        return rows

    look = Combination(people(2000)).look
    apart = people(300)
    for column in range(3):
        apart[:, column] = rng.permutation(apart[:, column])
    assert look(of(apart)).mean() > 3 * look(of(people(300))).mean() + 1


def test_cells_that_are_missing_unseen_or_no_numbers_are_no_error():
    rows = np.array([[1.0 * at, "a"] for at in range(60)], object)
    odd = np.array([[None, "b"], ["x", None], [float("nan"), 3], [1e300, "a"]], object)
    assert np.isfinite(Combination(rows).look(of(odd))).all()


def test_words_at_random_read_worse_than_sentences():
    rng = np.random.default_rng(0)
    subjects, verbs = ["the cat", "a dog", "my friend"], ["sees the", "likes a", "wants my"]
    ends = ["red house", "long road", "old song"]

    def some(count):
        return np.array(
            [" ".join(rng.choice(p) for p in (subjects, verbs, ends)) for _ in range(count)], object
        )

    mixed = np.array([" ".join(rng.permutation(text.split())) for text in some(100)], object)
    look = Fluency(some(500)).look
    assert look(of(mixed)).mean() > look(of(some(100))).mean() + 1
    assert np.isnan(look(of(np.array(["", "hi", None], object)))).all()


def test_shuffled_words_lose_their_order_and_a_mistyped_one_does_not():
    rng = np.random.default_rng(0)
    words = product(("cat", "dog", "cow"), ("sat", "lay"), ("mat", "hill"))
    plain = [f"the {one} {two} on the {three} today" for one, two, three in words]
    fluency = Fluency(np.array(plain * 20, object))
    look = Order(fluency).look
    usual = look(of(np.array(plain, object)))
    shuffled = np.array([" ".join(rng.permutation(text.split())) for text in plain], object)
    mistyped = np.array([text.replace("today", "tdoay") for text in plain], object)
    assert look(of(shuffled)).mean() > usual.max() + 1
    assert look(of(mistyped)).max() < usual.max() + 1


def test_a_near_tie_has_little_margin_and_one_value_has_none():
    scores = np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0]])
    assert margin(scores)[0] > margin(scores)[1]
    assert np.isnan(margin(np.zeros((2, 1)))).all()


def slowly(before, rows, width, what):
    whole = np.concatenate([before, rows])
    return [
        what(whole[max(0, len(before) + at - width) : len(before) + at], rows[at])
        for at in range(len(rows))
    ]


@given(st.integers(0, 300), st.integers(1, 150), st.integers(0, 5))
@quiet
def test_the_distance_to_the_own_past_is_that_of_a_plain_loop(old, new, seed):
    rng = np.random.default_rng(seed)
    before, rows = rng.normal(size=(old, 3)), rng.normal(size=(new, 3))

    def nearest(past, row):
        return np.log(((past - row) ** 2).sum(1).min() + 1e-12) / 2 if len(past) else np.nan

    wanted = np.array(slowly(before, rows, own.REMEMBERED, nearest))
    found = own.distance(before, rows)
    told = ~np.isnan(found)
    assert told.sum() == max(0, new - max(0, 10 - old))
    assert np.allclose(found[told], wanted[told], atol=1e-6)


@given(st.integers(0, 100), st.integers(1, 150), st.integers(0, 5))
@quiet
def test_habit_is_the_own_median_of_a_plain_loop(old, new, seed):
    rng = np.random.default_rng(seed)
    before, rows = rng.normal(size=(old, 2)), rng.normal(size=(new, 2))

    def above(past, row):
        if len(past) < 10:
            return np.full(2, np.nan)
        return row - np.sort(past, axis=0)[len(past) // 2]

    wanted = np.array(slowly(before[-own.WINDOW :], rows, own.WINDOW, above))
    assert np.allclose(own.habit(before[-own.WINDOW :], rows), wanted, equal_nan=True)


def test_a_step_of_one_size_everywhere_is_even_and_noise_is_not():
    rng = np.random.default_rng(0)
    first = rng.uniform(0.3, 0.7, (40, 64))
    stepped = first + 0.1 * rng.choice([-1, 1], first.shape)
    noisy = first + rng.normal(0, 0.1, first.shape)
    assert own.evenness(first, stepped).min() > 0.99
    assert np.nanmedian(own.evenness(first, noisy)) < 0.8
    assert np.isnan(own.evenness(first, first)).all()


@pytest.mark.parametrize("cut", [1, 9, 64, 130])
def test_a_stream_is_judged_the_same_whole_or_in_two_pieces(panel, cut):
    stream = sight(smooth(150, 3))
    whole, last = panel.look(stream, panel.blank())
    one, memory = panel.look(stream.take(slice(0, cut)), panel.blank())
    two, after = panel.look(stream.take(slice(cut, None)), memory)
    assert np.allclose(np.concatenate([one.numbers, two.numbers]), whole.numbers, equal_nan=True)
    assert np.allclose(np.concatenate([one.fresh, two.fresh]), whole.fresh)
    assert np.allclose(after.points, last.points)


def test_a_query_that_is_asked_again_is_not_fresh(panel):
    stream = sight(np.concatenate([smooth(40, 5), smooth(40, 5)]))
    look, _ = panel.look(stream, panel.blank())
    assert look.fresh[:10].tolist() == [1.0] * 10
    assert look.fresh[40:].max() < 1e-3


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=60), st.floats(-100, 100))
@quiet
def test_surprise_grows_with_strangeness_and_is_bounded(honest, number):
    scale = Scale.of(np.array(honest))
    bits = scale.bits(np.array([number, number + 1.0, np.nan]))
    assert 0 <= bits[0] <= bits[1] <= MOST_BITS
    assert bits[2] == 0


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=40), st.floats(0, 10), st.integers(0, 40))
@quiet
def test_a_level_carries_on_where_it_stopped(steps, start, cut):
    rows, most = np.array(steps)[:, None], np.array([50.0])
    whole = levels(np.array([start]), rows, most)
    first = levels(np.array([start]), rows[:cut], most)
    rest = levels(first[-1] if len(first) else np.array([start]), rows[cut:], most)
    assert np.allclose(np.concatenate([first, rest]), whole)
    assert (whole >= 0).all() and (whole <= 50).all()


def traces(count, strange=(), seed=0):
    rng = np.random.default_rng(seed)
    out = {}
    for at in range(count):
        centre = rng.normal(0, 0.5) + (8 if at in strange else 0)
        out[f"p{at:03}"] = Look(rng.normal(centre, 1, (150, 2)), np.ones(150))
    return out


def test_few_principals_enforce_nothing_and_fifty_do():
    assert not calibrated(("a", "b"), traces(PRINCIPALS - 1)).enforced
    assert calibrated(("a", "b"), traces(PRINCIPALS)).enforced


def accused(calibration: Calibration, looks):
    start = np.zeros(len(calibration.channels))
    return [who for who, look in looks.items() if calibration.levels(start, look).max() >= 1]


def test_honest_principals_are_seldom_accused_and_strange_ones_are():
    calibration = calibrated(("a", "b"), traces(100))
    assert len(accused(calibration, traces(150, seed=1))) <= 4
    assert len(accused(calibration, traces(20, strange=range(20), seed=2))) == 20


def test_a_thief_among_those_who_calibrate_is_left_out_and_named():
    calibration = calibrated(("a", "b"), traces(100, strange=(7,)))
    assert calibration.left_out == ("p007",)
    assert len(accused(calibration, traces(10, strange=range(10), seed=3))) == 10


def test_traffic_that_moved_is_told_and_unchanged_traffic_is_not():
    rng = np.random.default_rng(0)
    traffic = Traffic(("a", "b"), rng.normal(size=(2000, 2)))
    same = [traffic.add(f"p{at}", rng.normal(size=(50, 2))) for at in range(20)]
    assert same[:-1] == [None] * 19 and same[-1] == ()
    moved = [traffic.add(f"p{at}", rng.normal((0, 0.6), 1, (50, 2))) for at in range(20)]
    assert [shift.channel for shift in moved[-1]] == ["b"]
    assert moved[-1][0].effect_permille > 150


def test_one_busy_principal_is_no_drift():
    rng = np.random.default_rng(0)
    traffic = Traffic(("a",), rng.normal(size=(2000, 1)))
    assert traffic.add("busy", rng.normal(5, 1, (5000, 1))) is None
    last = [traffic.add(f"p{at}", rng.normal(size=(50, 1))) for at in range(19)][-1]
    assert last == ()
