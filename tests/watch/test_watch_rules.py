"""What is too much: each budget and window at its edge, and statistics with a floor."""

import re
from pathlib import Path

import pytest

from sealwright.app.watching import limits_of
from sealwright.core.watchsettings import WatchSettings
from sealwright.watch import rules, wire
from sealwright.watch.events import DAY_S, HOUR_S, Access
from sealwright.watch.rules import GIB, Limits, State

DAY = 20_000 * DAY_S
NOON = DAY + 12 * HOUR_S


def fed(limits, *events):
    state = State()
    return [breach.rule for event in events for breach in rules.feed(state, event, limits)]


def access(action="read", size=10, at=NOON, artifact="d", **more):
    return Access("ann", action, artifact, size, at, **more)


@pytest.mark.parametrize(
    ("limits", "allowed", "further", "rule"),
    [
        (Limits(bytes_per_hour=10), access(), access(size=1), "watch.bytes-hour"),
        (Limits(bytes_per_day=10), access(), access(size=1, at=NOON + 9000), "watch.bytes-day"),
        (Limits(reads_per_hour=3), access(count=3), access(), "watch.reads-hour"),
        (Limits(reads_per_day=3), access(count=3), access(at=NOON + 9000), "watch.reads-day"),
        (Limits(exports_per_day=1), access("export"), access("export"), "watch.exports-day"),
        (
            Limits(export_bytes_per_day=10),
            access("export"),
            access("export"),
            "watch.export-bytes-day",
        ),
        (
            Limits(compute_s_per_day=1),
            access("run", compute_ms=1000),
            access("run", compute_ms=1),
            "watch.compute-day",
        ),
        (Limits(artifact_bytes_per_day=10), access(), access(), "watch.artifact-bytes-day"),
        (
            Limits(artifact_exports_per_day=1),
            access("export"),
            access("export"),
            "watch.artifact-exports-day",
        ),
    ],
)
def test_a_budget_may_be_used_up_and_not_passed(limits, allowed, further, rule):
    assert fed(limits, allowed) == []
    assert fed(limits, allowed, further) == [rule]
    assert fed(Limits(), allowed, further) == []


def test_a_budget_of_an_hour_is_free_again_an_hour_later():
    limits = Limits(bytes_per_hour=10)
    assert fed(limits, access(), access(at=NOON + HOUR_S)) == []


def test_a_budget_of_an_artifact_counts_everybody():
    limits = Limits(artifact_exports_per_day=1)
    other = Access("bob", "export", "d", 1, NOON)
    assert fed(limits, access("export"), other) == ["watch.artifact-exports-day"]


@pytest.mark.parametrize(
    ("hours", "at", "outside"),
    [
        ((6, 22), 5, True),
        ((6, 22), 6, False),
        ((6, 22), 21, False),
        ((6, 22), 22, True),
        ((22, 4), 3, False),
        ((22, 4), 4, True),
        ((22, 4), 23, False),
        ((0, 0), 3, False),
    ],
)
def test_hours_are_half_open_and_may_cross_midnight(hours, at, outside):
    limits = Limits(hours=hours, outside_per_day=0)
    assert fed(limits, access(at=DAY + at * HOUR_S)) == (["watch.hours"] if outside else [])


def test_one_read_outside_hours_is_a_mistake_and_two_are_not():
    limits = Limits(hours=(6, 22))
    night = DAY + 2 * HOUR_S
    assert fed(limits, access(at=night)) == []
    assert fed(limits, access(at=night), access(at=night + 60)) == ["watch.hours"]
    assert fed(limits, access(at=night), access(at=night + 2 * DAY_S)) == []


def test_artifacts_are_new_only_to_somebody_who_has_a_past():
    limits = Limits(new_artifacts_per_day=5)
    first = [access(artifact=f"a{n}", at=DAY + n) for n in range(40)]
    assert fed(limits, *first) == []
    later = [access(artifact=f"b{n}", at=DAY + 3 * DAY_S + n) for n in range(10)]
    assert set(fed(limits, *first, *later)) == {"watch.new-artifacts-day"}


def ordinary(days=10, size=10 * 10**6):
    return [
        access(size=size, at=DAY + day * DAY_S + hour * HOUR_S)
        for day in range(days)
        for hour in range(8, 16)
    ]


def test_statistics_see_a_day_far_above_the_usual_and_not_a_small_one():
    limits = Limits(statistics=True)
    later = DAY + 12 * DAY_S
    assert fed(limits, *ordinary()) == []
    assert "watch.unusual-day" in fed(limits, *ordinary(), access(size=7 * GIB, at=later))
    assert fed(limits, *ordinary(), access(size=GIB, at=later)) == []  # hundredfold, yet small


def test_a_drip_adds_up():
    limits = Limits(statistics=True, deviations=1000.0)
    later = DAY + 12 * DAY_S
    drip = [access(size=GIB, at=later + hour * HOUR_S) for hour in range(12)]
    assert "watch.unusual-drift" in fed(limits, *ordinary(), *drip)


def test_statistics_say_nothing_of_somebody_new():
    assert fed(Limits(statistics=True), access(size=1000 * GIB)) == []


def test_what_a_workspace_starts_with_is_out_of_reach_of_a_laptop():
    busy = [access(size=10 * GIB, at=NOON + 60 * n) for n in range(60)]
    assert fed(rules.GENEROUS, *busy) == []


def test_every_rule_is_in_the_guide():
    guide = Path(__file__).resolve().parents[2] / "docs" / "guide" / "watching.md"
    text = guide.read_text("utf-8")
    every = {*rules.RULES, wire.RULE}
    assert set(re.findall(r"`(watch\.[a-z-]+-?[a-z-]*)`", text)) == every


def test_the_settings_start_as_generous_as_the_rules_say():
    assert limits_of(WatchSettings()) == rules.GENEROUS
