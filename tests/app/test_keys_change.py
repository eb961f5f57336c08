"""seal keys rotate, disable, shred, drill: what changes, what stays, what the log says."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from sealwright.app import rotating, wiring
from sealwright.core.errors import VerifyError
from sealwright.evidence.checkpoint import Checkpoint, sign_checkpoint
from sealwright.evidence.history import verified_checkpoint
from sealwright.vault.secrets import Secrets


def keys(project):
    return {each["key"]: each for each in project.ok("keys", "list")["keys"]}


def test_a_scope_key_rotates_and_every_version_still_reads(project):
    project.write("data/train.csv", "x,label\n1,0\n")
    project.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "second")
    done = project.ok("keys", "rotate", "data:train", "--reason", "yearly")
    assert (done["generation"], done["retired"], done["damaged"]) == (2, [1], [])
    assert done["rewrapped"] == done["segments"] >= 3
    assert keys(project)["data:train"] == {
        "key": "data:train",
        "generation": 2,
        "former": [],
        "state": "enabled",
    }
    project.ok("data", "verify", "data:train@1")
    project.ok("data", "verify", "data:train@2")
    assert project.ok("keys", "status")["half_rotated"] == []


def test_the_key_that_wraps_signing_keys_and_the_root_rotate(project):
    before = project.ok("keys")["signers"]
    assert project.ok("keys", "rotate", "keyring")["generation"] == 2
    recovery = project.ok("keys", "rotate", "root")["recovery_key"]
    assert len(recovery.split("-")) == 8
    assert project.ok("keys")["signers"] == before
    project.ok("data", "verify", "data:train@1")
    project.ok("log", "verify")


@pytest.mark.parametrize("role", ["log", "workspace", "model", "principal:ada"])
def test_a_signing_key_is_replaced_and_old_evidence_still_verifies(project, role):
    before = project.ok("log", "show")
    new = project.ok("keys", "rotate", role, "--reason", "left the team")
    held = {each["role"]: each["key_id"] for each in project.ok("keys")["signers"]}
    assert held[role] == new["key_id"] != new["former"]
    project.write("data/more.csv", "x,label\n3,1\n")
    project.ok("data", "add", "data/more.csv", "--name", "more", "--reason", "after")
    project.ok("log", "verify")
    assert project.ok("log", "show")["size"] > before["size"]
    ranges = project.ok("keys", "status")["signing"]
    kind = role.partition(":")[0]
    entries = [each["entries"] for each in ranges if each["role"] == kind]
    assert entries == [f"0-{new['first_index'] - 1}", f"{new['first_index']}-"]


STEPS = """
import os, signal, sys
from sealwright.app.cli import main
from sealwright.adapters import durable
from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.app import trusting
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
private.replace = counted(private.replace)
private.remove = counted(private.remove)
trusting.write_durably = counted(trusting.write_durably)
SqliteLog.append = counted(SqliteLog.append)
sys.exit(main(["keys", "rotate", sys.argv[2], "--reason", "drill"]))
"""


@pytest.mark.parametrize("role", ["log", "workspace"])
def test_a_replacement_killed_at_any_step_leaves_a_log_that_verifies_and_goes_on(project, role):
    for step in range(9):
        command = [sys.executable, "-c", STEPS, str(step), role]
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
        assert done.returncode in (0, -9), done.stderr
        project.ok("log", "verify")
        project.ok("data", "verify", "data:train@1")
        assert project.ok("keys", "rotate", role, "--reason", "goes on")["key_id"]
        project.ok("log", "verify")


def test_whoever_holds_an_old_signer_signs_with_the_new_key_or_not_at_all(project):
    stale = wiring.open_workspace(project.root)
    stale.history()
    recorder, log = stale.recorder, stale.log
    project.ok("keys", "rotate", "workspace")
    project.ok("keys", "rotate", "log")
    state = rotating.state_of(stale, "run") if "run" in keys(project) else stale.kms.states()[0]
    rotating.record_key(stale, state, "enabled", "by one who was there before")
    assert recorder is stale.recorder
    assert log is stale.log
    project.ok("log", "verify")


def test_a_stolen_log_key_signs_nothing_after_the_break(project):
    ws = wiring.open_workspace(project.root)
    ws.history()
    thief, old = ws.keyring.signer("log"), ws.log.checkpoint()
    size = ws.log.size()
    new = project.ok("keys", "rotate", "log", "--reason", "stolen")
    ws = wiring.open_workspace(project.root)
    assert verified_checkpoint(old, ws.trust).size == size
    assert new["first_index"] == size + 1
    for forged_size in (size + 2, size + 3, size + 400):
        forged = sign_checkpoint(Checkpoint(ws.origin, forged_size, bytes(32)), thief)
        with pytest.raises(VerifyError) as caught:
            verified_checkpoint(forged, ws.trust)
        assert caught.value.rule == "log.checkpoint-signer"


def test_the_drill_holds_and_changes_nothing(project):
    before, tree = project.ok("log", "show")["size"], project.tree()
    drill = project.ok("keys", "drill", "log")
    assert drill["held"]
    assert len(drill["steps"]) == 5
    assert (project.ok("log", "show")["size"], project.tree()) == (before, tree)
    assert not list(project.state.rglob("*drill*"))
    assert [
        s["entries"] for s in project.ok("keys", "status")["signing"] if s["role"] == "log"
    ] == ["0-"]


def test_a_disabled_key_makes_its_data_unreadable_at_once_and_enabling_brings_it_back(project):
    assert project.ok("keys", "disable", "data:train", "--reason", "incident")["state"] == (
        "disabled"
    )
    code, body, _ = project.seal("data", "verify", "data:train@1")
    assert (code, body["error"]["rule"]) == (1, "keys.disabled")
    code, body, _ = project.seal("keys", "rotate", "data:train")
    assert (code, body["error"]["rule"]) == (1, "keys.disabled")
    project.ok("keys", "enable", "data:train", "--reason", "over")
    project.ok("data", "verify", "data:train@1")
    acts = [
        each["statement"]["predicate"]["act"]
        for each in project.statements()
        if each.get("statement", {}).get("predicateType", "").endswith(":key/v1")
    ]
    assert acts in ([], ["disabled", "enabled"])


def test_a_reader_under_way_stops_within_a_second_of_the_switch(project):
    ws = wiring.open_workspace(project.root)
    from sealwright.intake.versions import Datasets, open_files

    dataset = Datasets(ws.history(), ws.store).resolve("data:train@1")
    [file] = list(open_files(dataset, ws.store, ws.root))
    assert file.readable.pread(0, 10)
    other = wiring.open_workspace(project.root)
    other.kms.switch("data:train", on=False)
    start = time.monotonic()
    refused = None
    while refused is None and time.monotonic() - start < 30:
        try:
            file.readable.pread(0, 10)
        except Exception as error:
            refused = error
    assert getattr(refused, "rule", "") == "keys.disabled"
    assert time.monotonic() - start < 1.0


def test_shredding_a_version_destroys_what_only_it_needs(project):
    first = project.write("data/train.csv", "").parent.parent
    assert first == project.root
    project.write("data/train.csv", "x,label\n5,1\n")
    project.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "second")
    ws = wiring.open_workspace(project.root)
    from sealwright.intake.versions import Datasets

    dataset = Datasets(ws.history(), ws.store).resolve("data:train@1")
    copies = {
        segment: ws.store.path("data:train", segment).read_bytes()
        for segment in Datasets(ws.history(), ws.store).segments(dataset)
    }
    done = project.ok("data", "shred", "data:train@1", "--reason", "a person asked")
    assert done["segments"] == len(copies) > 0
    assert done["destroyed"] == [1]
    project.ok("data", "verify", "data:train@2")
    assert project.seal("data", "verify", "data:train@1")[0] == 1
    for segment, body in copies.items():
        path = ws.store.path("data:train", segment)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)
    code, body, _ = project.seal("data", "verify", "data:train@1")
    assert code == 1, "a copy from a backup opens no more"
    assert body["error"]["rule"] in ("store.key-changed", "store.segment-missing")
    assert project.seal("data", "shred", "data:train@1", "--reason", "again")[0] == 2


def test_shared_segments_outlive_a_version_that_is_shredded(project):
    project.ok(
        "data", "add", "data/train.csv", "--name", "train", "--reason", "same", "--force-version"
    )
    done = project.ok("data", "shred", "data:train@1", "--reason", "old")
    assert done["kept"] >= 1
    project.ok("data", "verify", "data:train@2")


KILLED_SHRED = """
import os, signal, sys
from sealwright.app.cli import main
from sealwright.adapters import store_local, store_journal
from sealwright.adapters.db_sqlite import SqliteLog
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
private.bury = counted(private.bury)
private.overwrite = counted(private.overwrite)
private.remove = counted(private.remove)
SqliteLog.append = counted(SqliteLog.append)
sys.exit(main(["data", "shred", "data:train@1", "--reason", "gone"]))
"""


def test_shredding_killed_at_any_step_goes_on_and_keeps_the_other_version(project):
    project.write("data/train.csv", "x,label\n5,1\n")
    project.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "second")
    for step in range(40):
        command = [sys.executable, "-c", KILLED_SHRED, str(step)]
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
        project.ok("data", "verify", "data:train@2")
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert done.returncode == 0
    assert step > 3
    project.ok("log", "verify")
    assert project.seal("data", "verify", "data:train@1")[0] == 1


def test_shredding_a_key_takes_everything_under_it(project):
    assert project.ok("keys", "shred", "data:train", "--reason", "contract over")["destroyed"] == [
        1
    ]
    code, body, _ = project.seal("data", "verify", "data:train@1")
    assert (code, body["error"]["rule"]) == (1, "keys.destroyed")
    assert project.seal("keys", "shred", "data:train")[0] == 2
    assert project.seal("keys", "shred", "keyring")[0] == 2
    assert project.seal("keys", "shred", "data:none")[0] == 2


def test_in_a_team_one_person_alone_destroys_nothing(bare):
    bare.ok("init", "--profile", "team")
    bare.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "first")
    for words in (("data", "shred", "data:train@1"), ("keys", "shred", "data:train")):
        code, body, _ = bare.seal(*words, "--reason", "why not")
        assert code == 1, body
        assert body["error"]["rule"].startswith("access.")
    bare.ok("data", "verify", "data:train@1")


def test_the_key_of_secrets_rotates_and_they_still_open(project):
    ws = wiring.open_workspace(project.root)
    Secrets(ws.state_dir, ws.kms).put(
        "API_TOKEN", "value-of-a-token", "ada", "2026-01-01T00:00:00Z"
    )
    assert project.ok("keys", "rotate", "secrets")["rewrapped"] == 1
    assert Secrets(ws.state_dir, ws.kms).values() == {"API_TOKEN": "value-of-a-token"}
    assert project.seal("keys", "rotate", "tokens")[0] == 2
