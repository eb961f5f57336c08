"""What comparisons of versions say, and what the gates make of it."""

from __future__ import annotations

from typing import Any

import pytest
from policy_house import House, artifact

from sealwright.core.predicates import DRIFT, GUARD_EVENT, REVOCATION
from sealwright.core.records import Artifact
from sealwright.policy.screened import FactLine

STRICT = ["team", "regulated"]


def compare(house: House, newer: Artifact, against: Artifact, **more: Any) -> None:
    said = {"alarms": 2, "columns": 2, "strength": 250, **more}
    told = {key: value for key, value in said.items() if value is not None}
    house.say(DRIFT, [newer], against={"name": against.name, "digest": against.digest}, **told)


def facts(house: House, gate: Any, subject: Artifact) -> tuple[Any, ...]:
    drawn = house.decide(gate, [subject]).drawn.facts.values
    return tuple(drawn[name] for name in ("drift_columns", "drift_strength", "inputs_outdated"))


@pytest.mark.parametrize("profile", STRICT)
def test_data_that_drifted_trains_only_after_a_review(profile: str) -> None:
    house = House(profile)
    old, new = house.data("data:train@1"), house.data("data:train@2")
    compare(house, new, old)
    decision = house.decide("train", [new]).decision
    assert set(decision.failed) == {"data.drifted"}
    assert "seal data drift" in decision.mends[0]
    house.member("bob", "owner")
    house.member("cy", "owner")
    request = house.ask("train", [new], house.ann)
    house.approve(request, house.bob)
    assert house.decide("train", [new]).decision.allowed is (profile == "team")
    house.approve(request, house.cy)
    assert house.decide("train", [new]).decision.allowed


@pytest.mark.parametrize(
    ("profile", "allowed"), [("solo", True), ("team", True), ("regulated", False)]
)
def test_a_small_drift_warns_and_only_the_strictest_profile_refuses(
    profile: str, allowed: bool
) -> None:
    house = House(profile)
    old, new = house.data("data:train@1"), house.data("data:train@2")
    compare(house, new, old, columns=1, strength=120)
    decision = house.decide("train", [new]).decision
    assert decision.allowed is allowed
    assert any(
        line.startswith(("data.drifted: ", "data.moved: "))
        for line in (*decision.warnings, *decision.reasons)
    )


def test_a_model_of_the_past_is_promoted_again_once_it_is_trained_on_the_newest_data() -> None:
    house = House("team")
    old, new = house.data("data:train@1"), house.data("data:train@2")
    model = house.train(old)
    compare(house, new, old, strength=120)
    assert "model.outdated" in house.decide("promote", [model]).decision.failed
    again = house.train(new, model="model:fraud", run="r2")
    assert "model.outdated" not in house.decide("promote", [again]).decision.failed


def test_what_drifted_step_by_step_is_outdated_at_the_first_step_that_counts() -> None:
    house = House("team")
    first, second, third = (house.data(f"data:train@{n}") for n in (1, 2, 3))
    model = house.train(first)
    compare(house, second, first, alarms=0, columns=0, strength=0)
    assert facts(house, "promote", model) == (0, 0, 0)
    compare(house, third, second)
    assert facts(house, "promote", model) == (0, 0, 1)
    compare(house, third, first, alarms=0, columns=0, strength=0)
    assert facts(house, "promote", model) == (0, 0, 0)


def test_comparing_again_with_something_else_takes_no_drift_back() -> None:
    house = House("team")
    old, new, other = (house.data(name) for name in ("data:train@1", "data:train@2", "data:copy@1"))
    compare(house, new, old)
    compare(house, new, other, alarms=0, columns=0, strength=0)
    compare(house, new, old, alarms=0, columns=0, strength=0)
    assert facts(house, "train", new)[:2] == (2, 250)


def test_withdrawn_data_makes_no_model_outdated() -> None:
    house = House("team")
    old, new = house.data("data:train@1"), house.data("data:train@2")
    model = house.train(old)
    compare(house, new, old)
    house.say(REVOCATION, [new], reason="a broken feed", actor="ann")
    assert facts(house, "promote", model)[2] == 0


def test_a_screening_with_a_reference_counts_as_a_comparison() -> None:
    house = House("team")
    old, new = house.data("data:train@1"), house.data("data:train@2", screened=False)
    line = FactLine("drift", "drift.column", "high")
    house.screen(new, reference=old.digest, facts=(line, FactLine("pairs", "table.leak", "high")))
    assert facts(house, "train", new)[:2] == (1, 200)
    assert set(house.decide("train", [new]).decision.failed) == {"data.drifted"}


@pytest.mark.parametrize(
    "odd", [{"columns": None}, {"strength": -1}, {"columns": True}, {"alarms": "2", "columns": "2"}]
)
def test_a_comparison_that_cannot_be_read_is_as_bad_as_can_be(odd: Any) -> None:
    house = House("team")
    old, new = house.data("data:train@1"), house.data("data:train@2")
    compare(house, new, old, **odd)
    assert set(house.decide("train", [new]).decision.failed) == {"data.drifted"}


def test_a_guard_that_saw_the_traffic_drift_warns_at_the_next_promotion() -> None:
    house = House("team")
    model = house.train(house.data())
    house.say(GUARD_EVENT, [model], what="drift", rule="guard.drift")
    house.say(GUARD_EVENT, [artifact("model:other")], what="drift", rule="guard.drift")
    warnings = house.decide("promote", [model]).decision.warnings
    assert [line.partition(":")[0] for line in warnings] == ["traffic.drifted"]
