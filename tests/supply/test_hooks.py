"""The hooks and the action call commands that exist, with options these commands take."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from sealwright.app.cli import parser_of

ROOT = Path(__file__).parents[2]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEP = ACTION["runs"]["steps"][0]


def parsed(words: list[str]) -> object:
    assert words[0] == "seal"
    return parser_of(words[1])[0].parse_args(words[2:])


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_calls_a_command_that_takes_file_names(hook: dict[str, str]) -> None:
    found = parsed([*shlex.split(hook["entry"]), "a.py", "b/c.pkl"])
    assert found.paths == ["a.py", "b/c.pkl"]  # type: ignore[attr-defined]


def test_the_hook_for_model_files_sees_each_usual_ending() -> None:
    (hook,) = [one for one in HOOKS if one["id"] == "seal-model-files"]
    names = (
        "a.pkl b.joblib m.pt m.pth m.safetensors m.onnx m.gguf m.h5 m.keras x.npz pytorch_model.bin"
    )
    assert all(re.search(hook["files"], name) for name in names.split())
    assert not re.search(hook["files"], "train.py")


def test_each_branch_of_the_action_is_a_command_that_parses() -> None:
    lines = re.findall(r"\) (seal .*?) ;;", STEP["run"])
    assert len(lines) == 3
    for line in lines:
        words = shlex.split(line.replace('"${paths[@]}"', "a b").replace("$SARIF", "x.sarif"))
        assert parsed(words).sarif == "x.sarif"  # type: ignore[attr-defined]


def test_no_input_of_the_action_is_part_of_a_script() -> None:
    assert "${{" not in STEP["run"]
    used = set(STEP["env"].values())
    assert used == {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]}


@pytest.mark.parametrize(
    ("check", "paths", "code", "called"),
    [
        ("secrets", "src\n\na b\n", 3, ["supply", "secrets", "--sarif", "o", "--", "src", "a b"]),
        ("scan", ".", 3, ["supply", "scan", "--sarif", "o", "--", "."]),
        ("audit", "x", 3, ["supply", "audit", "--sarif", "o"]),
        ("$(id)", ".", 2, None),
    ],
)
def test_the_actions_script_hands_its_inputs_over_as_they_are(
    check: str, paths: str, code: int, called: list[str] | None, tmp_path: Path
) -> None:
    seal = tmp_path / "bin" / "seal"
    seal.parent.mkdir()
    seal.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > called\nexit 3\n')
    seal.chmod(0o755)
    around = {"PATH": f"{seal.parent}:{os.environ['PATH']}", "CHECK": check, "PATHS": paths}
    done = subprocess.run(
        ["bash", "-e", "-c", STEP["run"]],
        cwd=tmp_path,
        env={**around, "SARIF": "o"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == code
    said = tmp_path / "called"
    assert (said.read_text().splitlines() if said.exists() else None) == called


def test_where_the_guide_shows_them_they_are_named_as_they_are() -> None:
    text = (ROOT / "docs" / "guide" / "hooks.md").read_text("utf-8")
    first, second = (
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S)
    )
    shown = {hook["id"] for repo in first["repos"] for hook in repo["hooks"]}
    assert shown == {hook["id"] for hook in HOOKS}
    given = next(step["with"] for step in second["steps"] if "check" in step.get("with", {}))
    assert set(given) == set(ACTION["inputs"])
    assert json.dumps(given)
