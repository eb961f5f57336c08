"""``seal policy test``: cases judged before a set is activated; rules no case would miss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sealwright.app.cli import main
from sealwright.core.errors import BadInput, GateDenied
from sealwright.policy import accessfacts, facts, policyset, policytests
from sealwright.policy.policytests import Case

BROKEN = '[[case]]\nname = "too much"\ngate = "export"\nexpect = "denied"\n'


def _tested(folder: Path, text: str, profile: str = "team") -> policytests.Tested:
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "mine.toml").write_text(text)
    return policytests.run(folder, policyset.shipped(profile))


@pytest.mark.parametrize("profile", facts.PROFILES)
def test_the_starter_passes_in_every_profile(tmp_path: Path, profile: str) -> None:
    policytests.write_starter(tmp_path)
    tested = policytests.run(tmp_path, policyset.shipped(profile))
    assert tested.outcomes
    assert tested.failed == ()


@pytest.mark.parametrize("profile", facts.PROFILES)
def test_a_sound_request_passes_every_gate_with_nothing_to_warn_of(
    tmp_path: Path, profile: str
) -> None:
    text = "".join(
        f'[[case]]\nname = "{gate}"\ngate = "{gate}"\nexpect = "allowed"\nwarns = []\n'
        for gate in facts.GATES
    )
    assert [one.problem for one in _tested(tmp_path, text, profile).failed] == []


@pytest.mark.parametrize("profile", facts.PROFILES)
@pytest.mark.parametrize("gate", facts.GATES)
def test_unknown_facts_deny_at_every_gate(tmp_path: Path, profile: str, gate: str) -> None:
    text = f'[[case]]\nname = "x"\ngate = "{gate}"\nbase = "unknown"\nexpect = "allowed"\n'
    assert len(_tested(tmp_path, text, profile).failed) == 1


def test_a_case_that_comes_out_otherwise_says_what_came_out(tmp_path: Path) -> None:
    text = """
[[case]]
name = "wrong rule"
gate = "train"
facts = {inputs_revoked = 1}
expect = "denied"
rules = ["data.unsigned"]
"""
    (one,) = _tested(tmp_path, text).failed
    assert one.problem == "refused by data.revoked, data.unsigned wanted"
    (other,) = _tested(tmp_path, BROKEN).failed
    assert other.problem == "allowed by the lack of a rule, denied wanted"
    with pytest.raises(GateDenied) as denied:
        policytests.refuse_failing(_tested(tmp_path, BROKEN))
    assert denied.value.rule == "policy.tests-failed"


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        '[[case]]\nname = "x"\nexpect = "allowed"\n',
        '[[case]]\nname = "x"\ngate = "train"\naccess = "view"\nexpect = "allowed"\n',
        '[[case]]\nname = "x"\ngate = "nosuch"\nexpect = "allowed"\n',
        '[[case]]\nname = "x"\naccess = "nosuch"\nexpect = "allowed"\n',
        '[[case]]\nname = "x"\ngate = "train"\nexpect = "maybe"\n',
        '[[case]]\nname = "x"\ngate = "train"\nexpect = "denied"\nfacts = {nosuch = 1}\n',
        '[[case]]\nname = "x"\ngate = "train"\nexpect = "denied"\nfacts = {inputs = "1"}\n',
        '[[case]]\nname = "x"\ngate = "train"\nexpect = "denied"\nfacts = {inputs = -1}\n',
        BROKEN + BROKEN,
    ],
)
def test_a_case_nobody_can_read_is_no_passing_case(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput) as bad:
        _tested(tmp_path, text)
    assert "mine.toml" in bad.value.what


def test_a_rule_that_no_case_would_miss_is_named_and_one_that_is_tested_is_not(
    tmp_path: Path,
) -> None:
    policytests.write_starter(tmp_path)
    unnoticed = policytests.run(tmp_path, policyset.shipped("team")).unnoticed
    assert "data.revoked" not in unnoticed
    assert "lineage.revoked" in unnoticed
    assert "access: access.stranger" not in unnoticed
    text = '[[case]]\nname = "x"\ngate = "train"\nexpect = "denied"\nfacts = {FACTS}\n'
    both = text.replace("FACTS", "inputs_revoked = 1, inputs_unknown = 1")
    assert {"data.revoked", "data.unsigned"} <= set(_tested(tmp_path / "..", both).unnoticed)


def test_every_fact_has_a_sound_value_of_its_kind() -> None:
    gate, view = Case("x", "allowed", gate="train"), Case("x", "allowed", access="view")
    assert facts.of(policytests.sound(gate, 1)).values["profile"] == 1
    assert accessfacts.of(policytests.sound(view, 2)).values["profile"] == 2


def _seal(capsys: Any, *words: str) -> tuple[int, str]:
    code = main(list(words))
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_command_names_each_case_and_team_activates_nothing_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert _seal(capsys, "init", "--profile", "team")[0] == 0
    code, said = _seal(capsys, "policy", "test")
    assert code == 0
    assert "starter.toml: revoked data trains nothing" in said
    assert _seal(capsys, "policy", "test", "--strict")[0] == 1
    (tmp_path / "policies" / "tests" / "mine.toml").write_text(BROKEN)
    code, said = _seal(capsys, "policy", "test")
    assert code == 1
    assert "too much" in said
    (tmp_path / "policies" / "house.cedar").write_text(
        '@id("house.x")\n@reason("x")\nforbid (principal, action == Action::"train", resource)'
        " when { context.inputs > 9 };\n"
    )
    code, said = _seal(capsys, "policy", "activate", "--reason", "x")
    assert code == 1
    assert "policy.tests-failed" in said
