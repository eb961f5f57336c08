"""What a dataset is worth protecting decides the weakest room it may meet."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from policy_house import SOUND_ROOM, House, artifact

from sealwright.policy import facts, policyset
from sealwright.policy.context import RoomFacts

RULE = "room.sensitive-data"


def room(rung: int) -> RoomFacts:
    return msgspec.structs.replace(SOUND_ROOM, rung=rung)


def drawn(house: House, *names: Any) -> Any:
    return house.decide("train", list(names)).drawn.facts.values["sensitivity"]


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({}, 0),
        ({"sensitivity": ""}, 0),
        ({"sensitivity": "public"}, 0),
        ({"sensitivity": "internal"}, 1),
        ({"sensitivity": "sensitive"}, 2),
        ({"sensitivity": "Public"}, 2),
        ({"sensitivity": 0}, 2),
        ({"sensitivity": None}, 2),
    ],
)
def test_a_word_that_is_not_known_counts_as_sensitive(said: dict[str, Any], value: int) -> None:
    house = House()
    assert drawn(house, house.data(**said)) == value


def test_data_without_a_statement_counts_as_sensitive_and_no_data_as_nothing() -> None:
    house = House()
    assert drawn(house, artifact("data:stranger@1")) == 2
    assert drawn(house) == 0


def test_the_highest_input_counts_and_so_does_what_it_was_made_from() -> None:
    house = House()
    public = house.data("data:a@1", sensitivity="public")
    secret = house.data("data:b@1", sensitivity="sensitive")
    inputs = [{"name": secret.name, "digest": secret.digest}]
    derived = house.data("data:c@1", sensitivity="public", inputs=inputs)
    assert drawn(house, public) == 0
    assert drawn(house, public, secret) == 2
    assert drawn(house, derived) == 2


def test_a_second_statement_about_the_same_bytes_takes_nothing_back() -> None:
    house = House()
    first = house.data(sensitivity="sensitive")
    house.data(sensitivity="public")
    assert drawn(house, first) == 2


def test_a_model_keeps_the_sensitivity_of_its_data() -> None:
    house = House()
    model = house.train(house.data(sensitivity="internal"))
    judged = house.decide("register", [model], run="r1")
    assert judged.drawn.facts.values["sensitivity"] == 1


@pytest.mark.parametrize(("profile", "least"), [("team", 2), ("regulated", 3)])
@pytest.mark.parametrize("rung", [1, 2, 3, 4])
def test_sensitive_data_trains_in_no_weaker_room_than_the_profile_names(
    profile: str, least: int, rung: int
) -> None:
    house = House(profile)
    secret = house.data(sensitivity="sensitive")
    decision = house.decide("train", [secret], room=room(rung)).decision
    assert (RULE in decision.failed) == (rung < least)
    assert decision.allowed == (rung >= least)
    if rung < least:
        assert any("seal run --isolation strict" in mend for mend in decision.mends)
    internal = house.data("data:other@1", sensitivity="internal")
    weaker = house.decide("train", [internal], room=room(rung)).decision
    assert RULE not in weaker.failed


@pytest.mark.parametrize("rung", [1, 2, 3, 4])
def test_solo_warns_below_rung_3_and_lets_it_train(rung: int) -> None:
    house = House()
    secret = house.data(sensitivity="sensitive")
    decision = house.decide("train", [secret], room=room(rung)).decision
    assert decision.allowed
    assert any("sensitive data" in warning for warning in decision.warnings) == (rung < 3)


@pytest.mark.parametrize("gate", facts.GATES)
@pytest.mark.parametrize(("profile", "least"), [("team", 2), ("regulated", 3)])
def test_the_rule_holds_at_every_gate(gate: str, profile: str, least: int) -> None:
    engine = policyset.shipped(profile).engine
    values = {**facts.refusing(), "sensitivity": 2, "isolation_rung": least - 1}
    low = engine.judge(gate, "ann", "x", facts.of(values).jsonable())  # type: ignore[arg-type]
    assert RULE in {one.id for one in low.decided}
    values["isolation_rung"] = least
    enough = engine.judge(gate, "ann", "x", facts.of(values).jsonable())  # type: ignore[arg-type]
    assert RULE not in {one.id for one in enough.decided}
