import json

import pytest
from app_house import TRAIN, needs_room

pytestmark = needs_room
RUN = ("run", "--model", "model.json", "--name", "fraud", "--", "python", "train.py")


def test_an_unmodified_script_becomes_a_signed_model(project):
    body = project.ok(*RUN)
    (run,) = body["runs"]
    assert run["model"]["ref"] == "model:fraud@1"
    assert run["inputs"][0]["ref"] == "data:train@1"
    assert json.loads((project.root / "model.json").read_text())["rows"] == 200
    listed = project.ok("model", "list")["models"]
    assert [one["ref"] for one in listed] == ["model:fraud@1"]
    assert set(listed[0]) >= {"ref", "digest", "run", "aliases", "status"}
    assert listed[0]["digest"] == run["model"]["digest"]


def test_every_step_of_a_run_is_a_statement(project):
    project.ok(*RUN)
    kinds = [entry["type"] for entry in project.statements()]
    before, run = ["supply-check", "screening"], ["decision", "intent", "provenance"]
    assert kinds[3:] == [*before, *run, "model-scan", "decision", "model-version"]


def test_a_run_is_reproduced_bit_for_bit(project):
    run = project.ok(*RUN)["runs"][0]["run"]
    body = project.ok("reproduce", f"run:{run}")
    assert body["outcome"] == "identical"


def test_a_run_that_depends_on_the_moment_is_not_reproduced_and_names_the_file(project):
    project.write("train.py", "import time\nopen('model.json','w').write(str(time.time_ns()))")
    run = project.ok(*RUN)["runs"][0]["run"]
    code, body, _ = project.seal("reproduce", f"run:{run}")
    assert code == 1
    assert body["stages"][0]["differences"][0]["path"] == "model.json"


def test_reproduction_uses_the_code_that_was_sealed_and_not_todays(project):
    run = project.ok(*RUN)["runs"][0]["run"]
    project.write("train.py", "raise SystemExit(3)")
    assert project.ok("reproduce", f"run:{run}")["outcome"] == "identical"


@pytest.mark.parametrize("today", ["gone", "another language", "no program"])
def test_a_script_that_is_the_program_is_the_sealed_one_too(project, today):
    script = project.write("train.sh", "#!/usr/bin/env python\n" + TRAIN)
    script.chmod(0o755)
    words = ("run", "--model", "model.json", "--name", "fraud", "--", "./train.sh")
    run = project.ok(*words)["runs"][0]["run"]
    if today == "gone":
        script.unlink()
    elif today == "another language":
        script.write_text("#!/bin/sh\nexit 3\n")
    else:
        script.chmod(0o644)
    assert project.ok("reproduce", f"run:{run}")["outcome"] == "identical"


def test_a_script_that_fails_changes_nothing_in_the_project(project):
    project.write("train.py", "open('model.json','w').write('x')\nraise SystemExit(7)")
    before = project.tree()
    code, body, _ = project.seal(*RUN)
    assert code == 2
    assert body["error"]["kind"] == "StageFailed"
    assert "exit code 7" in body["error"]["what"] and "quarantine" in body["error"]["what"]
    assert project.tree() == before
    assert project.statements()[-1]["type"] == "closed"


def test_a_script_that_writes_nothing_is_no_success(project):
    project.write("train.py", "print('hello')")
    code, body, _ = project.seal(*RUN)
    assert (code, "wrote nothing" in body["error"]["what"]) == (2, True)


def test_a_missing_script_is_named(project):
    code, _body, err = project.seal("run", "--", "python", "absent.py")
    assert code == 2
    assert "absent.py" in err


def test_a_missing_program_is_named_before_anything_starts(project):
    size = len(project.statements())
    code, body, _ = project.seal("run", "--", "no-such-program")
    assert code == 2 and "no-such-program" in body["error"]["what"]
    assert len(project.statements()) == size


def test_data_that_was_edited_after_signing_stops_the_run_before_it_starts(project):
    project.write("data/train.csv", "x,label\n1,1\n")
    code, body, err = project.seal(*RUN)
    assert code == 1
    assert body["error"]["rule"] == "run.data-changed"
    assert "seal data add data/train.csv --name train" in body["error"]["hint"]
    assert "trained on" not in err


def test_an_undeclared_file_ends_in_the_line_that_would_declare_it(project):
    project.write("data/extra.csv", "a\n1\n")
    project.write("train.py", "open('data/extra.csv')")
    code, body, _ = project.seal(*RUN)
    assert code == 2
    assert body["error"]["hint"].startswith("seal data add data/extra.csv --name extra")
    assert "inputs of train" in body["error"]["hint"]


def test_data_that_was_never_added_is_asked_for(bare):
    bare.ok("init")
    code, body, _ = bare.seal("run")
    assert code == 2
    assert "seal data add data/train.csv --name train" in body["error"]["hint"]


def test_a_revoked_dataset_trains_nothing_and_blocks_what_it_made(project):
    project.ok(*RUN)
    project.ok("data", "revoke", "train@1", "--reason", "poisoned feed")
    code, body, _ = project.seal(*RUN)
    assert (code, body["error"]["kind"]) == (1, "GateDenied")
    assert "data.revoked" in body["error"]["rule"]
    assert project.ok("model", "list")["models"][0]["status"] == "blocked"


def test_secrets_and_git_stay_outside(project):
    project.write(".env", "TOKEN=abc")
    project.write("train.py", "import os\nopen('model.json','w').write(repr(os.listdir('.')))")
    project.ok(*RUN)
    seen = (project.root / "model.json").read_text()
    assert ".env" not in seen and ".seal" not in seen and ".git'" not in seen


def test_without_a_room_nothing_is_registered_until_somebody_takes_it_on_themselves(project):
    code, body, _ = project.seal("run", "--isolation", "none", *RUN[1:])
    assert code == 1
    assert "room.unisolated" in body["error"]["rule"]


STAGES = """
[data.train]
path = "data/train.csv"
[stage.prepare]
cmd = ["python", "prepare.py"]
inputs = ["train"]
outputs = { clean = "data/clean.csv" }
[stage.fit]
cmd = ["python", "fit.py"]
inputs = ["clean"]
model = "model.json"
name = "fraud"
"""


@pytest.fixture
def staged(project):
    project.write("seal.toml", STAGES)
    project.write("prepare.py", "open('data/clean.csv','w').write(open('data/train.csv').read())")
    project.write("fit.py", TRAIN_CLEAN)
    return project


TRAIN_CLEAN = "rows = open('data/clean.csv').read()\nopen('model.json','w').write(str(len(rows)))"


def test_stages_run_in_order_and_what_one_makes_is_a_signed_version(staged):
    first, second = staged.ok("run")["runs"]
    assert first["datasets"][0]["ref"] == "data:clean@1"
    assert second["inputs"][0] == {"ref": "data:clean@1", "digest": first["datasets"][0]["digest"]}
    shown = staged.ok("data", "show", "clean")
    assert any("data:train@1" in str(parent) for parent in shown["parents"])


def test_what_a_stage_makes_of_sensitive_data_is_sensitive(staged):
    staged.ok("data", "add", "data/train.csv", "--name", "train", "--sensitivity", "sensitive")
    staged.ok("run")
    assert staged.ok("data", "show", "clean")["sensitivity"] == "sensitive"
    assert staged.ok("policy", "explain", "latest")["facts"]["sensitivity"] == 2


def test_sensitive_data_without_a_room_is_warned_of(project):
    project.ok("data", "add", "data/train.csv", "--name", "train", "--sensitivity", "sensitive")
    project.seal("run", "--isolation", "none", *RUN[1:])
    train = next(each for each in project.statements() if each["type"] == "decision")
    judged = project.ok("policy", "explain", str(train["index"]))
    assert judged["allowed"] and any("sensitive data" in said for said in judged["warnings"])


def test_what_lies_between_two_stages_cannot_be_swapped(staged):
    staged.ok("run", "--stage", "prepare")
    staged.write("data/clean.csv", "x,label\n1,0\n")
    code, body, _ = staged.seal("run", "--stage", "fit")
    assert (code, body["error"]["rule"]) == (1, "run.data-changed")
    assert "stage fit" in body["error"]["what"]


def test_a_hanging_script_is_ended_at_its_time_limit(project):
    toml = project.root / "seal.toml"
    toml.write_text(toml.read_text() + '\n[room]\ntime = "1s"\n')
    project.write("train.py", "import time\ntime.sleep(60)")
    code, body, _ = project.seal(*RUN)
    assert code == 2
    assert "ran out of time" in body["error"]["what"] and "room.time" in body["error"]["hint"]


def test_a_script_that_writes_too_much_is_stopped(project):
    toml = project.root / "seal.toml"
    toml.write_text(toml.read_text() + '\n[room]\noutput = "4MiB"\n')
    project.write("train.py", "f = open('big','wb')\nwhile True: f.write(b'x' * 1048576)")
    code, body, _ = project.seal(*RUN)
    assert code == 2
    assert "wrote more than it may" in body["error"]["what"]
    assert not (project.root / "big").exists()


def test_a_run_cut_off_by_kill_9_is_closed_as_interrupted(project):
    project.write("train.py", "import time\nprint('started', flush=True)\ntime.sleep(60)")
    with project.spawn(*RUN) as child:
        assert "started" in child.stdout.readline()
        child.kill()
    assert project.statements()[-1]["type"] == "intent"
    project.write("train.py", "open('model.json','w').write('1')")
    code, _, err = project.seal(*RUN)
    assert code == 0 and "was cut off" in err
    closed = [one for one in project.statements() if one["type"] == "closed"]
    assert len(closed) == 1


def test_json_keeps_stdout_for_the_one_object(project):
    code, _body, err = project.seal(*RUN)
    assert code == 0 and "trained on 200" in err


def test_a_script_cannot_change_what_decides_about_the_next_run(project):
    project.write(
        "train.py",
        "import os\nopen('model.json','w').write('1')\n"
        "open('seal.toml','w').write('[room]\\nisolation = \"none\"')\n"
        "os.makedirs('policies', exist_ok=True)\nopen('policies/solo.cedar','w').write('')\n"
        "open('.envrc','w').write('export PATH=/tmp')",
    )
    before = project.tree()
    (run,) = project.ok(*RUN)["runs"]
    assert [one["path"] for one in run["outputs"]] == ["model.json"]
    held = [one for one in run["findings"] if one["rule"] == "room.output-control"]
    assert len(held) == 3
    after = project.tree()
    assert after.pop("model.json") and after == before


def test_a_parquet_file_rewritten_with_equal_rows_is_no_false_alarm(project):
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"x": list(range(50)), "label": [i % 2 for i in range(50)]})
    path = project.root / "data" / "rows.parquet"
    parquet.write_table(table, path, compression="zstd")
    project.ok("data", "add", "data/rows.parquet", "--name", "rows")
    parquet.write_table(table, path, compression="none", use_dictionary=False)
    both = ("run", "--input", "train", "--input", "rows", *RUN[1:])
    project.ok(*both)
    parquet.write_table(table.slice(1), path)
    code, body, _ = project.seal(*both)
    assert (code, body["error"]["rule"]) == (1, "run.data-changed")


def test_many_outputs_of_an_earlier_run_are_not_code_of_the_next(project):
    project.write(
        "train.py",
        "import os\nos.makedirs('mlruns', exist_ok=True)\n"
        "for n in range(120): open(f'mlruns/{n}.txt', 'w').write(str(n))\n"
        "open('model.json','w').write('1')",
    )
    first = project.ok(*RUN)["runs"][0]
    second = project.ok(*RUN)["runs"][0]
    assert len(first["outputs"]) == len(second["outputs"]) == 121
    assert first["code"] == second["code"]
