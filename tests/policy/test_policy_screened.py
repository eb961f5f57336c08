"""What screenings and quarantines say, and what the gates make of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from policy_house import House, artifact, group

from sealwright.core.predicates import QUARANTINE, SCREENING
from sealwright.policy.activation import timeline
from sealwright.policy.screened import ACTION, Screened

STRICT = ["team", "regulated"]


def standing(house: House) -> Screened:
    book = house.book
    return Screened(house.history, book, timeline(house.history, book))


def failed(house: House, *subjects: Any) -> set[str]:
    return set(house.decide("train", list(subjects)).decision.failed)


@pytest.mark.parametrize("profile", STRICT)
def test_an_open_group_blocks_and_names_the_command_that_lists_it(profile: str) -> None:
    house = House(profile)
    data = house.data(screened=False)
    house.screen(data, group(data))
    decision = house.decide("train", [data]).decision
    assert set(decision.failed) == {"poison.open"}
    assert decision.mends == ("seal data quarantine list",)


def test_in_solo_the_same_group_warns_and_says_so() -> None:
    house = House("solo")
    data = house.data(screened=False)
    house.screen(data, group(data))
    decision = house.decide("train", [data]).decision
    assert decision.allowed
    assert any(warning.startswith("poison.open: ") for warning in decision.warnings)


@pytest.mark.parametrize("profile", STRICT)
def test_what_nobody_screened_blocks_until_others_approve_it(profile: str) -> None:
    house = House(profile)
    data = house.data(screened=False)
    assert failed(house, data) == {"data.unscreened"}
    house.member("ann", "owner")
    house.member("bob", "reviewer")
    house.member("cy", "reviewer")
    house.agree(house.ask("train", [data], house.ann))
    assert failed(house, data) == set()


@pytest.mark.parametrize("profile", STRICT)
@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"verdict": "failed", "why": "jail.timeout"}, "screening.failed"),
        ({"verdict": "unscreened", "why": "screening.off"}, "data.unscreened"),
        ({"unread": 1}, "screening.unread"),
        ({"reduced": True}, "screening.reduced"),
    ],
)
def test_a_screening_that_looked_at_less_blocks(profile: str, more: Any, rule: str) -> None:
    house = House(profile)
    data = house.data(screened=False)
    house.screen(data, **more)
    assert failed(house, data) == {rule}


@pytest.mark.parametrize("profile", STRICT)
def test_an_approval_waives_no_finding_and_no_failure(profile: str) -> None:
    house = House(profile)
    data = house.data(screened=False)
    house.screen(data, group(data), verdict="failed")
    house.agree(house.ask("train", [data], house.ann))
    assert failed(house, data) == {"poison.open", "screening.failed"}


def test_screening_again_with_less_closes_no_group() -> None:
    house = House("team")
    data = house.data(screened=False)
    house.screen(data, group(data))
    house.screen(data)
    assert failed(house, data) == {"poison.open"}


def test_a_screening_of_another_version_says_nothing_about_this_one() -> None:
    house = House("team")
    first, second = house.data("data:train@1"), house.data("data:train@2", screened=False)
    assert failed(house, first) == set()
    assert failed(house, second) == {"data.unscreened"}


@pytest.mark.parametrize(
    "edit",
    [
        {"version": 2},
        {"dataset": "other"},
        {"records": "1000"},
        {"verdict": "clean"},
        {"surplus": 1},
        {"time": "yesterday"},
        {"groups": [{"id": "0" * 64}]},
    ],
)
def test_a_screening_that_cannot_be_read_counts_as_failed(edit: Any) -> None:
    house = House("team")
    data = house.data()
    said = dict(house.history.of_type(SCREENING)[-1].statement.predicate)
    house.say(SCREENING, [data], **(said | edit))
    assert failed(house, data) == {"screening.failed"}
    assert standing(house).refused


def test_a_group_whose_id_is_not_its_own_makes_the_screening_unreadable() -> None:
    house = House("team")
    data = house.data()
    house.screen(data, msgspec.structs.replace(group(data), count=2, carriers="0" * 64))
    assert failed(house, data) == {"screening.failed"}


def test_groups_under_another_verdict_than_found_are_not_believed() -> None:
    house = House("team")
    data = house.data()
    house.screen(data, group(data), verdict="nothing-found")
    assert failed(house, data) == {"screening.failed"}


def test_in_solo_the_owner_releases_with_a_reason() -> None:
    house = House("solo")
    data = house.data(screened=False)
    found = group(data)
    house.screen(data, found)
    house.move(data, "released", found)
    assert standing(house).groups[found.id].state == "released"
    assert standing(house).facts([data.digest])["poison_groups_open"] == 0


@pytest.mark.parametrize("profile", STRICT)
def test_a_release_takes_two_people_who_neither_ask_nor_added_the_data(profile: str) -> None:
    house = House(profile)
    data = house.data(screened=False, actor="cy")
    found = group(data)
    house.screen(data, found)
    request = house.ask(ACTION, [standing(house).groups[found.id].artifact], house.ann)
    house.move(data, "released", found, request=request.digest)
    assert failed(house, data) == {"poison.open"}
    house.approve(request, house.bob)
    house.approve(request, house.cy)  # who added the data
    house.move(data, "released", found, request=request.digest)
    assert failed(house, data) == {"poison.open"}
    dot = type(house.ann)("dot", 4)
    house.people.append(dot)
    house.member("dot", "reviewer")
    house.approve(request, dot)
    house.move(data, "released", found, request=request.digest)
    assert failed(house, data) == set()


def test_an_approval_for_one_group_releases_no_other() -> None:
    house = House("team")
    data = house.data(screened=False)
    one, two = group(data), group(data, key="pair:c=d", count=9)
    house.screen(data, one, two)
    request = house.ask(ACTION, [standing(house).groups[one.id].artifact], house.ann)
    house.agree(request)
    house.move(data, "released", one, two, request=request.digest)
    assert all(held.open for held in standing(house).of(data.digest))


@pytest.mark.parametrize("first", ["released", "rejected"])
@pytest.mark.parametrize("then", ["released", "rejected"])
def test_a_group_moves_out_of_quarantine_once(first: Any, then: Any) -> None:
    house = House("solo")
    data = house.data(screened=False)
    found = group(data)
    house.screen(data, found)
    house.move(data, first, found)
    house.move(data, then, found)
    assert standing(house).groups[found.id].state == first
    assert len(standing(house).refused) == 1


def test_a_rejected_group_holds_its_version_back_for_good() -> None:
    house = House("team")
    data = house.data(screened=False)
    found = group(data)
    house.screen(data, found)
    house.move(data, "rejected", found, derived="data:train@2")
    assert failed(house, data) == {"poison.open"}
    clean = house.data("data:train@2", inputs=[{"name": data.name, "digest": data.digest}])
    assert failed(house, clean) == set()


def test_a_move_needs_a_reason_a_known_group_and_the_right_version() -> None:
    house = House("solo")
    data, other = house.data(screened=False), house.data("data:other@1")
    found = group(data)
    house.screen(data, found)
    house.move(other, "released", found)
    house.move(data, "released", group(data, key="pair:x=y"))
    said = {"state": "released", "reason": " ", "groups": [found.id]}
    house.move(data, "rejected", found)
    entry = house.entries.pop()
    house.say(QUARANTINE, [data], **(dict(entry.statement.predicate) | said))
    assert standing(house).groups[found.id].state == "quarantined"
    assert len(standing(house).refused) == 3


def test_a_released_pattern_is_released_in_later_versions_until_it_spreads() -> None:
    house = House("solo")
    data = house.data(screened=False)
    found = group(data, count=14)
    house.screen(data, found)
    house.move(data, "released", found, pattern=True)
    for number, count, state in ((2, 20, "released"), (3, 29, "quarantined")):
        later = house.data(f"data:train@{number}", screened=False)
        again = group(later, count=count)
        house.screen(later, again)
        assert standing(house).groups[again.id].state == state
    elsewhere = house.data("data:other@1", screened=False)
    house.screen(elsewhere, group(elsewhere))
    assert standing(house).facts([elsewhere.digest])["poison_groups_open"] == 1


def test_a_release_of_one_group_is_no_release_of_its_pattern() -> None:
    house = House("solo")
    data = house.data(screened=False)
    house.screen(data, group(data))
    house.move(data, "released", group(data))
    later = house.data("data:train@2", screened=False)
    house.screen(later, group(later))
    assert standing(house).facts([later.digest])["poison_groups_open"] == 1


def test_a_model_is_held_by_what_is_found_in_its_data_later() -> None:
    house = House("team")
    data = house.data()
    model = house.register(house.train(data))
    asked = house.decide("promote", [model]).decision
    assert "poison.open" not in asked.failed
    house.screen(data, group(data))
    asked = house.decide("promote", [model]).decision
    assert "poison.open" in asked.failed


def test_data_that_no_run_read_needs_no_screening() -> None:
    house = House("team")
    raw = house.data("data:raw@1", screened=False)
    masked = house.data("data:masked@1", inputs=[{"name": raw.name, "digest": raw.digest}])
    assert failed(house, masked) == set()
    model = house.register(house.train(masked))
    assert "data.unscreened" not in house.decide("promote", [model]).decision.failed


def test_no_version_at_all_is_no_version_unscreened() -> None:
    house = House("team")
    assert standing(house).facts([]) == {
        "poison_groups_open": 0,
        "screening_failed": 0,
        "screening_reduced": 0,
        "screening_unread": 0,
        "unscreened": 0,
    }
    assert standing(house).facts([artifact("data:x@1").digest])["unscreened"] == 1


def test_a_model_of_the_cut_version_is_not_held_by_what_an_older_run_read() -> None:
    house = House("team")
    data = house.data(screened=False)
    found = group(data)
    house.screen(data, found)
    house.train(data, run="r0")
    house.move(data, "rejected", found, derived="data:train@2")
    clean = house.data("data:train@2", inputs=[{"name": data.name, "digest": data.digest}])
    model = house.register(house.train(clean, run="r1"))
    assert "poison.open" not in house.decide("promote", [model]).decision.failed
