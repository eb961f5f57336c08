"""A model's history, the newest run by name, and a revocation that leaves no version out."""

import pytest
from app_house import needs_room

from sealwright.app.cli import main

pytestmark = needs_room


@pytest.fixture
def lived(project):
    """Two versions of equal bytes, promoted, rolled back, exported, and their data withdrawn."""
    for _ in range(2):
        project.ok("run", "--model", "model.json", "--", "python", "train.py")
    project.ok("model", "promote", "fraud@1", "prod", "--reason", "good")
    project.ok("model", "promote", "fraud@2", "prod", "--reason", "better")
    project.ok("model", "rollback", "fraud", "prod", "--reason", "worse")
    project.ok("model", "export", "fraud@1", "out.tar", "--reason", "for them")
    return project


def test_a_models_history_tells_what_happened_in_the_order_of_the_log(lived):
    lived.ok("data", "revoke", "train@1", "--reason", "withdrawn")
    told = lived.ok("lineage", "model:fraud", "--history")["history"]
    assert [(each["what"], each["ref"]) for each in told] == [
        ("version", "model:fraud@1"),
        ("version", "model:fraud@2"),
        ("promote", "model:fraud@1"),
        ("promote", "model:fraud@2"),
        ("rollback", "model:fraud@1"),
        ("export", "model:fraud@1"),
        ("revocation", "data:train@1"),
    ]
    assert [each["entry"] for each in told] == sorted(each["entry"] for each in told)
    assert "data:train@1" in told[0]["about"]
    assert told[4]["reason"] == "worse"
    assert {each["actor"] for each in told} == {"ada"}


def test_a_run_has_no_history(lived):
    code, body, _ = lived.seal("lineage", "run:latest", "--history")
    assert code == 2
    assert "once" in body["error"]["what"]


def test_the_newest_run_that_ended_well_is_called_latest(lived):
    newest = lived.ok("model", "list")["models"][0]["run"].removeprefix("run:")
    assert lived.ok("verify", "run:latest")["run"].removeprefix("run:") == newest
    assert lived.ok("reproduce", "run:latest")["run"] == newest


def test_latest_names_no_run_before_there_is_one(project):
    code, body, _ = project.seal("reproduce", "run:latest")
    assert (code, body["error"]["hint"]) == (2, "seal run")


def test_a_revocation_lists_every_version_also_those_of_equal_bytes(lived, capsys):
    capsys.readouterr()
    assert main(["data", "revoke", "train@1", "--dry-run", "--reason", "-"]) == 0
    said = capsys.readouterr().out
    assert "model:fraud@1" in said
    assert "model:fraud@2" in said
    assert "model:fraud@prod points at a model that cannot be used" in said
