"""kill -9 at random moments: what was acknowledged stays, and nothing is half there."""

import json
import os
import random
import subprocess
import sys
import time

import pytest
from app_house import needs_room

KILLS = 20 if os.environ.get("CI") else 70
"""Of each of three kinds of command: more than 200 (in CI 60); only those that hit are counted."""


def _kill_at_random(project, words, dice, longest_s):
    """Start a command and kill it after a random while; its answer if it was quicker."""
    child = subprocess.Popen(
        [sys.executable, "-m", "sealwright", *words],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        out, _ = child.communicate(timeout=dice.uniform(0.02, longest_s))
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return None
    return json.loads(out) if child.returncode == 0 else None


def _longest_s(project, words):
    """How long the command takes undisturbed here, and a little more."""
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "sealwright", *words],
        cwd=project.root,
        check=True,
        capture_output=True,
    )
    return 1.15 * (time.monotonic() - start)


def _data_versions(project):
    return {one["ref"]: one["digest"] for one in project.ok("data", "log", "train")["versions"]}


def test_killed_data_add_leaves_whole_versions_or_none(project):
    dice, acknowledged = random.Random(1), {}
    words = ("data", "add", "data/train.csv", "--name", "train", "--reason", "more", "--json")
    project.write("data/train.csv", "x,label\n7,1\n")
    longest = _longest_s(project, words)
    number = kills = 0
    while kills < KILLS:
        number += 1
        rows = "".join(f"{number},{row}\n" for row in range(50 * (number % 7 + 1)))
        project.write("data/train.csv", "x,label\n" + rows)
        answer = _kill_at_random(project, words, dice, longest)
        kills += answer is None
        if answer:
            acknowledged[answer["ref"]] = answer["digest"]
        if number % 13 == 12:
            project.ok("log", "verify")
    project.ok(*words[:-1])  # so that the newest version is what lies in the project
    versions = _data_versions(project)
    assert acknowledged.items() <= versions.items()
    for ref in versions:
        project.ok("data", "verify", ref)
    project.ok("gc", "--yes")
    project.ok("data", "verify", "train@1")
    project.ok("log", "verify")


@needs_room
def test_killed_runs_leave_registered_models_or_none(project):
    dice, acknowledged = random.Random(2), {}
    words = ("run", "--json", "--model", "model.json", "--name", "fraud")
    words += ("--", "python", "train.py")
    longest = _longest_s(project, words)
    kills = 0
    while kills < KILLS:
        answer = _kill_at_random(project, words, dice, longest)
        kills += answer is None
        if answer:
            made = answer["runs"][0]["model"]
            acknowledged[made["ref"]] = made["digest"]
    models = {one["ref"]: one["digest"] for one in project.ok("model", "list")["models"]}
    assert acknowledged.items() <= models.items()
    for ref in models:
        project.ok("verify", ref)
    project.ok("log", "verify")
    project.ok("run", *words[2:])
    begun = [one for one in project.statements() if one["type"] == "intent"]
    ended = [one for one in project.statements() if one["type"] in ("closed", "provenance")]
    assert len(begun) == len(ended)


@needs_room
def test_killed_promotions_point_at_one_version_and_not_at_half(project):
    dice = random.Random(3)
    words = ("run", "--model", "model.json", "--name", "fraud", "--", "python", "train.py")
    for seed in range(2):
        project.write("seed.txt", str(seed))
        project.ok(*words)
    known = {one["ref"] for one in project.ok("model", "list")["models"]}
    promote = ("model", "promote", "fraud@1", "prod", "--reason", "kill test", "--json")
    longest = _longest_s(project, promote)
    number = kills = 0
    while kills < KILLS:
        number += 1
        version = number % 2 + 1
        words = ("model", "promote", f"fraud@{version}", "prod", "--reason", "kill", "--json")
        answer = _kill_at_random(project, words, dice, longest)
        kills += answer is None
        shown = project.ok("model", "show", "fraud@prod")
        assert shown["ref"] in known
        if answer:
            assert shown["ref"] == f"model:fraud@{version}"
    project.ok("log", "verify")


@pytest.mark.parametrize("kind", ["init"])
def test_a_killed_init_can_be_started_again(bare, kind):
    dice = random.Random(4)
    longest = 1.0
    for _ in range(KILLS):
        _kill_at_random(bare, (kind, "--json"), dice, longest)
        if (bare.root / ".seal").exists():
            break
    code, _, _ = bare.seal("doctor") if (bare.root / ".seal").exists() else bare.seal(kind)
    assert code == 0
    bare.ok("log", "verify")
