"""An auditor judges again, with the ledger and a trust root and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from policy_house import House, artifact

from sealwright.core.errors import BadInput, GateDenied, Unavailable, VerifyError
from sealwright.core.predicates import APPROVAL, DECISION, REQUEST
from sealwright.evidence.recorder import MAX_ENTRY_BYTES, seal
from sealwright.policy import approvals, gates, policyset
from sealwright.policy.context import RoomFacts, Witnessed
from sealwright.policy.gatekeeper import Desk, require
from sealwright.policy.replay import find, replay


def busy_house(profile: str) -> House:
    house = House(profile)
    data = house.data()
    model = house.register(house.train(data))
    house.add(gates.statement_of(house.decide("export", [model], witnessed=Witnessed())))
    request = house.ask("export", [model], house.ann)
    house.approve(request, house.bob)
    house.approve(request, house.cy)
    house.add(gates.statement_of(house.decide("export", [model], reason="release")))
    house.revoke(data)
    house.add(gates.statement_of(house.decide("promote", [model], params={"alias": "prod"})))
    house.add(gates.statement_of(house.decide("train", [])))
    return house


@pytest.mark.parametrize("profile", ["solo", "team", "regulated"])
def test_every_decision_follows_from_the_ledger_alone(profile: str) -> None:
    house = busy_house(profile)
    decisions = house.history.of_type(DECISION)
    outcomes = set()
    for entry in decisions:
        again = replay(entry, house.history, house.trust).decision
        assert again.id == entry.statement.predicate["id"]
        outcomes.add(again.allowed)
    assert outcomes == {True, False}
    assert len(decisions) == 6


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("allowed", True),
        ("failed", []),
        ("reasons", ["gate.open: no rule forbids it"]),
        ("warnings", ["x"]),
        ("id", "0" * 64),
        ("facts_digest", "0" * 64),
        ("schema", "0" * 64),
        ("policy", "0" * 64),
        ("gate", "train"),
    ],
)
def test_a_decision_that_says_otherwise_is_caught(field: str, value: Any) -> None:
    house = busy_house("team")
    entry = house.history.of_type(DECISION)[2]
    assert entry.statement.predicate["allowed"] is False
    lied = msgspec.structs.replace(
        entry.statement, predicate={**entry.statement.predicate, field: value}
    )
    entry = msgspec.structs.replace(entry, statement=lied)
    with pytest.raises((VerifyError, Unavailable)):
        replay(entry, house.history, house.trust)


def test_facts_that_the_ledger_does_not_bear_out_are_named() -> None:
    house = busy_house("team")
    entry = house.history.of_type(DECISION)[2]
    told = dict(entry.statement.predicate["facts"])  # type: ignore[arg-type]
    predicate = {**entry.statement.predicate, "facts": {**told, "approvals": 2}}
    lied = msgspec.structs.replace(entry.statement, predicate=predicate)
    with pytest.raises(VerifyError, match="does not follow") as caught:
        replay(msgspec.structs.replace(entry, statement=lied), house.history, house.trust)
    assert "approvals" in caught.value.why


def test_what_others_append_meanwhile_does_not_matter_unless_it_decides() -> None:
    house = House("team")
    data = house.data()
    judged = house.decide("train", [data])
    house.data("data:other@1")
    entry = house.entries[house.add(gates.statement_of(judged))]
    assert replay(entry, house.history, house.trust).decision == judged.decision
    house.revoke(data)
    late = house.entries[house.add(gates.statement_of(judged))]
    with pytest.raises(VerifyError) as caught:
        replay(late, house.history, house.trust)
    assert caught.value.rule == "decision.stale"


@pytest.mark.parametrize("size", [-1, 10_000, None, True, "3"])
def test_a_decision_that_does_not_say_what_it_saw_is_malformed(size: Any) -> None:
    house = busy_house("solo")
    entry = house.history.of_type(DECISION)[0]
    predicate = {**entry.statement.predicate, "log_size": size}
    lied = msgspec.structs.replace(entry.statement, predicate=predicate)
    with pytest.raises(VerifyError) as caught:
        replay(msgspec.structs.replace(entry, statement=lied), house.history, house.trust)
    assert caught.value.rule == "decision.malformed"


def test_without_the_approvers_keys_an_allowed_export_does_not_replay() -> None:
    house = busy_house("team")
    entry = next(
        e
        for e in house.history.of_type(DECISION)
        if e.statement.predicate["gate"] == "export" and e.statement.predicate["allowed"]
    )
    with pytest.raises(VerifyError, match="does not follow"):
        replay(entry, house.history, None)


def test_a_decision_under_a_policy_that_was_never_active_is_a_denial_nobody_can_judge() -> None:
    house = House()
    text = '@id("o") @reason("r") permit (principal, action, resource);'
    house.policy = policyset.of_texts({"a.cedar": text}, house.policy.schema, "solo")
    house.add(gates.statement_of(house.decide("train", [])))
    with pytest.raises(Unavailable, match="never activated"):
        replay(house.entries[-1], house.history, house.trust)


def test_a_decision_is_found_by_index_id_or_latest() -> None:
    house = busy_house("solo")
    last = house.history.of_type(DECISION)[-1]
    assert find(house.history, "latest") == last
    assert find(house.history, str(last.index)) == last
    assert find(house.history, str(last.statement.predicate["id"])[:10]) == last
    with pytest.raises(BadInput):
        find(house.history, "99999")


def test_decisions_activations_and_approvals_fit_a_log_entry() -> None:
    house = busy_house("regulated")
    for entry in house.entries:
        assert len(seal(entry.statement, house.workspace)) < MAX_ENTRY_BYTES / 2


class _Recorder:
    def __init__(self, house: House) -> None:
        self.house = house

    def record(self, statement: Any) -> Any:
        return self.house.add(statement)


def desk(house: House, signer: Any = None) -> Desk:
    return Desk(lambda: house.history, _Recorder(house), house.policy, signer)  # type: ignore[arg-type]


def test_a_denial_is_recorded_before_it_is_raised() -> None:
    house = House()
    with pytest.raises(GateDenied) as denied:
        require("train", [artifact("data:new@1")], house.context(), desk(house))
    recorded = house.history.of_type(DECISION)
    assert [e.statement.predicate["id"] for e in recorded] == [denied.value.decision]
    assert house.since(REQUEST) == []


def test_where_only_approval_is_wanting_it_is_asked_for_once_and_then_passes() -> None:
    house = House("team")
    model = house.register(house.train(house.data()))
    for _ in range(2):
        with pytest.raises(GateDenied) as denied:
            require("export", [model], house.context(reason="r"), desk(house, house.ann.signer))
    (entry,) = house.since(REQUEST)
    request = approvals.request_of(entry.statement.predicate, entry.index)
    assert f"seal access approve {request.digest[:16]}" in denied.value.hint
    house.agree(request)
    assert require("export", [model], house.context(reason="r"), desk(house)).decision.allowed


def test_evidence_of_a_looser_profile_asks_to_be_readmitted() -> None:
    house = House("solo")
    data = house.data()
    house.profile = "team"
    team = policyset.shipped("team")
    house.agree(house.ask("policy.activate", [team.artifact], house.ann))
    house.activate(team)
    house.supply("r1")
    with pytest.raises(GateDenied) as denied:
        require("train", [data], house.context(run="r1"), desk(house))
    request = list(house.book.requests.values())[-1]
    assert request.action == "readmit"
    assert request.digest[:16] in denied.value.hint
    house.approve(request, house.bob)
    assert require("train", [data], house.context(run="r1"), desk(house)).decision.allowed


def test_solo_takes_an_unisolated_run_on_itself_with_a_reason_and_a_signature() -> None:
    house = House("solo")
    data = house.data()
    model = house.train(data, isolation="none", room={})
    silent = house.context(run="r1", room=RoomFacts())
    with pytest.raises(GateDenied):
        require("register", [model], silent, desk(house, house.ann.signer))
    assert house.since(APPROVAL) == []
    told = house.context(run="r1", reason="no user namespaces on this machine")
    judged = require("register", [model], told, desk(house, house.ann.signer))
    assert judged.decision.allowed
    (approval,) = house.since(APPROVAL)
    assert approval.statement.predicate["self_approved"] is True
    assert approval.statement.predicate["established"] == "self-asserted"


def test_team_never_approves_itself() -> None:
    house = House("team")
    model = house.register(house.train(house.data()))
    with pytest.raises(GateDenied):
        require("export", [model], house.context(reason="r"), desk(house, house.ann.signer))
    assert house.since(APPROVAL) == []
