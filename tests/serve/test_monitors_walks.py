"""Line searches, foreign texts, and a few odd queries among many ordinary ones."""

import numpy as np
import pytest

from sealwright.serve.calibrate import METHOD, ORDINARY_BITS, Calibration, Channel, calibrated
from sealwright.serve.monitors import own
from sealwright.serve.monitors.fluency import Spelling
from sealwright.serve.monitors.interface import Sight
from sealwright.serve.monitors.panel import Look
from sealwright.serve.monitors.surprise import Scale

RNG = np.random.default_rng(0)
NOTHING = np.zeros((0, 64))


def test_halving_the_way_between_two_of_ones_own_is_straight_and_other_queries_are_not():
    pictures = np.random.default_rng(1).uniform(0, 1, (60, 64))
    low, high, walk = 0.0, 1.0, []
    for at in range(6):
        share = (low + high) / 2
        walk.append((1 - share) * pictures[3] + share * pictures[40])
        low, high = (share, high) if at % 2 else (low, share)
    shaken = pictures[:20] + np.random.default_rng(2).normal(0, 0.05, (20, 64))
    out = own.straightness(NOTHING, np.concatenate([pictures, walk, shaken]))
    assert np.isnan(out[:10]).all()
    assert out[60:66].min() > 4
    assert np.nanmax(out[66:]) < 1
    assert np.nanmax(out[10:60]) < 1


def test_asking_the_same_again_is_no_walk():
    pictures = np.random.default_rng(1).uniform(0, 1, (30, 64))
    out = own.straightness(NOTHING, np.concatenate([pictures, pictures]))
    assert np.isnan(out[30:]).all()


@pytest.mark.parametrize("cut", [1, 15, 29])
def test_straightness_is_the_same_whole_or_in_two_pieces(cut):
    rows = np.random.default_rng(3).uniform(0, 1, (40, 64))
    rows[20:] = (rows[:20] + rows[1:21]) / 2
    whole = own.straightness(NOTHING, rows)
    parts = [own.straightness(NOTHING, rows[:cut]), own.straightness(rows[:cut], rows[cut:])]
    assert np.allclose(whole, np.concatenate(parts), equal_nan=True)


def texts(count, words, seed):
    rng = np.random.default_rng(seed)
    found = np.empty(count, object)
    found[:] = [" ".join(rng.choice(words, int(rng.integers(6, 14)))) for _ in range(count)]
    return found


PLAIN = (
    "the film is a warm and funny story about two people who never quite meet each other".split()
)
OTHER = "u cn txt me 2nite @ 8pm luv fone wkly comp wnt xx gd nyt qjq".split()


def of(rows):
    return Sight(rows, np.zeros((len(rows), 1)), np.zeros((len(rows), 1)))


def test_another_kind_of_text_is_spelt_oddly_and_a_typing_error_hardly():
    look = Spelling(texts(400, PLAIN, 0)).look
    plain, other = look(of(texts(100, PLAIN, 1))), look(of(texts(100, OTHER, 2)))
    typed = texts(100, PLAIN, 1)
    typed[:] = [text[:4] + text[5:] for text in typed]
    assert np.median(other) > np.quantile(plain, 0.99) + 5
    assert np.median(look(of(typed))) < np.median(plain) + 0.2 * (
        np.median(other) - np.median(plain)
    )


def test_case_and_spacing_are_no_spelling_and_short_texts_say_nothing():
    look = Spelling(texts(400, PLAIN, 0)).look
    rows = np.array(
        ["the film is funny, and warm", "THE  film is FUNNY ,and warm", "ok", ""], object
    )
    one, two, short, none = look(of(rows))
    assert one == two
    assert np.isnan([short, none]).all()


def honest(seed, count=200):
    numbers = np.random.default_rng(seed).normal(size=(count, 2))
    return Look(numbers, np.ones(count))


CALIBRATION = calibrated(("one", "two"), {str(at): honest(at) for at in range(120)})


def alarm(numbers):
    look = Look(numbers, np.ones(len(numbers)))
    reached = np.flatnonzero(CALIBRATION.levels(np.zeros(2), look).max(axis=1) >= 1)
    return int(reached[0]) + 1 if len(reached) else None


def test_a_tenth_of_very_odd_queries_adds_up_and_many_slightly_odd_ones_do_not():
    rng = np.random.default_rng(7)
    mixed = rng.normal(size=(400, 2))
    mixed[::10, 0] += 8
    assert alarm(mixed) is not None
    slightly = rng.normal(0.3, 1, size=(400, 2))
    assert alarm(slightly) is None


def test_what_is_ordinary_adds_nothing():
    numbers = np.array([[0.0, 0.0], [1.5, -3.0], [30.0, 0.0]])
    bits = CALIBRATION.bits(numbers)
    assert (bits[:2] == 0).all()
    assert bits[2, 0] == pytest.approx(20 - ORDINARY_BITS)


def test_a_calibration_made_in_another_way_fits_no_monitors():
    assert CALIBRATION.method == METHOD
    assert CALIBRATION.fits(("one", "two"))
    assert not CALIBRATION.fits(("one", "three"))
    old = Calibration((Channel("one", Scale((0.0,), 1.0), 2.0, 30.0),), 60)
    assert not old.fits(("one",))
