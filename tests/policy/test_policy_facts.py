"""facts/v1: the page, the table, the schema and the arithmetic."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_house import NOW, SOUND_ROOM, House, artifact

from sealwright.core import clock, predicates
from sealwright.core.errors import BadInput
from sealwright.policy import facts, policyset
from sealwright.policy.context import RoomFacts, Witnessed

PAGE = Path(__file__).parents[2] / "docs" / "spec" / "facts-v1.md"


def test_the_page_has_one_row_for_each_fact_and_no_other() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\S+) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.M
    )
    told = {name: (kind, source, meaning, unknown) for name, kind, source, meaning, unknown in rows}
    assert len(rows) == len(told)
    assert told == {
        row.name: (row.kind.replace("Set<String>", "Set"), row.source, row.meaning, _shown(row))
        for row in facts.ROWS
    }


def _shown(row: facts.Row) -> str:
    if row.unknown == facts.NEVER:
        return "2^53 - 1"
    if isinstance(row.unknown, tuple):
        return "`{" + ", ".join(row.unknown) + "}`"
    return f"`{str(row.unknown).lower()}`"


def test_the_shipped_schema_is_the_one_made_from_the_table() -> None:
    shipped = policyset.shipped_files("solo")[policyset.SCHEMA_FILE]
    assert shipped == facts.schema()


@pytest.mark.parametrize("bad", [None, 1.0, float("nan"), -1, 2**53, "3", True, [1]])
def test_a_number_that_is_not_a_whole_number_in_range_is_no_fact(bad: object) -> None:
    with pytest.raises(BadInput, match="inputs"):
        facts.of({**facts.refusing(), "inputs": bad})


def test_a_missing_or_extra_fact_is_refused() -> None:
    values = facts.refusing()
    with pytest.raises(BadInput, match="facts"):
        facts.of({name: value for name, value in values.items() if name != "inputs"})
    with pytest.raises(BadInput, match="facts"):
        facts.of({**values, "more": 1})


def test_facts_survive_a_statement() -> None:
    made = facts.of({**facts.refusing(), "missing": ("b", "a")})
    assert facts.from_json(made.jsonable()) == made
    assert facts.from_json(made.jsonable()).digest == made.digest


def test_what_is_not_known_of_the_room_counts_as_no_room() -> None:
    house = House()
    drawn = house.decide("train", [house.data()], room=RoomFacts()).drawn.facts.values
    assert drawn["unisolated"] and drawn["plaintext_on_disk"] and not drawn["network_none"]
    assert drawn["isolation_rung"] == 0


@pytest.mark.parametrize(
    "room",
    [
        {},
        {"rung": "S3", "network": "none"},
        {"rung": True, "network": "none"},
        {"rung": -1},
        {"rung": 5},
        {"rung": None},
    ],
)
def test_provenance_that_does_not_say_what_the_room_was_is_unisolated(room: dict) -> None:  # type: ignore[type-arg]
    house = House()
    model = house.train(house.data(), room=room)
    assert house.decide("register", [model], run="r1").drawn.facts.values["unisolated"]


@pytest.mark.parametrize(
    ("rung", "value"),
    [
        ("bwrap+seccomp+cgroup", 3),
        ("bwrap+seccomp+cgroup+gpu", 2),
        ("bwrap+seccomp+rlimits", 2),
        ("bwrap+seccomp+rlimits+gpu", 1),
        ("bwrap+seccomp+landlock+cgroup", 4),
        ("bwrap+seccomp+landlock+rlimits", 3),
        (2, 2),
    ],
)
def test_the_rooms_there_are_have_their_rungs(rung: str | int, value: int) -> None:
    house = House()
    model = house.train(house.data(), room={"rung": rung, "network": "none"})
    drawn = house.decide("register", [model], run="r1").drawn.facts.values
    assert (drawn["isolation_rung"], drawn["unisolated"]) == (value, False)


@pytest.mark.parametrize(("measured", "rung"), [(4, 3), (1, 1), (0, 0), ("odd", 0)])
def test_the_lower_of_the_promised_and_the_measured_rung_counts(measured: Any, rung: int) -> None:
    house = House()
    room = {"rung": "bwrap+seccomp+cgroup", "rung_measured": measured, "network": "none"}
    model = house.train(house.data(), room=room)
    drawn = house.decide("register", [model], run="r1").drawn.facts.values
    assert (drawn["isolation_rung"], drawn["unisolated"]) == (rung, rung == 0)


def test_a_run_that_made_other_bytes_is_no_provenance() -> None:
    house = House()
    house.train(house.data())
    stranger = artifact("model:stranger")
    drawn = house.decide("register", [stranger], run="r1").drawn.facts.values
    assert "provenance" in drawn["missing"]  # type: ignore[operator]


def test_a_run_without_a_train_decision_or_an_intent_is_missing_them() -> None:
    house = House()
    model = house.train(house.data(), decided=False)
    assert house.decide("register", [model]).drawn.facts.values["missing"] == ("decision:train",)
    bare = House()
    bare.say(
        predicates.SLSA_PROVENANCE,
        [artifact("model:x")],
        buildDefinition={},
        runDetails={"metadata": {"invocationId": "r9"}},
    )
    assert bare.decide("register", [artifact("model:x")]).drawn.facts.values["missing"] == (
        "intent",
    )


def test_a_run_that_was_closed_as_failed_is_not_ok() -> None:
    house = House()
    data = house.data()
    model = house.train(data)
    house.say(predicates.CLOSED, [data], run="r1", stage="", status="killed")
    assert house.decide("register", [model], run="r1").drawn.facts.values["run_status"] == "killed"


def test_a_run_without_data_is_known_by_its_run_id() -> None:
    house = House()
    house.add(_decided(house, run="r1"))
    model = house.train(decided=False)
    assert house.decide("register", [model], run="r1").decision.allowed
    other = House()
    other.add(_decided(other, run="r2"))
    model = other.train(decided=False)
    assert not other.decide("register", [model], run="r1").decision.allowed


def _decided(house: House, run: str):  # type: ignore[no-untyped-def]
    from sealwright.policy import gates

    return gates.statement_of(house.decide("train", [], run=run, room=SOUND_ROOM))


def test_revoked_data_reaches_everything_made_from_it() -> None:
    house = House()
    raw = house.data("data:raw@1")
    clean = house.data("data:clean@1", inputs=[{"name": raw.name, "digest": raw.digest}])
    model = house.register(house.train(clean))
    house.revoke(raw)
    for gate, subject in (("train", clean), ("promote", model), ("export", model)):
        drawn = house.decide(gate, [subject]).drawn.facts.values
        assert drawn["inputs_revoked"] >= 1  # type: ignore[operator]
        assert drawn["revoked_ancestors"] == 1


def test_a_revoked_model_is_blocked() -> None:
    house = House()
    model = house.register(house.train(house.data()))
    house.revoke(model)
    assert house.decide("export", [model]).drawn.facts.values["model_blocked"]
    assert "artifact.revoked" in house.decide("export", [model]).decision.failed


def test_the_weakest_room_behind_a_model_is_the_one_that_counts() -> None:
    house = House()
    raw = house.data("data:raw@1")
    house.train(
        raw,
        model="clean.csv",
        run="r0",
        room={"rung": "bwrap+seccomp+rlimits+gpu", "network": "host"},
    )
    clean = house.data("data:clean@1", run="r0", inputs=[{"name": raw.name, "digest": raw.digest}])
    model = house.train(clean, run="r1")
    drawn = house.decide("register", [model], run="r1").drawn.facts.values
    assert drawn["isolation_rung"] == 1
    assert not drawn["network_none"]
    assert drawn["plaintext_on_disk"]


@settings(max_examples=30, deadline=None)
@given(st.integers(-100_000, 100_000))
def test_a_cosignature_is_as_old_as_it_can_be_and_never_from_the_future(offset_s: int) -> None:
    house = House()
    time = clock.stamp(clock.parse(clock.stamp(NOW)))
    witnessed = Witnessed(separation="remote", size=0, time=time)
    from datetime import timedelta

    judged = house.decide("export", [], witnessed=witnessed, now=NOW + timedelta(seconds=offset_s))
    age = judged.drawn.facts.values["witness_age_s"]
    assert isinstance(age, int) and age >= offset_s
    if offset_s < -300:
        assert age == facts.NEVER


def test_a_witness_without_a_time_is_as_good_as_none() -> None:
    house = House()
    drawn = house.decide("export", [], witnessed=Witnessed(separation="remote")).drawn.facts.values
    assert drawn["witness_age_s"] == facts.NEVER
    none = house.decide("export", [], witnessed=Witnessed(size=99, time=clock.stamp(NOW)))
    assert none.drawn.facts.values["witness_lag"] == facts.NEVER
