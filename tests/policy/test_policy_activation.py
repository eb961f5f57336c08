"""Which policy set is in force, and who may change it."""

from __future__ import annotations

import msgspec
import pytest
from policy_house import House

from sealwright.core.errors import BadInput, GateDenied
from sealwright.core.predicates import POLICY_ACTIVATION
from sealwright.policy import activation, policyset

OPEN = '@id("gate.open") @reason("all is well") permit (principal, action, resource);\n'


def edited(profile: str) -> policyset.PolicySet:
    return policyset.of_texts({"always.cedar": OPEN}, policyset.shipped(profile).schema, profile)


def in_force(house: House) -> str:
    newest = activation.timeline(house.history, house.book).newest
    return newest.digest if newest else ""


def test_with_no_activation_nothing_is_in_force() -> None:
    house = House()
    house.entries.clear()
    assert in_force(house) == ""
    assert "policy.not-active" in house.decide("train", []).decision.failed


def test_solo_activates_alone_with_a_reason() -> None:
    house = House("solo")
    house.activate(edited("solo"))
    assert in_force(house) == edited("solo").digest
    predicate = house.entries[-1].statement.predicate
    assert predicate["self_approved"] is True
    assert predicate["reason"] == "set up"
    with pytest.raises(BadInput, match="why"):
        activation.activate(
            edited("solo"), house.history, house.book, house.ann.account, " ", house.now
        )


@pytest.mark.parametrize(
    ("before", "after"),
    [("team", "team"), ("team", "solo"), ("solo", "team"), ("regulated", "solo")],
)
def test_where_a_team_is_involved_it_takes_two_others(before: str, after: str) -> None:
    house = House(before)
    with pytest.raises(GateDenied) as denied:
        house.activate(edited(after))
    assert denied.value.rule == "policy.second-person"
    request = house.ask("policy.activate", [edited(after).artifact], house.ann)
    house.approve(request, house.ann)
    with pytest.raises(GateDenied, match="2 other people"):
        house.activate(edited(after))
    house.approve(request, house.bob)
    with pytest.raises(GateDenied, match="2 other people"):
        house.activate(edited(after))
    house.approve(request, house.cy)
    house.activate(edited(after))
    assert in_force(house) == edited(after).digest


def test_the_approver_cannot_be_the_one_who_activates() -> None:
    house = House("team")
    house.agree(house.ask("policy.activate", [edited("team").artifact], house.ann))
    with pytest.raises(GateDenied):
        house.activate(edited("team"), by=house.bob)


def test_an_approval_of_another_set_does_not_help() -> None:
    house = House("team")
    house.agree(house.ask("policy.activate", [house.policy.artifact], house.ann))
    with pytest.raises(GateDenied):
        house.activate(edited("team"))


def test_an_activation_forged_by_the_holder_of_the_workspace_key_is_not_in_force() -> None:
    house = House("team")
    before = in_force(house)
    loose = edited("solo")
    alone = House("solo")
    alone.activate(loose)
    forged = alone.entries[-1].statement
    house.add(forged)
    request = house.ask("policy.activate", [loose.artifact], house.ann)
    named = {**forged.predicate, "request": request.digest}
    house.add(msgspec.structs.replace(forged, predicate=named))
    assert in_force(house) == before
    assert house.decide("train", []).decision.failed == ()
    timeline = activation.timeline(house.history, house.book)
    assert len(timeline.refused) == 2


def test_an_activation_that_carries_other_text_than_it_names_is_not_in_force() -> None:
    house = House("solo")
    honest = activation.activate(
        edited("solo"), house.history, house.book, house.ann.account, "r", house.now
    )
    files = [{"name": "always.cedar", "digest": "0" * 64, "text": OPEN + "// more\n"}]
    before = in_force(house)
    house.add(msgspec.structs.replace(honest, predicate={**honest.predicate, "files": files}))
    house.say(POLICY_ACTIVATION, [edited("solo").artifact], nonsense=True)
    assert in_force(house) == before


def test_the_first_activation_opens_the_workspace_in_any_profile() -> None:
    for profile in ("solo", "team", "regulated"):
        assert in_force(House(profile)) == policyset.shipped(profile).digest


def test_policies_too_long_for_a_log_entry_are_refused() -> None:
    with pytest.raises(BadInput, match="longer"):
        policyset.of_texts({"a.cedar": OPEN + "// x\n" * 10_000}, "", "solo")
