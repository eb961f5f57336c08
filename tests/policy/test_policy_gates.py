"""What each profile blocks, warns of and lets through; what no profile waives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_house import SOUND_ROOM, House, artifact

from sealwright.core.errors import BadInput, GateDenied
from sealwright.policy import facts, gates, policyset
from sealwright.policy.context import RoomFacts, Witnessed
from sealwright.policy.whatif import counterfactuals, would_pass

PROFILES = facts.PROFILES
NO_ROOM = RoomFacts(isolation="none", plaintext_on_disk=False)


def ready(profile: str) -> tuple[House, object]:
    house = House(profile)
    return house, house.register(house.train(house.data()))


@pytest.mark.parametrize("profile", PROFILES)
def test_sound_work_trains_and_registers_in_every_profile(profile: str) -> None:
    house = House(profile)
    data = house.data()
    assert house.decide("train", [data]).decision.allowed
    assert house.decide("register", [house.train(data)], run="r1").decision.allowed


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("gate", facts.GATES)
def test_revoked_data_blocks_in_every_profile(profile: str, gate: str) -> None:
    house = House(profile)
    data = house.data()
    model = house.register(house.train(data))
    house.revoke(data)
    judged = house.decide(gate, [data if gate == "train" else model])
    assert "data.revoked" in judged.decision.failed


@pytest.mark.parametrize("profile", PROFILES)
def test_unsigned_data_blocks_in_every_profile(profile: str) -> None:
    house = House(profile)
    failed = house.decide("train", [artifact("data:new@1")]).decision.failed
    assert set(failed) - {"data.unscreened"} == {"data.unsigned"}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_missing_room_primitive_blocks_in_every_profile(profile: str) -> None:
    house = House(profile)
    room = RoomFacts(
        isolation="standard",
        rung=3,
        network_none=True,
        plaintext_on_disk=False,
        missing=("bubblewrap",),
    )
    judged = house.decide("train", [house.data()], room=room)
    assert "room.incomplete" in judged.decision.failed
    assert "seal doctor" in judged.decision.mends


@pytest.mark.parametrize("profile", PROFILES)
def test_a_room_with_a_network_blocks_in_every_profile(profile: str) -> None:
    house = House(profile)
    room = RoomFacts(isolation="standard", rung=3, plaintext_on_disk=False, missing=())
    judged = house.decide("train", [house.data()], room=room)
    assert "room.network" in judged.decision.failed


def test_solo_warns_of_a_run_without_a_room_and_registers_it_only_with_a_reason() -> None:
    house = House("solo")
    data = house.data()
    train = house.decide("train", [data], room=NO_ROOM)
    assert train.decision.allowed
    assert any(w.startswith("room.unisolated-run") for w in train.decision.warnings)
    model = house.train(data, isolation="none", room={})
    assert house.decide("register", [model], run="r1", reason="x").decision.failed == (
        "room.unisolated",
    )
    house.approve(house.ask("register", [model], house.ann), house.ann)
    judged = house.decide("register", [model], run="r1", reason="no bubblewrap here")
    assert judged.decision.allowed
    assert judged.drawn.facts.values["self_approved"]
    assert judged.drawn.facts.values["approvals"] == 0


@pytest.mark.parametrize("profile", ["team", "regulated"])
def test_stricter_profiles_refuse_a_run_without_a_room_whoever_approves(profile: str) -> None:
    house = House(profile)
    data = house.data()
    assert "room.unisolated" in house.decide("train", [data], room=NO_ROOM).decision.failed
    model = house.train(data, isolation="none", room={})
    request = house.ask("register", [model], house.ann)
    house.approve(request, house.bob)
    house.approve(request, house.cy)
    judged = house.decide("register", [model], run="r1", reason="x")
    assert "room.unisolated" in judged.decision.failed


def test_what_team_blocks_solo_warns_of() -> None:
    unseen = Witnessed()
    solo, model = ready("solo")
    judged = solo.decide("export", [model], witnessed=unseen, key_custody="key-file")
    assert judged.decision.allowed
    warned = {warning.split(":")[0] for warning in judged.decision.warnings}
    assert warned == {"approval.second-person", "witness.none", "keys.in-a-file"}
    team, model = ready("team")
    judged = team.decide("export", [model], witnessed=unseen)
    assert {"approval.two-others", "witness.none"} <= set(judged.decision.failed)


def test_regulated_wants_a_remote_witness_two_others_a_reason_and_no_key_file() -> None:
    house, model = ready("regulated")
    near = Witnessed(separation="same-host", size=99, time=house.context().witnessed.time)
    judged = house.decide("export", [model], witnessed=near, key_custody="key-file")
    assert set(judged.decision.failed) == {
        "approval.two-others",
        "keys.in-a-file",
        "request.no-reason",
        "witness.not-remote",
    }
    request = house.ask("export", [model], house.ann)
    house.approve(request, house.bob)
    assert house.decide("export", [model], reason="r").decision.failed == ("approval.two-others",)
    house.approve(request, house.cy)
    assert house.decide("export", [model], reason="release 3").decision.allowed


def test_regulated_wants_a_strong_room_and_refuses_loose_ends() -> None:
    house = House("regulated")
    data = house.data(external=True)
    weak = RoomFacts(isolation="standard", rung=1, network_none=True, missing=())
    assert set(house.decide("train", [data], room=weak).decision.failed) == {
        "data.external",
        "data.plaintext-on-disk",
        "room.rung",
    }


def test_a_dirty_tree_is_a_warning_alone_and_a_refusal_among_colleagues() -> None:
    for profile, refused in (("solo", False), ("team", True)):
        house = House(profile)
        model = house.register(house.train(house.data(), dirty=True))
        house.approve(house.ask("promote", [model], house.ann), house.bob)
        judged = house.decide("promote", [model])
        assert ("code.dirty" in judged.decision.failed) == refused
        assert any("code.dirty" in w for w in judged.decision.warnings) != refused


def test_nothing_is_promoted_that_was_not_registered() -> None:
    house = House()
    model = house.train(house.data())
    judged = house.decide("promote", [model])
    assert judged.decision.failed == ("evidence.missing",)
    assert judged.drawn.facts.values["missing"] == ("decision:register", "model-version")


def test_evidence_of_a_looser_profile_is_refused_until_somebody_else_readmits_it() -> None:
    house = House("solo")
    data = house.data()
    house.profile = "team"
    team = policyset.shipped("team")
    house.agree(house.ask("policy.activate", [team.artifact], house.ann))
    house.activate(team)
    judged = house.decide("train", [data])
    assert judged.decision.failed == ("evidence.looser",)
    assert [a.name for a in judged.drawn.looser] == ["data:train@1"]
    request = house.ask("readmit", [data], house.ann)
    house.approve(request, house.ann)
    assert not house.decide("train", [data]).decision.allowed
    house.approve(request, house.bob)
    assert house.decide("train", [data]).decision.allowed


def test_a_readmission_from_before_the_profile_was_strict_does_not_count() -> None:
    house = House("solo")
    data = house.data()
    house.approve(house.ask("readmit", [data], house.ann), house.bob)
    house.profile = "team"
    team = policyset.shipped("team")
    house.agree(house.ask("policy.activate", [team.artifact], house.ann))
    house.activate(team)
    assert house.decide("train", [data]).decision.failed == ("evidence.looser",)


def test_a_denial_names_every_rule_its_reason_and_the_command_that_mends_it() -> None:
    house = House("team")
    data = house.data()
    model = house.register(house.train(data))
    house.revoke(data)
    with pytest.raises(GateDenied) as denied:
        gates.enforce(house.decide("export", [model]))
    error = denied.value
    for rule in ("data.revoked", "lineage.revoked", "approval.two-others"):
        assert rule in error.rule
        assert f"{rule}: " in error.why
    assert f"seal lineage {model.name}" in error.hint
    assert len(error.decision) == 64
    assert error.exit_code == 1


def test_a_gate_nobody_knows_is_refused() -> None:
    with pytest.raises(BadInput, match="deploy"):
        House().decide("deploy", [artifact("model:x")])


def test_edited_policies_deny_with_the_activation_as_the_mend(tmp_path: Path) -> None:
    house = House()
    policyset.write(tmp_path / "policies", "solo")
    always = tmp_path / "policies" / "always.cedar"
    assert policyset.load(tmp_path / "policies", "solo").digest == house.policy.digest
    always.write_text(
        '@id("gate.open") @reason("all is well") permit (principal, action, resource);\n'
    )
    house.policy = policyset.load(tmp_path / "policies", "solo")
    judged = house.decide("train", [house.data()])
    assert judged.decision.failed == ("policy.not-active",)
    assert judged.decision.mends == ("seal policy activate --reason '...'",)


def test_a_profile_changed_in_the_settings_alone_denies() -> None:
    house = House("team")
    assert "policy.profile-changed" in house.decide("train", [], profile="solo").decision.failed


def test_a_rule_that_borrows_a_built_in_id_still_denies() -> None:
    text = (
        '@id("policy.error") @reason("mine") '
        'forbid (principal, action == Action::"train", resource);'
    )
    judged = House(house_cedar=text).decide("train", [])
    assert not judged.decision.allowed
    assert judged.decision.reasons


def test_the_schema_must_be_the_one_of_this_version(tmp_path: Path) -> None:
    policyset.write(tmp_path, "solo")
    schema = tmp_path / policyset.SCHEMA_FILE
    schema.write_text(schema.read_text().replace("inputs: Long", "inputs: String"))
    with pytest.raises(BadInput, match="schema"):
        policyset.load(tmp_path, "solo")
    policyset.write(tmp_path, "solo", only=policyset.SCHEMA_FILE)
    policyset.load(tmp_path, "solo")


def test_changing_the_profile_swaps_untouched_files_and_keeps_edited_ones(tmp_path: Path) -> None:
    policyset.write(tmp_path, "solo")
    with pytest.raises(BadInput, match=r"solo\.cedar belongs to another profile"):
        policyset.load(tmp_path, "team")
    policyset.write(tmp_path, "team")
    assert policyset.load(tmp_path, "team").digest == policyset.shipped("team").digest
    edited = tmp_path / "team.cedar"
    edited.write_text(edited.read_text() + "// ours\n")
    with pytest.raises(BadInput, match="edited"):
        policyset.write(tmp_path, "solo")
    assert edited.exists()


def test_any_changed_byte_of_a_policy_changes_the_sets_digest() -> None:
    shipped = policyset.shipped("solo")
    texts = dict(shipped.files)
    base = policyset.of_texts(texts, shipped.schema, "solo")
    seen = {base.digest}
    for name, text in texts.items():
        seen.add(policyset.of_texts({**texts, name: text + "\n"}, shipped.schema, "solo").digest)
    renamed = {name.replace("always", "a-always"): text for name, text in texts.items()}
    seen.add(policyset.of_texts(renamed, shipped.schema, "solo").digest)
    seen.add(policyset.of_texts(texts, shipped.schema, "team").digest)
    assert len(seen) == 3 + len(texts)


_WORSE: dict[str, facts.Value] = {
    row.name: row.unknown
    for row in facts.ROWS
    if row.name
    not in {"subjects", "profile", "inputs", "inputs_signed", "approvals_ignored", "approvers"}
}


@pytest.fixture(scope="module")
def sound() -> dict[str, gates.Judgement]:
    """One allowed judgement for each profile and gate."""
    out = {}
    for profile in PROFILES:
        house, model = ready(profile)
        request = house.ask("export", [model], house.ann)
        house.approve(request, house.bob)
        house.approve(request, house.cy)
        promote = house.ask("promote", [model], house.ann)
        house.approve(promote, house.bob)
        house.rob(model)
        for gate in facts.GATES:
            subject = artifact("data:train@1") if gate == "train" else model
            judged = house.decide(gate, [subject], reason="r")
            assert judged.decision.allowed, (profile, gate, judged.decision)
            out[f"{profile}/{gate}"] = judged
    return out


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([f"{p}/{g}" for p in PROFILES for g in facts.GATES]),
    st.lists(st.sampled_from(sorted(_WORSE)), max_size=5, unique=True),
    st.sampled_from(sorted(_WORSE)),
)
def test_one_more_failing_fact_never_turns_a_denial_into_an_allowance(
    sound: dict[str, gates.Judgement], where: str, failing: list[str], more: str
) -> None:
    judged = sound[where]
    before = would_pass(judged, {name: _WORSE[name] for name in failing})
    after = would_pass(judged, {name: _WORSE[name] for name in [*failing, more]})
    assert before or not after


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([f"{p}/{g}" for p in PROFILES for g in facts.GATES]),
    st.sampled_from([row.name for row in facts.ROWS if row.kind == "Bool"]),
)
def test_an_added_forbid_only_ever_takes_away(
    sound: dict[str, gates.Judgement], where: str, fact: str
) -> None:
    judged = sound[where]
    text = (
        f'@id("ours") @reason("r") forbid (principal, action, resource) when {{ context.{fact} }};'
    )
    texts = {**dict(judged.active.files), "ours.cedar": text}
    stricter = policyset.of_texts(texts, judged.active.schema, judged.active.profile)
    verdict = stricter.engine.judge(judged.decision.gate, "ann", "x", judged.drawn.facts.jsonable())
    assert verdict.allowed == (not judged.drawn.facts.values[fact])


def test_a_counterfactual_is_what_cedar_says_would_pass() -> None:
    house, model = ready("team")
    judged = house.decide("export", [model], witnessed=Witnessed())
    told = {c.rule: c for c in counterfactuals(judged)}
    assert told["approval.two-others"].change == {"approvals": 2}
    assert told["witness.none"].change == {"witness": 1}
    assert told["witness.stale"].change == {"witness_age_s": 86400}
    assert told["witness.stale"].read == {"witness_age_s": facts.NEVER}
    together = {k: v for c in told.values() for k, v in c.change.items()}
    assert would_pass(judged, together)
    assert not would_pass(judged, {"approvals": 2})


def test_a_counterfactual_may_need_two_facts_and_says_when_none_helps() -> None:
    rules = (
        '@id("two") @reason("r") forbid (principal, action == Action::"train", resource)'
        ' when { context.inputs < 2 || context.run_status != "ok" };\n'
        '@id("never") @reason("r") forbid (principal, action == Action::"train", resource);'
    )
    house = House(house_cedar=rules)
    told = {c.rule: c for c in counterfactuals(house.decide("train", [house.data()]))}
    assert told["two"].change == {"inputs": 2, "run_status": "ok"}
    assert told["never"].change == {}


def test_train_facts_do_not_leak_into_later_gates() -> None:
    """A sound room claimed at register changes nothing: the provenance speaks."""
    house = House("team")
    model = house.train(house.data(), isolation="none", room={})
    judged = house.decide("register", [model], run="r1", room=SOUND_ROOM)
    assert "room.unisolated" in judged.decision.failed
