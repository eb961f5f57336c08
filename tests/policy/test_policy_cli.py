"""seal policy and seal access on a real workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sealwright.app.cli import main

RULE = (
    '@id("house.two-inputs") @reason("we train on two sources") @mend("seal data add OTHER")\n'
    'forbid (principal, action == Action::"train", resource) when { context.inputs < 2 };\n'
)


class Seal:
    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *words: str, exits: int = 0) -> dict[str, Any]:
        self.capsys.readouterr()
        code = main([words[0], "--json", *words[1:]])
        said = self.capsys.readouterr()
        assert code == exits, said.err
        told: dict[str, Any] = json.loads(said.out)
        return told

    def as_person(self, name: str, state: Path) -> None:
        self.monkeypatch.setenv("SEAL_PRINCIPAL", name)
        self.monkeypatch.setenv("XDG_STATE_HOME", str(state))


@pytest.fixture
def seal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Seal:
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.csv").write_text("a,b\n1,2\n3,4\n")
    monkeypatch.chdir(project)
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    seal = Seal(capsys, monkeypatch)
    seal.as_person("ann", tmp_path / "ann")
    return seal


def test_an_edited_policy_denies_until_it_is_activated_and_explains_itself(seal: Seal) -> None:
    seal("init")
    seal("data", "add", "train.csv", "--name", "train", "--reason", "first")
    assert seal("policy", "check")["gates"][0]["allowed"]
    Path("policies/house.cedar").write_text(RULE)
    (denied,) = seal("policy", "check", exits=1)["gates"]
    assert denied["failed"] == ["policy.not-active", "house.two-inputs"]
    assert denied["mends"][0].startswith("seal policy activate")
    assert seal("policy", "activate", "--reason", "two sources")["changed"]
    assert not seal("policy", "activate", "--reason", "two sources")["changed"]
    (denied,) = seal("policy", "check", "data:train@1", exits=1)["gates"]
    assert denied["failed"] == ["house.two-inputs"]
    seal("run", "--", "python", "-c", "pass", exits=1)
    told = seal("policy", "explain", "latest")
    assert told["counterfactuals"] == [
        {"rule": "house.two-inputs", "read": {"inputs": 1}, "change": {"inputs": 2}}
    ]
    assert told["would_pass"] and told["replayed"]
    assert told["mends"] == ["seal data add OTHER"]
    assert seal("policy", "explain", told["id"][:12])["index"] == told["index"]


def test_a_faulty_policy_is_an_error_that_names_the_file(seal: Seal) -> None:
    seal("init")
    Path("policies/house.cedar").write_text(RULE.replace("context.inputs", "context.input"))
    error = seal("policy", "check", exits=2)["error"]
    assert error["what"] == "house.cedar does not fit the schema"


def test_show_tells_which_rules_block_and_which_warn(seal: Seal) -> None:
    seal("init")
    shown = seal("policy", "show")
    effects = {rule["id"]: rule["effect"] for rule in shown["rules"]}
    assert shown["active"]
    assert effects["data.revoked"] == "blocks"
    assert effects["witness.none"] == "warns"
    assert effects["gate.open"] == "permits"


def test_write_brings_back_a_shipped_file_that_was_deleted(seal: Seal) -> None:
    seal("init")
    Path("policies/always.cedar").unlink()
    assert seal("policy", "write")["written"] == ["always.cedar"]
    assert seal("policy", "check")["gates"][0]["allowed"]


def test_a_policy_change_in_team_takes_two_people_on_other_machines(
    seal: Seal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal("init", "--profile", "team")
    for name, role in (("bob", "ml-engineer"), ("cy", "reviewer"), ("dan", "data-steward")):
        seal.as_person(name, tmp_path / name)
        (tmp_path / f"{name}.pem").write_text(seal("access", "key")["pem"])
        seal.as_person("ann", tmp_path / "ann")
        if name != "dan":
            seal("access", "enroll", name, str(tmp_path / f"{name}.pem"), "--reason", "joined")
        seal("access", "role", name, role, "--reason", "joined")
    Path("policies/house.cedar").write_text(RULE)
    error = seal("policy", "activate", "--reason", "two sources", exits=1)["error"]
    assert error["rule"] == "policy.second-person"
    (asked,) = seal("access", "list")["requests"]
    assert asked["request"][:16] in error["hint"]
    own = seal("access", "approve", asked["request"][:12], "--reason", "mine")
    assert own["self_approved"] and own["approvers"] == []
    seal("policy", "activate", "--reason", "two sources", exits=1)

    ask = str(tmp_path / "ask.json")
    seal("access", "request", asked["request"], "--out", ask)
    for name in ("bob", "cy", "dan"):
        yes = str(tmp_path / f"{name}.json")
        seal.as_person(name, tmp_path / name)
        with monkeypatch.context() as elsewhere:
            host = f"host-of-{name}"
            elsewhere.setattr("sealwright.policy.principals.host_id", lambda host=host: host)
            signed = seal("access", "sign", ask, "--out", yes, "--reason", "read it")
            assert signed["request"] == asked["request"]
        seal.as_person("ann", tmp_path / "ann")
        if name == "dan":
            error = seal("access", "accept", yes, exits=1)["error"]
            assert error["rule"] == "approval.unknown-key"
            seal("access", "enroll", name, str(tmp_path / f"{name}.pem"), "--reason", "joined")
        seal("policy", "activate", "--reason", "two sources", exits=1)
        accepted = seal("access", "accept", yes)
        if name == "bob":
            (why,) = accepted["ignored"]
            assert why.endswith("bob held no role that may approve policy.activate")
        assert (name in accepted["approvers"]) is (name != "bob")
    assert seal("policy", "activate", "--reason", "two sources")["changed"]
    assert seal("access", "list")["requests"] == []
    assert seal("policy", "show")["active"]


def test_a_second_name_on_the_same_account_is_not_a_second_person(
    seal: Seal, tmp_path: Path
) -> None:
    seal("init", "--profile", "team")
    Path("policies/house.cedar").write_text(RULE)
    seal("policy", "activate", "--reason", "two sources", exits=1)
    (asked,) = seal("access", "list")["requests"]
    seal.as_person("bob", tmp_path / "ann")
    assert not seal("access", "whoami")["trusted"]
    seal("access", "enroll", "bob", "--reason", "me again")
    assert seal("access", "whoami")["trusted"]
    told = seal("access", "approve", asked["request"], "--reason", "surely")
    assert told["approvers"] == []
    seal.as_person("ann", tmp_path / "ann")
    seal("policy", "activate", "--reason", "two sources", exits=1)


def test_an_approval_file_with_a_changed_byte_is_not_accepted(seal: Seal, tmp_path: Path) -> None:
    seal("init", "--profile", "team")
    Path("policies/house.cedar").write_text(RULE)
    seal("policy", "activate", "--reason", "two sources", exits=1)
    (asked,) = seal("access", "list")["requests"]
    ask, yes = str(tmp_path / "ask.json"), tmp_path / "yes.json"
    seal("access", "request", asked["request"], "--out", ask)
    seal("access", "sign", ask, "--reason", "read it", "--out", str(yes))
    yes.write_bytes(yes.read_bytes().replace(b"read it", b"READ it"))
    error = seal("access", "accept", str(yes), exits=1)["error"]
    assert error["rule"] == "approval.edited"
    assert seal("access", "list")["requests"][0]["approvers"] == []


def test_a_second_init_cannot_be_used_to_skip_an_approval(seal: Seal) -> None:
    seal("init", "--profile", "team")
    seal("init", "--profile", "solo", exits=2)


def test_lowering_the_profile_in_the_settings_is_not_enough(seal: Seal) -> None:
    seal("init", "--profile", "team")
    seal("data", "add", "train.csv", "--name", "train", "--reason", "first")
    toml = Path("seal.toml")
    toml.write_text(toml.read_text().replace('"team"', '"solo"'))
    assert "another profile" in seal("policy", "check", exits=2)["error"]["what"]
    seal("policy", "write")
    (denied,) = seal("policy", "check", exits=1)["gates"]
    assert denied["failed"] == ["policy.not-active"]
    error = seal("policy", "activate", "--reason", "easier", exits=1)["error"]
    assert error["rule"] == "policy.second-person"
