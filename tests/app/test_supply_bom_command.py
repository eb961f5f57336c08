"""`seal supply bom`: what a run really imported, in a bill that a stranger's schema accepts."""

import json

import pytest
from app_house import needs_room

TRAIN = "import json, msgspec\njson.dump(1, open('model.json', 'w'))\n"


@pytest.fixture
def ran(project):
    project.write("train.py", TRAIN)
    body = project.ok("run", "--model", "model.json", "--", "python", "train.py")
    return project, body["runs"][0]


def imported(bill: dict) -> dict[str, str]:
    return {
        part["name"]: said["value"]
        for part in bill["components"]
        for said in part["properties"]
        if said["name"] == "sealwright:imported"
    }


@needs_room
def test_a_bill_lists_what_was_imported_and_is_the_same_twice(ran) -> None:
    project, run = ran
    one = project.ok("supply", "bom", run["model"]["ref"], "--out", "one.json")
    project.ok("supply", "bom", run["model"]["ref"], "--out", "two.json")
    data = (project.root / "one.json").read_bytes()
    assert data == (project.root / "two.json").read_bytes()
    bill = json.loads(data)
    seen = imported(bill)
    assert (one["observed"], seen["msgspec"], seen["cryptography"]) == (True, "yes", "no")
    assert bill["metadata"]["component"]["type"] == "machine-learning-model"
    kinds = {part["type"] for part in bill["components"]}
    assert kinds >= {"data", "library", "platform", "application", "operating-system"}


@needs_room
def test_the_official_schema_accepts_the_bill_of_a_run(ran) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="no schema to hold it to")
    from cyclonedx.schema import SchemaVersion

    project, run = ran
    body = project.ok("supply", "bom", f"run:{run['run']}")
    validator = validation.JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(body["bom"])) is None
    assert body["counts"]["unreached"] == 0


@needs_room
def test_a_script_that_ends_without_pythons_own_end_was_not_observed(project) -> None:
    project.write("train.py", TRAIN + "import os\nos._exit(0)\n")
    run = project.ok("run", "--model", "model.json", "--", "python", "train.py")["runs"][0]
    body = project.ok("supply", "bom", f"run:{run['run']}")
    assert body["observed"] is False
    assert "bom.not-observed" in [finding["rule"] for finding in body["findings"]]


@needs_room
def test_what_stands_in_no_lock_file_is_a_finding(project) -> None:
    project.write("requirements.txt", "numpy==2.0\n")
    project.write("train.py", TRAIN)
    run = project.ok("run", "--model", "model.json", "--", "python", "train.py")["runs"][0]
    body = project.ok("supply", "bom", f"run:{run['run']}")
    (finding,) = [f for f in body["findings"] if f["rule"] == "bom.undeclared-library"]
    assert "msgspec" in finding["message"]


@needs_room
def test_lies_from_inside_the_room_name_no_library_that_is_not_installed(project) -> None:
    lie = (
        "import socket\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('/run/seal/imports')\n"
        "s.sendall(b'/etc/passwd\\nnot a path\\n/nowhere/ghost.py\\n'); s.close()\n"
    )
    project.write("train.py", lie + TRAIN)
    run = project.ok("run", "--model", "model.json", "--", "python", "train.py")["runs"][0]
    seen = imported(project.ok("supply", "bom", f"run:{run['run']}")["bom"])
    assert "ghost" not in seen
    assert seen["msgspec"] == "yes"


def test_a_dataset_has_no_bill(project) -> None:
    code, body, _ = project.seal("supply", "bom", "data:train@1")
    assert (code, "run or a model" in json.dumps(body)) == (2, True)


@needs_room
@pytest.mark.supplied
def test_a_run_keeps_the_bill_of_the_model_it_registers(project) -> None:
    project.write("train.py", TRAIN)
    project.ok("run", "--model", "model.json", "--name", "fraud", "--", "python", "train.py")
    kept = project.ok("supply", "bom", "model:fraud@1", "--kept")
    made = project.ok("supply", "bom", "model:fraud@1")
    assert (kept["sha256"], kept["bom"]) == (made["sha256"], made["bom"])
    project.ok("gc", "--yes")
    assert project.ok("supply", "bom", "model:fraud@1", "--kept") == kept


@needs_room
def test_where_no_bill_was_kept_the_refusal_says_how_to_make_one(ran) -> None:
    project, run = ran
    code, body, _ = project.seal("supply", "bom", run["model"]["ref"], "--kept")
    assert (code, body["error"]["hint"]) == (2, f"seal supply bom {run['model']['ref']}")
