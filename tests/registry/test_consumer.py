"""A reader's own policy over somebody else's bundle: its facts, its clock, its verdict."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from registry_house import START, House

from sealwright.core.errors import GateDenied, VerifyError
from sealwright.core.records import Artifact
from sealwright.evidence import note as notes
from sealwright.policy import facts, policyset
from sealwright.registry import check, consumer, witnessed
from sealwright.registry.export import export

NOW = START + timedelta(hours=2)
ANYTHING = "permit (principal, action, resource);"


def exported(house: House, *, witness: bool = True) -> check.VerifiedBundle:
    model = house.model(house.files(), house.dataset("train"))
    if witness:
        house.cosign()
    decision = house.decide("export", Artifact(model.ref, model.digest))
    path = house.root / "bundle"
    export(house.models(), model, path, decision, house.exporter(witness=witness), {})
    return check.verify_bundle(path, house.trust.fingerprint, max_age_s=None, now=NOW)


def own(text: str, profile: str = "solo") -> policyset.PolicySet:
    permit = '@id("ok")\n@reason("fine")\n' + ANYTHING
    return policyset.of_texts({"own.cedar": permit + text}, facts.schema(), profile)


def forbid(name: str, when: str) -> str:
    return (
        f'\n@id("{name}")\n@reason("{name}")\n'
        f'forbid (principal, action == Action::"export", resource) when {{ {when} }};'
    )


def test_what_the_producer_allowed_is_denied_by_a_stricter_reader(house: House) -> None:
    with pytest.raises(GateDenied) as caught:
        consumer.require(exported(house), policyset.shipped("regulated"), NOW)
    refused = caught.value
    for rule in ("evidence.looser", "approval.two-others", "witness.not-remote"):
        assert rule in refused.rule
    assert "policy.not-active" not in refused.rule
    assert "policy.profile-changed" not in refused.rule
    assert refused.decision
    assert any(item.startswith("facts ") for item in refused.evidence)


def test_a_reader_of_the_same_mind_accepts_it_under_their_own_set(house: House) -> None:
    found = exported(house)
    made = consumer.require(found, policyset.shipped("solo"), NOW)
    assert made.decision.allowed
    assert made.drawn.facts.values["policy_active"] is True
    assert made.log_size == found.history.size


def test_another_set_than_the_producers_is_in_force_because_the_reader_says_so(
    house: House,
) -> None:
    assert consumer.require(exported(house), own(""), NOW).decision.allowed


@pytest.mark.parametrize(("hours", "allowed"), [(2, True), (48, False)])
def test_the_age_of_the_witness_is_by_the_readers_clock(
    house: House, hours: int, allowed: bool
) -> None:
    policy = own(forbid("old", "context.witness_age_s > 86400"))
    moment: datetime = START + timedelta(hours=hours)
    made = consumer.considered(exported(house), policy, moment)
    assert made.decision.allowed is allowed


def test_the_witness_is_the_one_whose_word_is_in_the_bundle(house: House) -> None:
    policy = own(forbid("near", "context.witness < 2"))
    assert consumer.considered(exported(house), policy, NOW).decision.allowed


def test_a_bundle_that_no_witness_saw_has_no_witness_whatever_its_gate_was_told(
    house: House,
) -> None:
    policy = own(forbid("none", "context.witness < 1"))
    made = consumer.considered(exported(house, witness=False), policy, NOW)
    assert made.decision.failed == ("none",)


def test_an_empty_policy_set_accepts_nothing(house: House) -> None:
    empty = policyset.of_texts({}, facts.schema(), "solo")
    with pytest.raises(GateDenied) as caught:
        consumer.require(exported(house), empty, NOW)
    assert "policy.empty" in caught.value.rule


def test_the_same_bundle_policy_and_time_give_the_same_decision(house: House) -> None:
    found, policy = exported(house), own("")
    first, again = (consumer.considered(found, policy, NOW) for _ in range(2))
    assert first.decision.id == again.decision.id
    other = consumer.considered(found, policy, NOW + timedelta(hours=1))
    assert other.decision.id != first.decision.id


def test_a_directory_names_its_profile_by_the_file_it_holds(tmp_path: Path) -> None:
    policyset.write(tmp_path, "team")
    assert policyset.load_any(tmp_path).profile == "team"
    (tmp_path / "team.cedar").rename(tmp_path / "own.cedar")
    assert policyset.load_any(tmp_path).profile == "regulated"


def test_a_cosignature_of_a_time_beyond_all_years_is_refused(house: House) -> None:
    text, lines = notes.split_note(house.log.checkpoint())
    line = notes.cosignature_line(text, "witness.example/one", house.witness_key, 1 << 62)
    with pytest.raises(VerifyError, match="no year"):
        witnessed.check(text + b"\n" + lines[0] + b"\n" + line, house.trust, "checkpoint")
