"""An approval counts by the roles its person held when they gave it, at every gate and offline."""

from __future__ import annotations

import pytest
from policy_house import House, Person

from sealwright.policy import gates, roles
from sealwright.policy.context import RoomFacts
from sealwright.policy.replay import replay

ROLE_OF_GATE = [
    (gate, role, role in roles.MAY_APPROVE[gate])
    for gate in ("register", "promote", "export")
    for role in roles.ROLES
]


def _newcomer(house: House, *held: str) -> Person:
    dan = Person("dan", 4)
    house.people.append(dan)
    if held:
        house.member("dan", *held)
    return dan


@pytest.mark.parametrize(("gate", "role", "counts"), ROLE_OF_GATE)
def test_an_approval_counts_where_the_role_may_approve_the_gate(
    gate: str, role: str, counts: bool
) -> None:
    house = House("team")
    dan = _newcomer(house, role)
    model = house.train(house.data())
    model = model if gate == "register" else house.register(model)
    house.approve(house.ask(gate, [model], house.ann), dan)
    drawn = house.decide(gate, [model], run="r1").drawn
    values = drawn.facts.values
    assert (values["approvals"], values["approvals_ignored"]) == (int(counts), int(not counts))
    told = f"dan held no role that may approve {gate}"
    assert any(told in note for note in drawn.notes) is not counts


def test_a_role_given_after_the_approval_does_not_make_it_count() -> None:
    house = House("team")
    dan = _newcomer(house, "ml-engineer")
    model = house.register(house.train(house.data()))
    request = house.ask("promote", [model], house.ann)
    house.approve(request, dan)
    house.member("dan", "reviewer")
    assert not house.decide("promote", [model]).decision.allowed
    house.approve(request, dan)
    assert house.decide("promote", [model]).decision.allowed


def test_a_role_taken_after_the_approval_does_not_take_it_back() -> None:
    house = House("team")
    model = house.register(house.train(house.data()))
    house.approve(house.ask("promote", [model], house.ann), house.bob)
    house.member("bob")
    assert house.decide("promote", [model]).drawn.facts.values["approvers"] == ("bob",)


def test_a_stranger_with_a_known_key_approves_nothing() -> None:
    house = House("team")
    dan = _newcomer(house)
    model = house.register(house.train(house.data()))
    house.approve(house.ask("promote", [model], house.ann), dan)
    judged = house.decide("promote", [model])
    assert judged.decision.failed == ("approval.second-person",)
    assert judged.drawn.facts.values["approvals_ignored"] == 1


def test_a_role_through_a_team_counts_while_the_person_is_in_it() -> None:
    house = House("team")
    dan = _newcomer(house, "ml-engineer")
    house.team("gate", "dan")
    house.member("team:gate", "reviewer", kind="team")
    model = house.register(house.train(house.data()))
    house.approve(house.ask("promote", [model], house.ann), dan)
    house.team("gate")
    assert house.decide("promote", [model]).drawn.facts.values["approvers"] == ("dan",)
    other = house.register(house.train(house.data("data:b@1"), run="r2", model="model:b"), run="r2")
    house.approve(house.ask("promote", [other], house.ann), dan)
    assert house.decide("promote", [other]).drawn.facts.values["approvers"] == ()


def test_in_solo_a_guest_does_not_take_an_unisolated_run_on_themselves() -> None:
    house = House("solo")
    dan = _newcomer(house, "ml-engineer")
    for who, allowed in ((dan, False), (house.ann, True)):
        model = house.train(
            house.data(), isolation="none", room={}, run=who.account.name, by=who, decided=False
        )
        request = house.ask("register", [model], who)
        house.approve(request, who)
        judged = house.decide(
            "register",
            [model],
            run=who.account.name,
            room=RoomFacts(),
            principal=who.principal,
            reason="mine",
        )
        assert judged.drawn.facts.values["self_approved"] is allowed


def test_the_recorded_decision_replays_with_the_reasons_that_did_not_count() -> None:
    house = House("team")
    dan = _newcomer(house, "ml-engineer")
    model = house.register(house.train(house.data()))
    house.approve(house.ask("promote", [model], house.ann), dan)
    index = house.add(gates.statement_of(house.decide("promote", [model])))
    house.member("dan", "reviewer")
    again = replay(house.history.entries[index], house.history, house.trust)
    assert not again.decision.allowed
    assert any("dan held no role" in note for note in again.drawn.notes)


def test_two_readmissions_and_policy_changes_want_roles_too() -> None:
    house = House("team")
    dan = _newcomer(house, "ml-engineer")
    for action in ("readmit", "policy.activate", "containment.release", "access.destroy"):
        request = house.ask(action, [house.policy.artifact], house.ann)
        house.approve(request, dan)
        house.approve(request, house.bob)
        objection = roles.members_of(house.history, house.book).objection(action)
        tally = house.book.tally(
            request, [], house.now, before=len(house.entries), objection=objection
        )
        assert tally.people == ("bob",), action
