"""The simulator is the frozen one, the intervals are exact, and detection does not fall behind."""

import hashlib
import re
from pathlib import Path

import pytest

from sealwright.watch import measure, simulate

ROOT = Path(__file__).resolve().parents[2]
WATCH = ROOT / "src" / "sealwright" / "watch"
PAGE = (ROOT / "docs" / "benchmarks-watch.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("what", "files"),
    [
        ("generator", ["simulate.py"]),
        ("rules", ["counters.py", "baselines.py", "rules.py"]),
    ],
)
def test_what_was_frozen_is_what_is_here(what, files):
    said = re.search(rf"^\| {what}[^|]*\| `([0-9a-f]{{64}})`", PAGE, re.M)[1]
    assert hashlib.sha256(b"".join((WATCH / f).read_bytes() for f in files)).hexdigest() == said


def test_equal_seeds_give_equal_worlds_and_others_do_not():
    one = simulate.world(7)
    assert one == simulate.world(7)
    assert one.events != simulate.world(8).events
    assert len(one.attacks) == 40


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"),
    [  # scipy.stats.beta.ppf, to six places
        (8, 10, 0.443905, 0.974789),
        (0, 100, 0.0, 0.036217),
        (100, 100, 0.963783, 1.0),
        (400, 400, 0.990820, 1.0),
        (1, 20, 0.001265, 0.248733),
    ],
)
def test_intervals_are_clopper_and_pearsons(hits, tries, low, high):
    assert measure.interval(hits, tries) == pytest.approx((low, high), abs=2e-6)


def test_an_interval_of_nothing_says_nothing():
    assert measure.interval(0, 0) == (0.0, 1.0)


def test_two_seeds_are_caught_as_the_page_says():
    outcome = measure.outcome([1, 2])
    for kind, least in (("burst", 0.95), ("drip", 0.95), ("export", 0.95), ("off-hours", 0.85)):
        caught, tried = outcome.caught(kind)
        assert tried == 20
        assert caught / tried >= least, kind
    assert outcome.principal_days > 9000
    assert 1000 * len(outcome.false) / outcome.principal_days < 3
