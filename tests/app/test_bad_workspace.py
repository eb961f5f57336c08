"""Workspaces that cannot be used: one clear error each, and nothing is changed."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from sealwright.adapters import db_sqlite


def error_of(project, *words, code=2) -> dict:
    found, body, _ = project.seal(*words)
    assert found == code, (found, body)
    return body["error"]


def test_a_misspelt_key_in_seal_toml_is_refused_with_the_right_one(project):
    project.write("seal.toml", 'profile = "solo"\n[room]\nmemroy = "1GiB"\n')
    error = error_of(project, "run")
    assert error["problems"] == ["$.room.memroy: unknown key; did you mean 'memory'?"]


def test_a_directory_without_a_workspace_says_what_to_type(bare):
    error = error_of(bare, "data", "list")
    assert error["hint"] == "seal init"


def test_a_copy_without_its_keys_says_where_they_were_looked_for(project):
    shutil.rmtree(project.state)
    for words in (("data", "list"), ("data", "read", "train"), ("log", "verify"), ("run",)):
        error = error_of(project, *words)
        assert error["what"] == "the keys of this workspace are not here"
        assert str(project.state) in error["why"]
        assert "seal restore" in error["hint"]


def test_a_second_init_changes_nothing(project):
    before = project.tree()
    error_of(project, "init")
    assert project.tree() == before


def test_a_workspace_of_a_newer_version_is_refused(project):
    path = project.root / ".seal" / "workspace.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "format": 99}))
    error = error_of(project, "log", "verify")
    assert "newer" in error["what"] and "upgrade" in error["hint"]


@pytest.mark.parametrize("junk", ["", "[]", "{}", '{"format": 1}', "\x00\xff", '{"format": "1"}'])
def test_a_workspace_record_of_junk_is_refused(project, junk):
    (project.root / ".seal" / "workspace.json").write_text(junk)
    code, body, _ = project.seal("log", "verify")
    assert code in (1, 2) and body["error"]["what"]


def test_a_wrong_passphrase_is_one_clear_error(bare, monkeypatch):
    monkeypatch.setenv("SEAL_PASSPHRASE", "correct horse")
    bare.ok("init")
    bare.ok("log", "verify")
    monkeypatch.setenv("SEAL_PASSPHRASE", "wrong horse")
    code, body, _ = bare.seal("log", "verify")
    assert code in (1, 2) and "passphrase" in body["error"]["what"]


def test_no_passphrase_and_nobody_to_ask_says_what_to_set(bare, monkeypatch):
    monkeypatch.setenv("SEAL_PASSPHRASE", "correct horse")
    bare.ok("init")
    monkeypatch.delenv("SEAL_PASSPHRASE")
    error = error_of(bare, "log", "verify")
    assert "SEAL_PASSPHRASE" in error["hint"]


def test_lost_keys_are_named_with_the_place_where_they_were(project):
    shutil.rmtree(project.state)
    code, body, _ = project.seal("log", "verify")
    assert code in (1, 2)
    assert "sealwright" in body["error"]["what"] + body["error"]["why"]


def test_keys_open_to_others_are_refused(project):
    (keys,) = (project.state / "sealwright").iterdir()
    (keys / "root.key").chmod(0o644)
    code, body, _ = project.seal("log", "verify")
    assert code in (1, 2) and "root.key" in json.dumps(body)


def test_a_locked_ledger_is_said_to_be_locked_and_nothing_is_lost(project, monkeypatch):
    monkeypatch.setattr(db_sqlite.SqliteLog.open.__func__, "__kwdefaults__", LOCK_SOON)
    holder = sqlite3.connect(project.root / ".seal" / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    project.write("data/more.csv", "a\n1\n")
    error = error_of(project, "data", "add", "data/more.csv", "--name", "more")
    holder.execute("ROLLBACK")
    holder.close()
    assert "locked" in error["what"]
    project.ok("data", "add", "data/more.csv", "--name", "more")
    project.ok("log", "verify")


LOCK_SOON = {**(db_sqlite.SqliteLog.open.__func__.__kwdefaults__ or {}), "busy_s": 0.2}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk to fill")
def test_a_full_disk_loses_nothing_and_says_how_to_go_on(project, tmp_path):
    script = f"""
        set -e
        mkdir -p {tmp_path}/small && mount -t tmpfs -o size=6m tmpfs {tmp_path}/small
        cp -a {project.root} {tmp_path}/small/p && cd {tmp_path}/small/p
        head -c 4000000 /dev/urandom | base64 -w 60 | sed '1i text' > data/big.csv
        set +e
        {sys.executable} -m sealwright data add data/big.csv --name big --json
        echo "code $?"
        rm data/big.csv
        {sys.executable} -m sealwright log verify > /dev/null; echo "verify $?"
        {sys.executable} -m sealwright data list --json
    """
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if "mount:" in done.stderr:
        pytest.skip("this machine does not let us mount a small disk")
    assert "code 2" in done.stdout and "verify 0" in done.stdout, done.stdout + done.stderr
    first, rest = done.stdout.split("code 2")
    assert "space" in json.loads(first)["error"]["what"].lower()
    listed = json.loads(rest.split("verify 0")[1])
    assert [one["ref"] for one in listed["datasets"]] == ["data:train@1"]


def test_ctrl_c_during_a_command_is_said_and_ends_in_2(project, monkeypatch):
    from sealwright.app.cli import data

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "run", interrupted)
    code, body, err = project.seal("data", "list")
    assert (code, body) == (2, {}) and "stopped" in err
