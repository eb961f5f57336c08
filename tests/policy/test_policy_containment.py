"""Held back by the log alone: who, until when, and who may let go."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from policy_house import NOW, House

from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.predicates import CONTAINMENT
from sealwright.core.records import Principal
from sealwright.evidence import dsse, statement
from sealwright.policy import containment, gates
from sealwright.policy.activation import timeline
from sealwright.policy.containment import INVERSES, STEPS, Containment, Holds
from sealwright.policy.principals import Account

HOUR = timedelta(hours=1)


def holds(house: House) -> Holds:
    book = house.book
    return Holds(house.history, book, timeline(house.history, book))


def contain(
    house: House, step: Any, who: Any = None, about: Any = None, **more: Any
) -> Containment:
    person = who or house.ann
    account = person.account if about is None else Account("", "")
    target = about or containment.principal(person.account.name)
    said = {"actor": "cy", "reason": "looking", "span": HOUR, "now": house.now, **more}
    house.add(containment.statement_of(step, target, account, **said))
    return list(holds(house).all.values())[-1]


def let_go(house: House, held: Containment, by: Any, request: Any = None) -> bool:
    house.add(containment.release(held, request, by.account, "fine", house.now))
    return held not in holds(house).active(house.now)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_ends_by_itself_and_has_an_inverse(step: Any) -> None:
    house = House()
    held = contain(house, step)
    assert holds(house).active(house.now) == (held,)
    assert holds(house).active(house.now + 2 * HOUR) == ()
    assert holds(house).active(house.now - 100 * HOUR) == (held,)  # a clock set back
    assert let_go(house, held, house.ann)
    entry = house.entries[-1].statement.predicate
    assert (entry["undoes"], entry["step"]) == (INVERSES[step], step)


@pytest.mark.parametrize("gate", ["train", "register", "promote", "export"])
def test_a_quarantined_principal_is_denied_at_every_gate_and_nobody_else(gate: str) -> None:
    house = House()
    model = house.register(house.train(data := house.data()))
    subjects = [data] if gate == "train" else [model]

    def allowed(who: Any) -> bool:
        more = {"run": "r1"} if gate == "register" else {}
        return house.decide(gate, subjects, principal=who.principal, **more).decision.allowed

    assert allowed(house.ann)
    held = contain(house, "quarantine-principal", house.ann)
    assert not allowed(house.ann)
    assert allowed(house.bob)
    let_go(house, held, house.ann)
    assert allowed(house.ann)


def test_a_frozen_dataset_stops_what_was_made_from_it_and_nothing_else() -> None:
    house = House()
    model = house.register(house.train(data := house.data()))
    other = house.data("data:other@1")
    contain(house, "freeze-artifact", about=data)
    denied = house.decide("promote", [model]).decision
    assert "containment.artifact-frozen" in denied.failed
    assert house.decide("train", [other]).decision.allowed


def test_a_principal_under_another_name_with_the_same_key_or_account_is_held_too() -> None:
    house = House()
    contain(house, "quarantine-principal", house.ann)
    mine = house.ann.account
    for other in (
        Account("eve", mine.key_id, 9, "elsewhere"),
        Account("eve", "f" * 64, mine.uid, mine.host),
        Account(mine.name, "f" * 64, 9, "elsewhere"),
    ):
        assert holds(house).quarantined(other, house.now)
    assert not holds(house).quarantined(Account("eve", "f" * 64, 9, "elsewhere"), house.now)


def test_one_person_cannot_release_in_team_and_two_can() -> None:
    house = House("team")
    held = contain(house, "quarantine-principal", house.ann)
    assert not let_go(house, held, house.ann)
    request = house.ask("containment.release", [held.artifact], house.ann)
    house.approve(request, house.bob)
    assert not let_go(house, held, house.ann, request)
    house.approve(request, house.bob)  # the same person once more
    assert not let_go(house, held, house.ann, request)
    house.approve(request, house.cy)
    assert let_go(house, held, house.ann, request)


def test_who_is_held_and_who_releases_do_not_count_as_approvers() -> None:
    house = House("team")
    held = contain(house, "quarantine-principal", house.ann)
    request = house.ask("containment.release", [held.artifact], house.bob)
    house.approve(request, house.ann)
    house.approve(request, house.cy)
    assert not let_go(house, held, house.bob, request)
    assert "two people" in holds(house).refused[-1]


def test_approvals_of_another_release_do_not_count() -> None:
    house = House("team")
    one = contain(house, "throttle", house.ann)
    other = contain(house, "quarantine-principal", house.ann)
    request = house.ask("containment.release", [one.artifact], house.ann)
    house.approve(request, house.bob)
    house.approve(request, house.cy)
    assert not let_go(house, other, house.ann, request)
    assert let_go(house, one, house.ann, request)


def test_a_release_gives_a_reason() -> None:
    house = House()
    held = contain(house, "throttle")
    with pytest.raises(BadInput, match="says why"):
        containment.release(held, None, house.ann.account, " ", house.now)
    said = containment.release(held, None, house.ann.account, "x", house.now)
    house.say("urn:sealwright:predicate:release/v1", [held.artifact], **{
        **said.predicate, "reason": " "
    })  # fmt: skip
    assert held in holds(house).active(house.now)


def test_a_release_before_its_containment_releases_nothing() -> None:
    house = House()
    held = contain(house, "throttle")
    body = house.entries.pop()
    house.add(containment.release(held, None, house.ann.account, "early", house.now))
    house.add(body.statement)
    assert [one.id for one in holds(house).active(house.now)] == [held.id]


@pytest.mark.parametrize(
    "change",
    [
        {"until": "2030-01-01T00:00:00Z"},
        {"until": "not a time"},
        {"step": "delete-everything"},
        {"target": "principal:bob"},
        {"account": {"name": "x"}},
    ],
)
def test_a_containment_that_cannot_be_read_holds_everybody(change: dict[str, Any]) -> None:
    house = House()
    data = house.data()
    good = containment.statement_of(
        "throttle", containment.principal("ann"), house.ann.account,
        actor="cy", reason="x", span=HOUR, now=NOW,
    )  # fmt: skip
    house.say(CONTAINMENT, list(good.subjects), **{**good.predicate, **change})
    assert holds(house).unreadable
    decision = house.decide("train", [data], principal=house.bob.principal).decision
    assert "containment.principal-quarantined" in decision.failed


def test_an_edited_containment_does_not_verify() -> None:
    house = House()
    good = containment.statement_of(
        "quarantine-principal", containment.principal("ann"), house.ann.account,
        actor="cy", reason="x", span=HOUR, now=NOW,
    )  # fmt: skip
    envelope = dsse.sign(statement.encode(good), [house.workspace])
    keys = house.trust.public("workspace", 0)
    assert statement.decode(dsse.verify(envelope, keys).payload) == good
    payload = base64.b64encode(statement.encode(good))
    edited = base64.b64encode(statement.encode(good).replace(b"principal:ann", b"principal:bob"))
    assert payload in envelope
    with pytest.raises(VerifyError):
        dsse.verify(envelope.replace(payload, edited), keys)


def test_people_met_in_one_decision_are_not_met_in_the_next() -> None:
    """The log is read once for many decisions; what one request claims must not stay."""
    house = House("team")
    model = house.register(house.train(house.data()))
    request = house.ask("promote", [model], house.ann)
    house.approve(request, house.cy)
    history, trust = house.history, house.trust

    def approvers(principal: Principal, host: str) -> object:
        context = house.context(trust=trust)
        context = msgspec.structs.replace(context, principal=principal, host=host)
        judged = gates.decide("promote", [model], history, context, house.policy)
        return judged.drawn.facts.values["approvers"]

    mine = approvers(house.ann.principal, "host-a")
    assert mine == ("cy",)
    cy = house.cy.account
    both = Principal("ann", house.ann.principal.key_id, uid=cy.uid)
    assert approvers(both, cy.host) == ()  # ann at cy's account: one person
    assert approvers(house.ann.principal, "host-a") == mine
