"""Which unit follows theft: what the bench compares, and what noise leaves to be found."""

import numpy as np

from sealwright.app.bench.guard.units import Point, _each, ceiling


def points(noise):
    rng = np.random.default_rng(1)
    for at in range(200):
        true = at / 200
        copies = tuple(float(true + noise * rng.normal()) for _ in range(2))
        yield Point("honest", at, at, float(at), float(at), copies)


def test_two_copies_that_agree_leave_everything_to_be_found():
    assert ceiling(list(points(0.0))) == 1.0


def test_noise_between_copies_bounds_what_any_unit_comes_to():
    for noise in (0.1, 0.3):
        some = list(points(noise))
        found = _each(some)["cells"]  # these cells are the truth itself
        assert found < 0.99
        assert abs(found - ceiling(some)) < 0.1
