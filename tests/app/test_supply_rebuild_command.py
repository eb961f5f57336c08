"""`seal supply rebuild`: equal, or the cause by name."""

from app_house import needs_room

from sealwright.app.bench import rebuildplant
from sealwright.app.bench.rebuildplant import PROJECTS, Packed


@needs_room
def test_a_sound_project_is_equal_and_says_so_in_the_log(project) -> None:
    rebuildplant.project(project.root / "sound")
    body = project.ok("supply", "rebuild", "sound")
    assert (body["equal"], body["causes"], len(set(body["digests"]))) == (True, [], 1)
    assert "python" in body["tools"]
    assert "rebuild" in str(project.statements()[-1])


@needs_room
def test_a_cause_is_found_by_trying_and_no_other_is_named(project) -> None:
    rebuildplant.project(project.root / "planted", PROJECTS["build-path"])
    code, body, _ = project.seal("supply", "rebuild", "planted")
    assert (code, body["rule"], body["how"]) == (1, "supply.rebuild-differs", "tried")
    assert [(one["cause"], one["path"]) for one in body["causes"]] == [
        ("build-path", "planted/_built0.py")
    ]


@needs_room
def test_ten_causes_in_one_project_are_all_named(project) -> None:
    rebuildplant.project(project.root / "planted", rebuildplant.together())
    code, body, _ = project.seal("supply", "rebuild", "planted")
    assert code == 1
    assert [one["cause"] for one in body["causes"]] == list(PROJECTS)
    assert all(one["hint"] for one in body["causes"])


@needs_room
def test_a_project_that_cannot_be_built_says_why(project) -> None:
    rebuildplant.project(project.root / "bad", {"built": "raise SystemExit('no compiler')"})
    code, body, _ = project.seal("supply", "rebuild", "bad")
    assert (code, body["error"]["why"]) == (2, "no compiler")
    (project.root / "bad" / "out").symlink_to("/etc/passwd")
    code, body, _ = project.seal("supply", "rebuild", "bad")
    assert (code, "laid out" in body["error"]["why"]) == (2, True)


TOSSED = """\
import json, random
json.dump({"seed": random.random()}, open("model.json", "w"))
"""


@needs_room
def test_a_training_run_is_done_again_and_compared(project) -> None:
    for script, code in (("train.py", 0), ("toss.py", 1)):
        project.write("toss.py", TOSSED)
        body = project.ok("run", "--", "python", script)
        run = body["runs"][0]["run"]
        again, body, _ = project.seal("supply", "rebuild", f"run:{run}")
        assert (again, body["kind"], body["equal"]) == (code, "run", code == 0)
        assert len(set(body["digests"])) == 1 + code
    assert (body["causes"][0]["cause"], body["causes"][0]["path"]) == ("content", "model.json")


def test_two_archives_are_compared_without_a_build(project) -> None:
    one, two = rebuildplant.pair("the level of compression")
    (project.root / "one.whl").write_bytes(one)
    (project.root / "two.whl").write_bytes(two)
    code, body, _ = project.seal("supply", "rebuild", "one.whl", "--against", "two.whl")
    assert (code, body["causes"][0]["cause"], body["how"]) == (1, "compression", "compared")
    assert project.ok("supply", "rebuild", "one.whl", "--against", "one.whl")["equal"] is True
    code, body, _ = project.seal("supply", "rebuild", "one.whl")
    assert (code, "--against" in body["error"]["hint"]) == (2, True)


def test_a_folder_is_a_layer_of_one_digest_whoever_packs_it(project) -> None:
    for name, mode in (("one", 0o644), ("two", 0o640)):
        project.write(f"{name}/etc/app.conf", "port = 1\n").chmod(mode)
    first = project.ok("supply", "rebuild", "one")
    assert first["digests"] == project.ok("supply", "rebuild", "two")["digests"]
    (project.root / "layer.tar.gz").write_bytes(rebuildplant.layer(Packed()))
    code, body, _ = project.seal("supply", "rebuild", "one", "--against", "layer.tar.gz")
    assert (code, body["causes"][0]["cause"]) == (1, "content")
