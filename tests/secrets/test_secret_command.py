"""`seal secret`, and what a run does with a secret it was given or came by."""

import base64
import hashlib
import io
import json

import pytest
from app_house import TRAIN, Project, needs_room
from egress_house import provenance, write_settings

from sealwright.app import wiring
from sealwright.core import settings
from sealwright.core.errors import BadSettings
from sealwright.core.predicates import SECRET

VALUE = "v3ry-s3cret-value-of-ada"


@pytest.fixture
def project(tmp_path, monkeypatch, capsys) -> Project:
    import sys
    from pathlib import Path

    root = tmp_path / "fraud"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    monkeypatch.setenv("SEAL_PRINCIPAL", "ada")
    one = Project(root, tmp_path / "state", capsys)
    one.write("train.py", TRAIN)
    one.write("data/train.csv", "x,label\n" + "".join(f"{i},{i % 2}\n" for i in range(50)))
    one.ok("init")
    one.ok(
        "data", "add", "data/train.csv", "--name", "train", "--label", "label", "--reason", "first"
    )
    return one


@pytest.fixture
def keep(project, monkeypatch):
    def put(name="API_TOKEN", value=VALUE):
        monkeypatch.setattr("sys.stdin", io.StringIO(value + "\n"))
        return project.seal("secret", "set", name, "--reason", "for the store")

    return put


def everything(tmp_path) -> bytes:
    return b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_secret_is_kept_encrypted_listed_by_name_and_removed(project, keep, tmp_path):
    assert keep()[0] == 0
    (one,) = project.ok("secret", "list")["secrets"]
    assert (one["name"], one["actor"]) == ("API_TOKEN", "ada")
    assert VALUE.encode() not in everything(tmp_path)
    project.ok("secret", "remove", "API_TOKEN", "--reason", "rotated")
    assert project.ok("secret", "list")["secrets"] == []


def test_setting_and_removing_leave_statements_that_tell_nothing_of_the_value(project, keep):
    keep()
    keep(value="another-value-of-it")
    keep()
    project.ok("secret", "remove", "API_TOKEN", "--reason", "rotated")
    told = [e.statement for e in project_history().of_type(SECRET)]
    said = [(t.predicate["change"], t.predicate["actor"], t.predicate["reason"]) for t in told]
    assert said == [("set", "ada", "for the store")] * 3 + [("removed", "ada", "rotated")]
    prints = [t.predicate["fingerprint"] for t in told]
    assert prints[0] == prints[2] == prints[3] != prints[1]
    assert prints[0] not in {
        hashlib.sha256(VALUE.encode()).hexdigest(),
        hashlib.sha256(b"API_TOKEN\0" + VALUE.encode()).hexdigest(),
    }
    for entry in project_history().entries:
        assert VALUE not in repr(entry.statement)


def test_equal_values_under_two_names_have_unlike_fingerprints(project, keep):
    keep("ONE")
    keep("TWO")
    one, two = (e.statement.predicate["fingerprint"] for e in project_history().of_type(SECRET))
    assert one != two


def test_a_secret_that_cannot_be_kept_leaves_no_statement(project, keep):
    assert keep(value="short")[0] == 2
    assert project.seal("secret", "remove", "NONE", "--reason", "r")[0] == 2
    assert project.seal("secret", "remove", "NONE")[0] == 2
    assert project_history().of_type(SECRET) == ()


def test_a_damaged_secret_can_still_be_removed_and_the_log_says_so(project, keep):
    keep()
    (path,) = project.state.rglob("API_TOKEN.json")
    path.write_bytes(path.read_bytes().replace(b"ada", b"eve", 1)[:-2] + b"!}")
    project.ok("secret", "remove", "API_TOKEN", "--reason", "damaged")
    assert project_history().of_type(SECRET)[-1].statement.predicate["fingerprint"] == ""


def project_history():
    return wiring.open_workspace().history()


def test_a_value_is_never_taken_from_the_command_line(project):
    code, _, err = project.seal("secret", "set", "API_TOKEN", VALUE, "--reason", "r")
    assert code == 2 and "unrecognized arguments" in err


@pytest.mark.parametrize(
    ("name", "value"),
    [("api_token", VALUE), ("../X", VALUE), ("A", "short"), ("A", ""), ("A", " blank-around ")],
)
def test_what_cannot_be_kept_is_refused(keep, name, value):
    assert keep(name, value)[0] == 2


def test_a_secret_file_moved_to_another_name_is_noticed(project, keep):
    keep()
    (path,) = project.state.rglob("API_TOKEN.json")
    path.rename(path.with_name("OTHER.json"))
    code, body, _ = project.seal("secret", "list")
    assert (code, body["error"]["rule"]) == (1, "secret.changed")


@pytest.mark.parametrize(
    "how", ["file", "broker:", "broker:a b", "env:x"]
)  # fmt: skip
def test_a_stage_that_says_it_wrongly_is_refused(how):
    text = f'[stage.a]\ncmd = ["x"]\nsecrets = {{ A = "{how}" }}\n'
    with pytest.raises(BadSettings):
        settings.parse(text.encode())


def test_a_stage_with_a_secret_nobody_kept_is_refused(project):
    write_settings(project, '[stage.a]\ncmd = ["python", "train.py"]\nsecrets = { NONE = "env" }\n')
    code, body, _ = project.seal("run", "--stage", "a")
    assert code == 2 and "seal secret set NONE" in body["error"]["hint"]


def test_a_brokered_secret_without_a_granted_host_is_refused(project, keep):
    keep()
    write_settings(
        project,
        '[stage.a]\ncmd = ["python", "train.py"]\n'
        'secrets = { API_TOKEN = "broker:api.example.org" }\n',
    )
    code, body, _ = project.seal("run", "--stage", "a")
    assert code == 2 and "not granted" in body["error"]["what"]


def run(project, script: str, secrets: str = "", more: str = ""):
    write_settings(
        project,
        f'{more}\n[stage.a]\ncmd = ["python", "train.py"]\nmodel = "model.json"\nname = "fraud"\n'
        f"{secrets}\n",
    )
    project.write("train.py", script + "\nopen('model.json', 'w').write('{}')\n")
    return project.seal("run", "--stage", "a")


@needs_room
def test_a_secret_is_not_in_the_room_unless_the_stage_says_so(project, keep):
    keep()
    script = "import os\nassert 'API_TOKEN' not in os.environ"
    code, body, err = run(project, script)
    assert code == 0, (body, err)
    assert "secrets" not in provenance(project)


@needs_room
def test_a_leased_secret_is_there_redacted_when_printed_and_recorded_by_name(
    project, keep, tmp_path
):
    keep()
    script = (
        "import os, sys, base64\nvalue = os.environ['API_TOKEN']\nprint('token', value)\n"
        "print(base64.b64encode(b'u:' + value.encode()).decode(), file=sys.stderr)\n"
    )
    code, body, err = run(project, script, 'secrets = { API_TOKEN = "env" }')
    assert code == 0, (body, err)
    told = [one for one in body["runs"][0]["findings"] if one["rule"] == "secret.leaked"]
    assert len(told) == 2 and all("API_TOKEN" in one["message"] for one in told)
    assert "[redacted:API_TOKEN]" in err and VALUE not in err
    assert base64.b64encode(b"u:" + VALUE.encode()).decode() not in err
    assert provenance(project)["secrets"] == [
        {"name": "API_TOKEN", "mode": "env", "lease_s": 86400}
    ]
    assert VALUE.encode() not in everything(tmp_path)


@needs_room
def test_an_output_that_holds_a_secret_is_held_back(project, keep):
    keep()
    script = "import os\nopen('notes.txt', 'w').write('x' + os.environ['API_TOKEN'].encode().hex())"
    code, body, err = run(project, script, 'secrets = { API_TOKEN = "env" }')
    assert code == 0, (body, err)
    assert not (project.root / "notes.txt").exists() and (project.root / "model.json").exists()
    (told,) = [one for one in body["runs"][0]["findings"] if one["rule"] == "secret.leaked"]
    assert "notes.txt" in told["message"] and "held back" in told["message"]
    assert [one["path"] for one in body["runs"][0]["outputs"]] == ["model.json"]


@needs_room
def test_a_model_that_holds_a_secret_does_not_come_out(project, keep):
    keep()
    script = (
        "import os\nopen('model.json', 'w').write(os.environ['API_TOKEN'])\nraise SystemExit(0)"
    )
    code, body, _ = run(project, script, 'secrets = { API_TOKEN = "env" }')
    assert code != 0
    assert not (project.root / "model.json").exists()
    assert project.ok("model", "list")["models"] == []
    assert VALUE not in json.dumps(body)


@needs_room
def test_an_output_may_hold_a_secret_where_the_settings_allow_it(project, keep):
    keep()
    script = "import os\nopen('notes.txt', 'w').write(os.environ['API_TOKEN'])"
    allow = '[secrets]\noutputs = "allow"'
    code, body, err = run(project, script, 'secrets = { API_TOKEN = "env" }', allow)
    assert code == 0, (body, err)
    assert (project.root / "notes.txt").read_text() == VALUE
    assert "secret.leaked" in [one["rule"] for one in body["runs"][0]["findings"]]


@needs_room
def test_a_failing_script_keeps_no_secret_in_its_logs_or_message(project, keep, tmp_path):
    keep()
    script = "import os\nraise SystemExit('bad token ' + os.environ['API_TOKEN'])"
    code, body, err = run(project, script, 'secrets = { API_TOKEN = "env" }')
    assert code == 2
    assert VALUE not in json.dumps(body) + err
