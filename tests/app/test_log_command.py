"""``seal log``, typed: what it shows, and what it says when the log was tampered with."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealwright.app import wiring
from sealwright.core.records import Artifact, Statement
from sealwright.evidence.note import ED25519, Verifier, parse_vkey
from sealwright.evidence.proof import LogProof, verify_proof


def more_entries(count: int) -> None:
    workspace = wiring.open_workspace()
    for at in range(count):
        subject = Artifact(f"trust:{at}", f"{at:064x}")
        workspace.recorder.record(Statement((subject,), "urn:sealwright:predicate:trust/v1", {}))
    workspace.log.close()


def ledger(project) -> Path:
    return project.root / ".seal" / "ledger.db"


def change(project, sql: str, *values) -> None:
    with sqlite3.connect(ledger(project)) as db:
        assert db.execute(sql, values).rowcount > 0
    db.close()


def refusal(project, *words: str) -> dict:
    code, body, err = project.seal(*words)
    assert code == 1, (body, err)
    return body["error"]


@contextmanager
def witness(project, listen: str = "127.0.0.1:0"):
    """A witness process with a home of its own; yields its address and key."""
    made = project.ok("log", "witness", "init", "w1")
    with serving(project, listen) as address:
        yield address, made["vkey"]


@contextmanager
def serving(project, listen: str = "127.0.0.1:0"):
    child = project.spawn("log", "witness", "serve", "w1", "--listen", listen)
    try:
        assert child.stdout is not None
        yield child.stdout.readline().split(" ")[-1].strip()
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)


def test_it_shows_the_entries_with_what_they_are_about(project) -> None:
    shown = project.ok("log", "show")
    assert shown["size"] == len(shown["entries"]) > 1
    first = shown["entries"][0]
    assert (first["index"], first["type"]) == (0, "workspace")
    data = next(e for e in shown["entries"] if e["type"] == "dataset-version")
    assert data["subjects"][0]["name"] == "data:train@1"
    assert data["signer"]["name"] == first["signer"]["name"] != ""
    assert parse_vkey(shown["vkey"]).name == shown["origin"]
    assert len(project.ok("log", "show", "--last", "1")["entries"]) == 1


def test_it_shows_one_entry_whole_and_proves_it_offline(project) -> None:
    shown = project.ok("log", "show", "--index", "0", "--proof", "first.tlog-proof")
    assert shown["predicate"]["profile"] == "solo"
    workspace = wiring.open_workspace()
    body = next(iter(workspace.log.entries(0, 1))).body
    read = LogProof.decode((project.root / "first.tlog-proof").read_bytes())
    key = parse_vkey(project.ok("log", "show")["vkey"])
    assert verify_proof(read, body, [key]).index == 0
    code, body, _ = project.seal("log", "show", "--index", "999")
    assert (code, body["error"]["kind"]) == (2, "BadInput")


def test_a_sound_log_says_what_was_checked_and_what_was_not(project) -> None:
    checked = project.ok("log", "verify")
    found = {check["what"]: check["result"] for check in checked["checks"]}
    assert found == {
        "signatures": "ok",
        "ledger": "ok",
        "anchor": "ok",
        "published tiles": "ok",
        "mirror": "absent",
        "cosignatures": "absent",
        "witness": "absent",
    }


@pytest.mark.parametrize("column", ["body", "leaf"])
def test_the_first_changed_entry_is_named(project, column: str) -> None:
    for index in (2, 1):
        change(project, f"UPDATE entries SET {column} = zeroblob(32) WHERE idx = ?", index)
        error = refusal(project, "log", "verify")
        assert f"entry {index}" in error["what"] + " ".join(error["evidence"])
        assert error["rule"] == "log.entry-changed"


def test_a_replayed_entry_is_named_although_its_signature_holds(project) -> None:
    more_entries(4)
    project.ok("log", "publish")
    change(
        project,
        "UPDATE entries SET (body, leaf) = (SELECT body, leaf FROM entries WHERE idx = 1)"
        " WHERE idx = 3",
    )
    error = refusal(project, "log", "verify")
    assert (error["what"], error["rule"]) == ("entry 3 was changed", "log.entry-changed")


def test_a_dropped_entry_is_named(project) -> None:
    change(project, "DELETE FROM entries WHERE idx = 1")
    assert "entry 1 is missing" in refusal(project, "log", "verify")["what"]


def test_a_rewound_log_is_caught_by_what_this_machine_saw(project) -> None:
    shutil.copy(ledger(project), project.root / "older.db")
    size = project.ok("log", "show")["size"]
    more_entries(3)
    project.ok("log", "show")
    shutil.copy(project.root / "older.db", ledger(project))
    for tail in ("-wal", "-shm"):
        Path(f"{ledger(project)}{tail}").unlink(missing_ok=True)
    error = refusal(project, "log", "verify")
    assert error["rule"] == "log.rewound"
    assert str(size + 3) in error["what"]


def test_published_tiles_that_were_changed_are_named(project) -> None:
    bundle = next((project.root / ".seal/tiles/tile/entries").rglob("[0-9]*"))
    bundle = next(p for p in bundle.parent.rglob("*") if p.is_file())
    data = bytearray(bundle.read_bytes())
    data[-3] ^= 1
    bundle.write_bytes(data)
    error = refusal(project, "log", "verify")
    assert "was changed" in error["what"]


def test_a_mirror_catches_a_fork_and_keeps_what_it_has(project) -> None:
    project.write("seal.toml", project.root.joinpath("seal.toml").read_text() + MIRROR)
    mirrored = project.ok("log", "mirror")
    assert project.ok("log", "verify")["checks"][4]["result"] == "ok"
    before = (project.root.parent / "mirror" / "checkpoint").read_bytes()
    forge(project, mirrored["size"])
    error = refusal(project, "log", "mirror")
    assert (error["rule"], error["what"]) == (
        "log.forked",
        "the log was forked: entry 1 is not the one that was published",
    )
    assert (project.root.parent / "mirror" / "checkpoint").read_bytes() == before
    assert refusal(project, "log", "verify")["rule"] == "log.forked"


MIRROR = '\n[log]\nmirror = "../mirror"\n'


def forge(project, size: int) -> None:
    """A holder of every key of the workspace writes another history and forgets the true one."""
    from sealwright.adapters.db_sqlite import SqliteLog
    from sealwright.evidence.recorder import seal

    workspace = wiring.open_workspace()
    bodies = [entry.body for entry in workspace.log.entries()]
    lie = Statement((Artifact("data:train@1", "0" * 64),), "urn:sealwright:predicate:trust/v1", {})
    bodies[1] = seal(lie, workspace.keyring.signer("workspace"))
    workspace.log.close()
    for path in ledger(project).parent.glob("ledger.db*"):
        path.unlink()
    log = SqliteLog.create(ledger(project), workspace.origin, workspace.keyring.signer("log"))
    log.append(bodies)
    log.close()
    assert len(bodies) == size
    shutil.rmtree(project.root / ".seal" / "tiles")
    (workspace.state_dir / "anchor.json").unlink()


def test_a_key_holder_who_rewrites_history_is_not_caught_without_a_witness(project) -> None:
    forge(project, project.ok("log", "show")["size"])
    checked = project.ok("log", "verify")
    unwatched = next(c for c in checked["checks"] if c["what"] == "witness")
    assert unwatched["detail"] == "none is set: a rewritten history would not show"


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "unix:{tmp}/w.sock"])
def test_a_key_holder_who_rewrites_history_is_caught_with_a_witness(project, listen: str) -> None:
    with witness(project, listen.format(tmp=project.root.parent)) as (address, vkey):
        trusted = project.ok("log", "witness", "trust", vkey, "--at", address)
        assert trusted["separation"] == "same-uid"
        toml = project.root / "seal.toml"
        toml.write_text(toml.read_text() + f'\n[log]\nwitness = "{address}"\n')
        asked = project.ok("log", "witness", "ask")
        seen = project.ok("log", "verify")
        assert {c["what"]: c["result"] for c in seen["checks"]}["witness"] == "ok"
        assert {c["what"]: c["result"] for c in seen["checks"]}["cosignatures"] == "ok"
        held = project.ok("log", "witness", "show", "w1")["logs"][0]
        assert (held["size"], held["root"]) == (asked["size"], asked["root"])
        forge(project, asked["size"])
        for words in (("log", "verify"), ("log", "witness", "ask")):
            assert refusal(project, *words)["rule"] == "log.forked"


def test_a_witness_out_of_reach_holds_nothing_up(project) -> None:
    with witness(project) as (address, vkey):
        project.ok("log", "witness", "trust", vkey, "--at", address)
    toml = project.root / "seal.toml"
    toml.write_text(toml.read_text() + f'\n[log]\nwitness = "{address}"\n')
    project.write("data/train.csv", "x,label\n1,1\n")
    project.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "smaller")
    found = {c["what"]: c for c in project.ok("log", "verify")["checks"]}
    assert found["witness"]["result"] == "unreachable"
    code, body, _ = project.seal("log", "witness", "ask")
    assert (code, body["error"]["kind"]) == (2, "Unavailable")


def test_trusting_a_witness_is_itself_in_the_log(project) -> None:
    with witness(project) as (address, vkey):
        project.ok("log", "witness", "trust", vkey, "--at", address, "--reason", "an auditor's")
        again = project.ok("log", "witness", "trust", vkey, "--at", address)
    entries = [e for e in project.statements() if e["type"] == "trust"]
    assert len(entries) == 1
    assert entries[0]["subjects"][0]["digest"] == again["trust"]
    whole = project.ok("log", "show", "--index", str(entries[0]["index"]))
    assert whole["predicate"]["reason"] == "an auditor's"
    assert whole["predicate"]["added"][0]["role"] == "witness"


def test_a_witness_can_be_told_of_one_more_log(project) -> None:
    project.ok("log", "witness", "init", "w1")
    own = project.ok("log", "show")["vkey"]
    other = Verifier("elsewhere.example/log", ED25519, parse_vkey(own).public).vkey
    shown = project.ok("log", "witness", "watch", "w1", "--log", other)
    assert {log["vkeys"][0] for log in shown["logs"]} == {own, other}
    misnamed = other.replace("elsewhere", "nowhere")
    code, body, _ = project.seal("log", "witness", "watch", "w1", "--log", misnamed)
    assert (code, body["error"]["kind"]) == (2, "BadInput")


def test_a_log_key_is_not_taken_for_a_witness(project) -> None:
    vkey = project.ok("log", "show")["vkey"]
    code, body, _ = project.seal("log", "witness", "trust", vkey, "--at", "127.0.0.1:1")
    assert (code, body["error"]["kind"]) == (2, "BadInput")


def test_publishing_elsewhere_gives_a_log_anyone_can_read(project) -> None:
    made = project.ok("log", "publish", "../public")
    assert made["size"] == project.ok("log", "show")["size"]
    assert (project.root.parent / "public" / "checkpoint").is_file()


def test_a_forged_published_checkpoint_is_damage_and_not_a_rewound_log(project) -> None:
    from sealwright.evidence.checkpoint import Checkpoint, sign_checkpoint
    from sealwright.vault.signers import Ed25519Signer

    origin = project.ok("log", "show")["origin"]
    note = sign_checkpoint(Checkpoint(origin, 10_000, bytes(32)), Ed25519Signer.generate())
    (project.root / ".seal/tiles/checkpoint").write_bytes(note)
    error = refusal(project, "log", "publish")
    assert error["what"] == "the published log was damaged"
    shutil.rmtree(project.root / ".seal/tiles")
    project.ok("log", "publish")
    project.ok("log", "verify")
