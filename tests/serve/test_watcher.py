"""The watcher puts rows by, hears strange ones, and accuses nobody before it is calibrated."""

import numpy as np
import pytest

from sealwright.core.errors import BadInput
from sealwright.serve import watcher
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Answer, Caller
from sealwright.serve.monitors.interface import Sight
from sealwright.serve.monitors.panel import Panel
from sealwright.serve.watcher import Watcher


def sight(count, seed, centre=0.0):
    rows = np.random.default_rng(seed).normal(centre, 1, (count, 6))
    scores = np.abs(rows[:, :3]) + 0.1
    return Sight(rows, rows, scores / scores.sum(axis=1, keepdims=True))


def asks(watching, name, seen, internal=False):
    answer = Answer(seen.scores, seen.features)
    watching.behind(Caller(name, "key", internal), seen.inputs, answer)


@pytest.fixture
def watching():
    reference = sight(500, 0)
    return Watcher(Frame.fit(reference.features, 1), Panel(reference))


@pytest.fixture
def calibrated(watching):
    for at in range(60):
        asks(watching, f"p{at}", sight(80, 100 + at))
    watching.work()
    watching.calibrate()
    return watching


def worst(heard):
    return max((one.permille for one in heard.signals), default=0)


def test_before_calibration_nobody_is_accused_of_anything(watching):
    asks(watching, "odd", sight(200, 1, centre=9))
    (heard,) = watching.work()
    assert (heard.group, heard.rows, heard.signals, heard.anomaly_mbits) == ("odd", 200, (), 0)
    assert watching.work() == ()


def test_who_asks_strange_things_is_heard_and_who_does_not_is_not(calibrated):
    asks(calibrated, "odd", sight(60, 1, centre=9))
    asks(calibrated, "plain", sight(60, 2))
    odd, plain = calibrated.work()
    assert worst(odd) >= 1000 > worst(plain)
    assert odd.anomaly_mbits > 10 * plain.anomaly_mbits
    assert calibrated.calibration.enforced


def test_our_own_people_are_not_watched(calibrated):
    asks(calibrated, "ours", sight(60, 1, centre=9), internal=True)
    assert calibrated.work() == ()


def test_accounts_that_become_one_keep_the_higher_level_and_an_appeal_clears_it(calibrated):
    asks(calibrated, "odd", sight(60, 1, centre=9))
    calibrated.work()
    calibrated.join("plain", "odd")
    asks(calibrated, "plain", sight(1, 2))
    assert worst(calibrated.work()[0]) >= 1000
    calibrated.clear("plain")
    asks(calibrated, "plain", sight(1, 3))
    assert worst(calibrated.work()[0]) < 1000


def test_rows_beyond_what_may_wait_are_missed_and_counted(calibrated, monkeypatch):
    monkeypatch.setattr(watcher, "WAITING", 100)
    for at in range(4):
        asks(calibrated, f"p{at}", sight(50, at))
    assert calibrated.missed == 100
    assert [one.group for one in calibrated.work()] == ["p2", "p3"]


def test_nobody_with_enough_rows_calibrates_nothing(watching):
    asks(watching, "short", sight(10, 1))
    watching.work()
    with pytest.raises(BadInput, match="nobody to calibrate"):
        watching.calibrate()
