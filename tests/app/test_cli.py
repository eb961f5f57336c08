"""What every command promises: exit codes, one JSON object, words that teach, a quick --help."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from sealwright import __version__
from sealwright.app.cli import COMMANDS, main
from sealwright.app.cli import out as out_module
from sealwright.app.cli.out import Out

ERROR_KEYS = {"kind", "what", "why", "hint", "exit_code"}


def said(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of one command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(words))
    return code, out.getvalue(), err.getvalue()


def refusal(*words: str) -> dict:
    """The error object of a command that must fail; stdout holds it and nothing else."""
    code, out, err = said(*words)
    error = json.loads(out)["error"]
    assert error.keys() >= ERROR_KEYS
    assert error["exit_code"] == code != 0
    assert error["what"] in err
    return error


def test_help_lists_every_command_and_exits_0():
    code, out, err = said("--help")
    assert (code, err) == (0, "")
    assert all(f"\n  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_exits_0_and_fits_a_terminal(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = said(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: seal {command}")
    assert max(map(len, out.splitlines())) <= 100


def test_the_first_screen_fits_a_terminal():
    assert max(map(len, said("--help")[1].splitlines())) <= 100


def test_seal_alone_shows_the_commands_and_exits_2():
    code, out, _ = said()
    assert code == 2
    assert out == said("--help")[1]


def test_the_version_is_the_packages():
    assert said("--version") == (0, f"sealwright {__version__}\n", "")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("rn", "run"), ("modle", "model"), ("polcy", "policy"), ("Doctor", "doctor")],
)
def test_a_misspelt_command_is_answered_with_the_one_it_is_near(typed, meant):
    code, out, err = said(typed)
    assert (code, out) == (2, "")
    assert f"did you mean {meant!r}?" in err


def test_a_command_near_to_nothing_gets_no_guess():
    code, _, err = said("xylophone")
    assert code == 2
    assert "did you mean" not in err
    assert "seal --help" in err


@pytest.mark.parametrize(
    "words",
    [
        ("nope", "--json"),
        ("data", "--json"),
        ("data", "nope", "--json"),
        ("--json", "data", "nope"),
        ("--json", "nope"),
        ("--json",),
        ("run", "--json", "--bogus"),
        ("log", "show", "--index", "x", "--json"),
        ("access", "approve", "--json"),
    ],
    ids=" ".join,
)
def test_faulty_words_are_an_error_object_too(words):
    error = refusal(*words)
    assert (error["kind"], error["exit_code"]) == ("BadInput", 2)
    assert error["hint"].endswith("--help")


def test_a_refusal_exits_1_and_a_fault_2(project):
    project.ok("data", "revoke", "train@1", "--reason", "withdrawn")
    refused = refusal("run", "--json", "--", "python", "train.py")
    assert (refused["exit_code"], refused["kind"]) == (1, "GateDenied")
    assert "data.revoked" in refused["rule"]
    assert refused["decision"]
    faulty = refusal("data", "show", "nothing", "--json")
    assert (faulty["exit_code"], faulty["kind"]) == (2, "BadInput")


def test_words_after_two_dashes_belong_to_the_command_that_is_run(project):
    code, out, err = said("run", "--input", "nope", "--", "python", "train.py", "--json")
    assert code == 2
    assert out == ""
    assert "nope" in err


def test_json_is_taken_wherever_it_stands(project):
    wanted = said("data", "list", "--json")
    assert wanted[0] == 0
    assert said("data", "--json", "list") == wanted
    assert said("--json", "data", "list") == wanted


READING = [
    ("doctor",),
    ("data", "list"),
    ("data", "list", "--all"),
    ("data", "show", "train"),
    ("data", "verify"),
    ("data", "log", "train"),
    ("model", "list"),
    ("verify", "data:train"),
    ("lineage", "train"),
    ("log", "show"),
    ("log", "verify"),
    ("log", "publish"),
    ("policy", "check"),
    ("policy", "show"),
    ("access", "whoami"),
    ("access", "list"),
    ("keys", "show"),
    ("gc",),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_stdout_is_one_json_object_with_json_and_words_for_people_without(project, words):
    code, out, _ = said(*words, "--json")
    assert code == 0
    assert isinstance(json.loads(out), dict)
    code, out, err = said(*words)
    assert code == 0
    assert out.strip()
    assert "\x1b[" not in out + err, "colour only where a person looks"
    with pytest.raises(ValueError, match=r"."):
        json.loads(out)


NEED_A_WORKSPACE = [
    ("data", "list"),
    ("run", "--", "python", "train.py"),
    ("reproduce", "run:r20260101-000000-0000"),
    ("verify", "model:fraud@1"),
    ("model", "list"),
    ("lineage", "fraud"),
    ("log", "verify"),
    ("policy", "check"),
    ("access", "whoami"),
    ("keys", "show"),
    ("backup", "b.tar"),
    ("gc",),
]


@pytest.mark.parametrize("words", NEED_A_WORKSPACE, ids=" ".join)
def test_outside_a_workspace_the_answer_is_how_to_make_one(bare, words):
    cut = words.index("--") if "--" in words else len(words)
    before = bare.tree()
    error = refusal(*words[:cut], "--json", *words[cut:])
    assert (error["exit_code"], error["hint"]) == (2, "seal init")
    assert bare.tree() == before
    assert not (bare.root / ".seal").exists()


@pytest.mark.parametrize("path", ["fraud.tar", "./fraud", "proof.json"])
def test_a_bundle_that_is_not_there_is_no_reason_to_make_a_workspace(bare, path):
    error = refusal("verify", path, "--json")
    assert error["what"] == f"there is no bundle at {path}"
    assert "seal init" not in error["hint"]


def test_a_second_init_changes_nothing(project):
    before = project.tree()
    error = refusal("init", "--json")
    assert error["exit_code"] == 2
    assert project.tree() == before


def test_every_fault_of_the_settings_is_said_at_once(project):
    path = project.root / "seal.toml"
    path.write_text('profil = "solo"\n[room]\nfiles = 0\nmemry = "1GiB"\n')
    error = refusal("run", "--json")
    assert error["kind"] == "BadSettings"
    assert [problem.split(":")[0] for problem in error["problems"]] == ["$.profil", "$.room.memry"]
    assert all("did you mean" in problem for problem in error["problems"])


def test_a_workspace_of_a_newer_version_is_left_alone(project):
    path = project.root / ".seal" / "workspace.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "format": body["format"] + 1}))
    error = refusal("data", "list", "--json")
    assert (error["kind"], error["exit_code"]) == ("Unavailable", 2)
    assert "newer" in error["what"]


TALE = [["blocks", "no witness saw this log: its holder could rewrite history unnoticed"]]


def test_a_table_wider_than_the_terminal_goes_on_below_its_last_column(monkeypatch):
    monkeypatch.setattr(out_module, "_terminal_columns", lambda: 50)
    lines = Out().table(TALE, ["does", "because"]).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 50
    assert {line[:8] for line in lines[2:]} == {" " * 8}
    assert " ".join(line[8:] for line in lines[1:]) == TALE[0][1]


def test_a_table_that_no_person_looks_at_has_one_line_a_row():
    assert len(Out().table(TALE, ["does", "because"]).splitlines()) == 2


def test_a_reader_that_stops_listening_is_no_fault_of_ours(project):
    done = subprocess.run(
        f"{sys.executable} -m sealwright log show --all | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert "Traceback" not in done.stderr


def test_the_module_runs_like_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "sealwright", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"sealwright {__version__}\n"
