"""Who counts as another person, and every way an approval was tried to be forged."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_house import House, Person

from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.predicates import REQUEST
from sealwright.core.records import Artifact, Statement
from sealwright.policy import approvals
from sealwright.policy.principals import Account, People
from sealwright.vault.signers import Ed25519Signer


def house_with_model(profile: str = "team") -> tuple[House, Artifact]:
    house = House(profile)
    return house, house.register(house.train(house.data()))


def counted(house: House, model: Artifact, **more: Any) -> int:
    value = house.decide("export", [model], **more).drawn.facts.values["approvals"]
    assert isinstance(value, int)
    return value


def test_an_approval_by_another_person_counts() -> None:
    house, model = house_with_model()
    house.approve(house.ask("export", [model], house.ann), house.bob)
    assert counted(house, model) == 1


def test_one_uid_holding_two_keys_is_not_two_people() -> None:
    house, model = house_with_model()
    twin = Person("ann-too", uid=1)
    bobs_twin = Person("bob-too", uid=2)
    house.people += [twin, bobs_twin]
    request = house.ask("export", [model], house.ann)
    house.approve(request, twin)
    assert counted(house, model) == 0
    house.approve(request, house.bob)
    house.approve(request, bobs_twin)
    assert counted(house, model) == 1


def test_one_key_under_two_accounts_is_not_two_people() -> None:
    house, _ = house_with_model()
    other = Person("bob-at-home", uid=77, host="host-b")
    other.signer = house.bob.signer
    other.account = msgspec.structs.replace(other.account, key_id=house.bob.signer.key_id)
    people = People([house.bob.account, other.account])
    assert people.person(house.bob.account) == people.person(other.account)


def test_identities_joined_through_a_third_are_one_person() -> None:
    a, b, c = Account("a", "k1", 1, "h"), Account("b", "k2", 1, "h"), Account("c", "k2", 5, "g")
    people = People([a, b, c])
    assert people.person(a) == people.person(c)
    assert people.person(a) != people.person(Account("d", "k9", 6, "g"))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.builds(
            Account,
            st.sampled_from("abcd"),
            st.sampled_from(["k1", "k2", "k3"]),
            st.integers(0, 3),
            st.sampled_from(["g", "h"]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_the_count_of_people_depends_on_no_order_and_only_falls_with_what_is_learnt(
    accounts: list[Account], random: Any
) -> None:
    def count(known: list[Account]) -> int:
        people = People(known)
        return len({people.person(account) for account in accounts})

    shuffled = list(accounts)
    random.shuffle(shuffled)
    assert count(accounts) == count(shuffled)
    assert count([*accounts, Account("a", "k3", 3, "h")]) <= count(accounts)


def test_the_requester_does_not_count_in_team() -> None:
    house, model = house_with_model()
    house.approve(house.ask("export", [model], house.ann), house.ann)
    judged = house.decide("export", [model])
    assert judged.drawn.facts.values["approvals"] == 0
    assert judged.drawn.facts.values["self_approved"]
    assert "approval.two-others" in judged.decision.failed


def test_who_runs_the_command_does_not_count_though_another_asked() -> None:
    house, model = house_with_model()
    house.approve(house.ask("export", [model], house.ann), house.bob)
    assert counted(house, model, principal=house.bob.principal) == 0
    assert counted(house, model, principal=house.ann.principal) == 1


def test_the_trainer_does_not_count() -> None:
    house = House("team")
    model = house.register(house.train(house.data(), by=house.bob))
    request = house.ask("export", [model], house.ann)
    house.approve(request, house.bob)
    assert counted(house, model) == 0
    house.approve(request, house.cy)
    assert counted(house, model) == 1


def test_an_approval_does_not_carry_over_to_another_request() -> None:
    house, model = house_with_model()
    house.approve(house.ask("promote", [model], house.ann, alias="prod"), house.bob)
    assert counted(house, model) == 0
    judged = house.decide("promote", [model], params={"alias": "staging"})
    assert judged.drawn.facts.values["approvals"] == 0
    judged = house.decide("promote", [model], params={"alias": "prod"})
    assert judged.drawn.facts.values["approvals"] == 1


def test_an_approval_replayed_under_another_request_raises() -> None:
    house, model = house_with_model()
    harmless = house.ask("promote", [model], house.ann, alias="staging")
    wanted = house.ask("export", [model], house.ann)
    honest = house.entries[house.approve(harmless, house.bob)].statement
    subject = Artifact(f"request:{wanted.digest}", wanted.digest, approvals.MEDIA_TYPE)
    moved = {**honest.predicate, "request": wanted.digest}
    for predicate in (honest.predicate, moved):
        forged = Statement((subject,), honest.predicate_type, predicate)
        entry = house.entries[house.add(forged)]
        with pytest.raises(VerifyError) as refused:
            approvals.verify(entry, house.book.requests, house.trust)
        assert refused.value.rule in ("approval.replayed", "approval.edited")
    assert counted(house, model) == 0


@pytest.mark.parametrize(
    "field", ["request", "approver", "key_id", "uid", "host", "established", "reason", "time"]
)
def test_an_edited_approval_raises_and_does_not_count(field: str) -> None:
    house, model = house_with_model()
    request = house.ask("export", [model], house.ann)
    honest = approvals.approve(request, house.bob.signer, house.bob.account, "ok", house.now)
    value = honest.predicate[field]
    edited = 99 if isinstance(value, int) else "0" * 64
    entry = house.entries[
        house.add(msgspec.structs.replace(honest, predicate={**honest.predicate, field: edited}))
    ]
    with pytest.raises(VerifyError) as refused:
        approvals.verify(entry, house.book.requests, house.trust)
    assert refused.value.rule == "approval.edited"
    drawn = house.decide("export", [model]).drawn
    assert drawn.facts.values["approvals"] == 0
    assert drawn.facts.values["approvals_ignored"] == 1
    assert drawn.notes


@pytest.mark.parametrize("part", ["signed", "signature"])
def test_a_flipped_bit_in_what_was_signed_raises(part: str) -> None:
    house, model = house_with_model()
    request = house.ask("export", [model], house.ann)
    honest = approvals.approve(request, house.bob.signer, house.bob.account, "ok", house.now)
    raw = bytearray(base64.b64decode(str(honest.predicate[part])))
    for place in range(0, len(raw), 37):
        flipped = bytearray(raw)
        flipped[place] ^= 1
        predicate = {**honest.predicate, part: base64.b64encode(bytes(flipped)).decode()}
        entry = house.entries[house.add(msgspec.structs.replace(honest, predicate=predicate))]
        with pytest.raises(VerifyError):
            approvals.verify(entry, house.book.requests, house.trust)
    assert counted(house, model) == 0


def test_a_key_the_trust_root_does_not_list_under_that_name_does_not_count() -> None:
    house, model = house_with_model()
    request = house.ask("export", [model], house.ann)
    stranger = Person("mallory", uid=66)
    house.approve(request, stranger)
    assert counted(house, model) == 0
    impostor = Ed25519Signer.generate()
    account = msgspec.structs.replace(house.bob.account, key_id=impostor.key_id)
    house.add(approvals.approve(request, impostor, account, "it is me, bob", house.now))
    assert counted(house, model) == 0
    assert "no such key" in " ".join(house.decide("export", [model]).drawn.notes)


def test_without_a_trust_root_nobody_has_approved() -> None:
    house, model = house_with_model()
    house.approve(house.ask("export", [model], house.ann), house.bob)
    assert counted(house, model, trust=None) == 0


def test_an_approval_expires() -> None:
    house, model = house_with_model()
    house.approve(house.ask("export", [model], house.ann), house.bob)
    late = house.now + approvals.VALID_FOR + timedelta(minutes=1)
    assert counted(house, model, now=late) == 0
    assert "expired" in " ".join(house.decide("export", [model], now=late).drawn.notes)


def test_an_approval_from_the_future_does_not_count() -> None:
    house, model = house_with_model()
    request = house.ask("export", [model], house.ann)
    ahead = house.now + timedelta(hours=1)
    house.add(approvals.approve(request, house.bob.signer, house.bob.account, "ok", ahead))
    assert counted(house, model) == 0


def test_an_approval_from_an_unknown_account_does_not_count() -> None:
    house, model = house_with_model()
    nowhere = Person("dora", uid=-1, host="")
    house.people.append(nowhere)
    house.approve(house.ask("export", [model], house.ann), nowhere)
    assert counted(house, model) == 0


def test_an_approval_says_why_and_is_signed_by_its_approver() -> None:
    house, model = house_with_model()
    request = house.ask("export", [model], house.ann)
    with pytest.raises(BadInput, match="why"):
        approvals.approve(request, house.bob.signer, house.bob.account, "  ", house.now)
    with pytest.raises(BadInput, match="not bob's"):
        approvals.approve(request, house.cy.signer, house.bob.account, "ok", house.now)


def test_an_approval_older_than_its_request_in_the_log_raises() -> None:
    house, model = house_with_model()
    asked = approvals.ask("export", [model], {}, house.ann.account, "later", house.now)
    shadow = House("team")
    shadow.now = house.now
    request = shadow.entries[shadow.add(asked)]
    early = approvals.approve(
        approvals._request(request), house.bob.signer, house.bob.account, "ok", house.now
    )
    entry = house.entries[house.add(early)]
    house.add(asked)
    with pytest.raises(VerifyError, match="does not hold"):
        approvals.verify(entry, house.book.requests, house.trust)
    assert counted(house, model) == 0


def test_a_request_that_names_other_subjects_than_it_stands_on_is_no_request() -> None:
    house, model = house_with_model()
    asked = approvals.ask("export", [model], {}, house.ann.account, "r", house.now)
    other = house.data("data:other@1")
    before = house.book.requests
    house.add(Statement((other,), REQUEST, asked.predicate))
    assert house.book.requests == before


def test_a_request_is_found_by_the_beginning_of_its_digest() -> None:
    house, model = house_with_model()
    request = house.ask("export", [model], house.ann)
    assert approvals.find(house.history, request.digest[:12]) == request
    for text in ("", request.digest[:7], "f" * 12):
        with pytest.raises(BadInput):
            approvals.find(house.history, text)


def test_nobody_asks_for_what_no_gate_knows() -> None:
    house, model = house_with_model()
    with pytest.raises(BadInput):
        approvals.ask("deploy", [model], {}, house.ann.account, "r", house.now)
    with pytest.raises(BadInput):
        approvals.ask("export", [], {}, house.ann.account, "r", house.now)
