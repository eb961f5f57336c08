"""A workspace whose keys are in a key service or a token: the same commands, end to end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from app_house import needs_room

sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))
from softhsm import softhsm_token

from sealwright.app import wiring
from sealwright.vault.custody import RemoteSigner


@contextlib.contextmanager
def served(project, *words):
    """``seal keys serve`` in a process of its own, once it listens."""
    process = project.spawn("keys", "serve", *words, "--json")
    try:
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            text += line
        yield json.loads(text)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def settle_on(project, kms):
    toml = project.root / "seal.toml"
    toml.write_text(toml.read_text() + f'\n[keys]\nkms = "{kms}"\n')


@pytest.fixture
def moved(project, tmp_path):
    """A workspace whose keys were moved to a home of their own."""
    home = tmp_path / "home"
    project.ok("keys", "move", str(home))
    settle_on(project, f"service:unix:{home}/socket")
    return home


@needs_room
def test_the_whole_work_goes_through_the_service_and_no_root_key_is_left_behind(project, moved):
    state = wiring.open_workspace(project.root).state_dir
    assert not (state / "root.json").exists()
    assert not (state / "root.key").exists()
    assert not list((state / "keys").glob("*"))
    with served(project, "--home", str(moved)) as said:
        assert said["listening"] == [f"service:unix:{moved}/socket"]
        project.ok("data", "verify", "data:train@1")
        project.ok("run", "--", "python", "train.py")
        project.ok("log", "verify")
        project.ok("keys", "rotate", "data:train", "--reason", "x")
        project.ok("keys", "rotate", "log", "--reason", "x")
        project.ok("keys", "rotate", "keyring", "--reason", "x")
        assert project.ok("keys", "drill", "log")["held"]
        assert project.ok("data", "verify", "data:train@1")
        ws = wiring.open_workspace(project.root)
        assert isinstance(ws.keyring.signer("log"), RemoteSigner)
        ws.kms.close()
        uses = project.ok("keys", "uses", "--home", str(moved), "--last", "1000")["uses"]
    asked = {(use["operation"], use["key"]) for use in uses}
    assert {("unwrap", "data:train"), ("sign", "log"), ("rewrap", "data:train")} <= asked
    assert {use["principal"] for use in uses} == {"ada"}
    assert {use["artifact"] for use in uses if use["operation"] == "unwrap"} >= {"data:train@1"}


def test_without_the_service_everything_is_one_clear_error_and_nothing_is_lost(project, moved):
    code, body, _ = project.seal("data", "verify", "data:train@1")
    assert code == 2
    assert "seal keys serve" in json.dumps(body["error"])
    with served(project, "--home", str(moved)):
        project.ok("data", "verify", "data:train@1")
        code, _, _ = project.seal("backup", "../b.tar", "--with-keys")
        assert code == 2
        code, _, _ = project.seal("keys", "protect", "--key-file")
        assert code == 2
    assert project.seal("data", "verify", "data:train@1")[0] == 2
    with served(project, "--home", str(moved)):
        project.ok("data", "verify", "data:train@1")


def test_disabling_stops_another_process_at_once(project, moved):
    with served(project, "--home", str(moved)):
        project.ok("keys", "disable", "data:train", "--reason", "x")
        code, body, _ = project.seal("data", "verify", "data:train@1")
        assert (code, body["error"]["rule"]) == (1, "keys.disabled")
        project.ok("keys", "enable", "data:train", "--reason", "x")
        project.ok("data", "verify", "data:train@1")


MOVING = """
import os, signal, sys
from sealwright.app.cli import main
from sealwright.vault import private
left = int(sys.argv[1])
def counted(real):
    def step(*args, **more):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*args, **more)
    return step
for name in ("create", "overwrite", "remove", "sync_dir"):
    setattr(private, name, counted(getattr(private, name)))
sys.exit(main(["keys", "move", sys.argv[2]]))
"""


def test_a_move_killed_at_any_step_has_the_keys_here_or_there_and_goes_on(project, tmp_path):
    state = wiring.open_workspace(project.root).state_dir
    spare = tmp_path / "spare"
    shutil.copytree(state, spare)
    for step in range(60):
        home = tmp_path / f"home{step}"
        command = [sys.executable, "-c", MOVING, str(step), str(home)]
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        here, there = (state / "root.json").exists(), (home / "root.json").exists()
        assert here or there
        if there:
            with served(project, "--home", str(home)):
                pass
        shutil.rmtree(state)
        shutil.copytree(spare, state)
    assert done.returncode == 0
    assert step > 10


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it under another uid")
def test_as_root_the_service_runs_under_a_uid_of_its_own(project, moved, tmp_path):
    for path in [moved, *moved.rglob("*")]:
        shutil.chown(path, "nobody")
    run = tmp_path / "run"
    run.mkdir()
    shutil.chown(run, "nobody")
    for above in tmp_path.parents:
        if above != Path("/") and above.stat().st_uid == 0:
            above.chmod(above.stat().st_mode | 0o011)
    tmp_path.chmod(0o711)
    toml = project.root / "seal.toml"
    toml.write_text(toml.read_text().replace(f"{moved}/socket", f"{run}/socket"))
    words = ("--home", str(moved), "--socket", str(run / "socket"), "--user", "nobody")
    with served(project, *words):
        assert (run / "socket").stat().st_uid != 0
        project.ok("data", "verify", "data:train@1")


def test_a_workspace_lives_in_a_pkcs11_token(bare, monkeypatch):
    pytest.importorskip("pkcs11", reason="needs the extra pkcs11")
    monkeypatch.setenv("SEAL_PKCS11_PIN", "1234")
    made = bare.ok("init", "--kms", softhsm_token())
    assert made["custody"] == "external"
    state = wiring.open_workspace(bare.root).state_dir
    assert not (state / "root.json").exists()
    bare.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "first")
    bare.ok("data", "verify", "data:train@1")
    assert bare.ok("keys", "rotate", "data:train")["rewrapped"] >= 1
    bare.ok("keys", "rotate", "log")
    bare.ok("data", "verify", "data:train@1")
    bare.ok("log", "verify")
    bare.ok("keys", "disable", "data:train")
    assert bare.seal("data", "verify", "data:train@1")[0] == 1
    monkeypatch.setenv("SEAL_PKCS11_PIN", "9999")
    # a login is the process's: another process has to type the right one
    done = bare.spawn("keys", "--json")
    body = json.loads(done.communicate(timeout=60)[0])
    assert body["error"]["rule"] == "keys.wrong-pin"
