"""From a breach to steps: the mildest that is enough, each once, and only what can be undone."""

from datetime import UTC, datetime, timedelta

import pytest

from sealwright.core.records import Artifact
from sealwright.policy.containment import Containment, principal
from sealwright.policy.principals import Account
from sealwright.watch import contain, rules
from sealwright.watch.events import HOUR_S, Access
from sealwright.watch.rules import Breach, Limits, State

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANN = Account("ann", "a" * 64, 1, "host")


def breach(rule, value=11, limit=10):
    return Breach(rule, "ann", "d" * 64, value, limit, 0)


def in_force(step, target=None, minutes=60):
    until = (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = target or principal("ann")
    return Containment("c" * 64, step, about, ANN, "", "x", False, "", until, 0, "cy")


def wanted(*breaches, active=()):
    holds = contain.holds(breaches, active, {"ann": ANN}, {"d" * 64: "data:train@1"})
    return [(one.step, one.target.name) for one in holds]


@pytest.mark.parametrize("rule", rules.RULES)
def test_nothing_automatic_is_beyond_undoing(rule):
    steps = contain.ladder(breach(rule, 1000))
    assert steps
    assert set(steps) <= set(contain.AUTOMATIC)
    assert "kill-run" not in contain.AUTOMATIC


def test_what_is_unusual_is_slowed_down_and_held_only_when_it_is_worse():
    assert contain.ladder(breach("watch.unusual-day")) == ("throttle",)
    assert "quarantine-principal" in contain.ladder(breach("watch.unusual-day", 20))


def test_many_breaches_are_one_step_each():
    many = [breach("watch.export-bytes-day", n) for n in range(11, 60)]
    assert wanted(*many) == [
        ("freeze-artifact", "data:train@1"),
        ("revoke-tokens", "principal:ann"),
        ("quarantine-principal", "principal:ann"),
    ]


def test_what_is_in_force_is_not_asked_for_again():
    held = in_force("quarantine-principal")
    assert wanted(breach("watch.bytes-day"), active=[held]) == [("revoke-tokens", "principal:ann")]
    assert contain.in_force([held], "quarantine-principal", principal("ann")) is held
    assert contain.in_force([held], "throttle", principal("ann")) is None


def test_a_frozen_artifact_holds_nobody():
    (hold,) = contain.holds([breach("watch.artifact-bytes-day")], [], {"ann": ANN}, {})
    assert hold.account == Account("", "")


def test_a_throttled_principal_waits_and_never_longer_than_the_throttle_lasts():
    held = in_force("throttle", minutes=1)
    assert contain.waits_s([held], ANN, NOW, 5) == 5
    assert contain.waits_s([held], ANN, NOW, 500) == 60
    assert contain.waits_s([held], Account("bob", "b" * 64, 2, "host"), NOW, 5) == 0
    assert contain.waits_s([in_force("freeze-artifact", Artifact("d", "d" * 64))], ANN, NOW, 5) == 0


def test_what_people_released_is_forgotten_and_what_was_touched_is_not():
    state, limits = State(), Limits(bytes_per_day=10)
    for number in range(3):
        list(rules.feed(state, Access("ann", "read", f"d{number}", 10, HOUR_S), limits))
    before = state.counters.principals["ann"].new_artifacts(HOUR_S, 24)
    contain.pardon(state, in_force("quarantine-principal"))
    assert list(rules.feed(state, Access("ann", "read", "d1", 10, HOUR_S + 1), limits)) == []
    assert state.counters.principals["ann"].new_artifacts(HOUR_S, 24) == before
    assert len(list(rules.feed(state, Access("ann", "read", "d1", 1, HOUR_S + 2), limits))) == 1
