"""seal backup and seal restore: what comes back, under which name, and what is refused."""

from __future__ import annotations

import io
import json
import os
import tarfile

import pytest

from sealwright.app import cli, wiring
from sealwright.app.setup import create_workspace
from sealwright.core import predicates as p
from sealwright.core.records import Artifact, Statement
from sealwright.evidence.merkle import leaf_hash, root_of
from sealwright.vault import stream


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    folder = tmp_path / "project"
    (folder / "policies").mkdir(parents=True)
    (folder / "seal.toml").write_text('profile = "solo"\n')
    (folder / "policies" / "own.cedar").write_text("// rules\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def made(project):
    """A workspace with one stored file and one statement; its recovery key."""
    ws, recovery = create_workspace(project, "solo", None)
    content = os.urandom(200_000)
    file = ws.store.put("data:a", io.BytesIO(content))
    ws.recorder.record(Statement((Artifact("x", file.sha256),), p.DATASET_VERSION, {"n": 1}))
    ws.history()
    return ws, recovery, file, content


def run(capsys, *words: str) -> tuple[int, dict]:
    code = cli.main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def backup(capsys, tmp_path, *words: str):
    code, report = run(capsys, "backup", str(tmp_path / "b.tar"), *words)
    assert code == 0
    return tmp_path / "b.tar", report


def fresh(tmp_path, monkeypatch, name: str = "again"):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_restored_workspace_has_all_and_a_new_origin(made, capsys, tmp_path, monkeypatch):
    before, _, file, content = made
    target, report = backup(capsys, tmp_path)
    entries = [entry.body for entry in before.log.entries()]
    folder = fresh(tmp_path, monkeypatch)
    code, restored = run(capsys, "restore", str(target), "--reason", "the disk died")
    assert code == 0
    ws = wiring.open_workspace()
    assert ws.root == folder
    assert restored["origin"] == ws.origin == f"{before.origin}/1"
    assert stream.check(ws.store.open("data:a", file), file) == file
    assert ws.store.open("data:a", file).pread(0, 10) == content[:10]
    history = ws.history()
    assert [entry.body for entry in ws.log.entries(0, len(entries))] == entries
    [continued] = history.of_type(p.CONTINUATION)
    assert continued.index == restored["continuation"] == len(entries) == report["size"]
    said = continued.statement.predicate
    assert said["origin_before"] == before.origin
    assert said["reason"] == "the disk died"
    assert said["root_before"] == root_of([leaf_hash(body) for body in entries]).hex()
    assert (folder / "policies" / "own.cedar").read_text() == "// rules\n"
    assert (folder / ".seal" / "past" / "1" / "checkpoint").is_file()
    assert (folder / ".seal" / "tiles" / "checkpoint").is_file()
    assert ws.settle() == []


def test_work_goes_on_after_a_restore_and_a_second_one_counts_on(
    made, capsys, tmp_path, monkeypatch
):
    target, _ = backup(capsys, tmp_path)
    fresh(tmp_path, monkeypatch)
    assert run(capsys, "restore", str(target))[0] == 0
    ws = wiring.open_workspace()
    ws.recorder.record(Statement((Artifact("y", "0" * 64),), p.DATASET_VERSION, {"n": 2}))
    ws.settle()
    again = tmp_path / "b2.tar"
    assert run(capsys, "backup", str(again))[0] == 0
    fresh(tmp_path, monkeypatch, "third")
    _, restored = run(capsys, "restore", str(again))
    assert restored["origin"].endswith("/2")
    assert len(wiring.open_workspace().history().of_type(p.CONTINUATION)) == 2
    fresh(tmp_path, monkeypatch, "fourth")
    _, restored = run(capsys, "restore", str(target))
    assert restored["origin"].endswith("/3")


def test_what_the_machine_saw_later_is_counted_and_stated(made, capsys, tmp_path, monkeypatch):
    target, _ = backup(capsys, tmp_path)
    ws = made[0]
    for number in range(3):
        ws.recorder.record(Statement((Artifact("y", "0" * 64),), p.DATASET_VERSION, {"n": number}))
    ws.history()
    fresh(tmp_path, monkeypatch)
    _, restored = run(capsys, "restore", str(target))
    assert restored["unseen"] == 3
    [continued] = wiring.open_workspace().history().of_type(p.CONTINUATION)
    assert "3 later entries" in continued.statement.predicate["reason"]


def test_keys_are_left_out_unless_asked_for(made, capsys, tmp_path, monkeypatch):
    target, report = backup(capsys, tmp_path)
    assert report["keys"] is False
    assert not [name for name in names(target) if name.startswith("keys/")]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another-machine"))
    folder = fresh(tmp_path, monkeypatch)
    code, report = run(capsys, "restore", str(target))
    assert code == 2
    assert "--with-keys" in report["error"]["hint"]
    assert list(folder.iterdir()) == []


def test_another_machine_restores_with_the_recovery_key(made, capsys, tmp_path, monkeypatch):
    _, recovery, file, _ = made
    target, _ = backup(capsys, tmp_path, "--with-keys")
    assert "keys/root.key" not in names(target)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another-machine"))
    folder = fresh(tmp_path, monkeypatch)
    code, _ = run(capsys, "restore", str(target))
    assert (code, list(folder.iterdir())) == (2, [])
    assert not (tmp_path / "another-machine" / "sealwright" / made[0].id).exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(recovery.lower() + "\n"))
    assert run(capsys, "restore", str(target), "--recovery-key")[0] == 0
    ws = wiring.open_workspace()
    assert stream.check(ws.store.open("data:a", file), file) == file
    assert ws.history().size == ws.log.size()


def test_another_machine_restores_with_the_passphrase(project, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SEAL_PASSPHRASE", "correct horse")
    create_workspace(project, "solo", "correct horse")
    target, _ = backup(capsys, tmp_path, "--with-keys")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another-machine"))
    fresh(tmp_path, monkeypatch)
    monkeypatch.setenv("SEAL_PASSPHRASE", "wrong")
    code, report = run(capsys, "restore", str(target))
    assert (code, report["error"]["rule"]) == (1, "keys.wrong-passphrase")
    monkeypatch.setenv("SEAL_PASSPHRASE", "correct horse")
    assert run(capsys, "restore", str(target))[0] == 0
    assert wiring.open_workspace().kms.custody == "passphrase"


def test_a_backup_holds_no_plaintext_and_no_open_key(project, capsys, tmp_path):
    ws, _ = create_workspace(project, "solo", None)
    ws.store.put("data:a", io.BytesIO(b"the patient is Ada Lovelace " * 1000))
    target, _ = backup(capsys, tmp_path, "--with-keys")
    raw = target.read_bytes()
    assert b"Lovelace" not in raw
    assert b"PRIVATE KEY" not in raw
    assert (ws.state_dir / "root.key").read_bytes() not in raw
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_not_overwritten(made, capsys, tmp_path):
    target = tmp_path / "b.tar"
    target.write_text("mine")
    assert run(capsys, "backup", str(target))[0] == 2
    assert target.read_text() == "mine"
    assert run(capsys, "backup", ".seal/inside.tar")[0] == 2


def test_a_directory_with_a_workspace_or_other_rules_is_refused(
    made, capsys, tmp_path, monkeypatch
):
    target, _ = backup(capsys, tmp_path)
    assert run(capsys, "restore", str(target))[0] == 2
    folder = fresh(tmp_path, monkeypatch)
    (folder / "seal.toml").write_text('profile = "team"\n')
    code, report = run(capsys, "restore", str(target))
    assert code == 2
    assert "seal.toml" in report["error"]["what"]
    assert [path.name for path in folder.iterdir()] == ["seal.toml"]


def test_another_trust_root_is_refused(made, capsys, tmp_path, monkeypatch):
    target, _ = backup(capsys, tmp_path)
    folder = fresh(tmp_path, monkeypatch)
    assert run(capsys, "restore", str(target), "--trust", "0" * 64)[0] == 2
    assert list(folder.iterdir()) == []
    fingerprint = made[0].trust.fingerprint
    assert run(capsys, "restore", str(target), "--trust", fingerprint, "--check")[0] == 0
    assert list(folder.iterdir()) == []


def test_a_trust_root_this_machine_did_not_pin_is_refused(made, capsys, tmp_path, monkeypatch):
    target, _ = backup(capsys, tmp_path)
    (made[0].state_dir / "trust.pin").write_text("0" * 64)
    folder = fresh(tmp_path, monkeypatch)
    code, report = run(capsys, "restore", str(target))
    assert (code, report["error"]["kind"]) == (2, "UnknownSigner")
    assert list(folder.iterdir()) == []


def test_a_changed_byte_in_any_member_is_refused_and_named(made, capsys, tmp_path, monkeypatch):
    target, _ = backup(capsys, tmp_path, "--with-keys")
    folder = fresh(tmp_path, monkeypatch)
    good = target.read_bytes()
    with tarfile.open(target) as tar:
        spots = [(info.name, info.offset_data, info.size) for info in tar if info.size]
    for name, offset, size in spots:
        for at in (offset, offset + size // 2, offset + size - 1):
            target.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            code, report = run(capsys, "restore", str(target))
            assert code in (1, 2), (name, at)
            if name.startswith(("seal/store", "seal/log", "project", "keys")):
                assert name in report["error"]["what"]
    assert list(folder.iterdir()) == []


def test_a_dropped_added_or_moved_member_is_refused(made, capsys, tmp_path, monkeypatch):
    target, _ = backup(capsys, tmp_path)
    members = unpack(target)
    folder = fresh(tmp_path, monkeypatch)
    segment = next(name for name in members if name.startswith("seal/store/"))
    without = {name: data for name, data in members.items() if name != segment}
    added = {"seal/extra": b"x", **members}
    moved = {name.replace(segment, "seal/store/other.seg"): d for name, d in members.items()}
    for changed in (without, added, moved):
        pack(target, changed)
        code, report = run(capsys, "restore", str(target))
        assert (code, report["error"]["rule"]) == (1, "backup.member-changed")
    uncatalogued = {name: data for name, data in members.items() if name != "backup.json"}
    pack(target, uncatalogued)
    assert run(capsys, "restore", str(target))[1]["error"]["rule"] == "backup.truncated"
    assert list(folder.iterdir()) == []


def test_every_cut_is_refused(made, capsys, tmp_path, monkeypatch):
    target, _ = backup(capsys, tmp_path)
    folder = fresh(tmp_path, monkeypatch)
    good = target.read_bytes()
    end = len(good.rstrip(b"\0"))
    for at in [0, 1, 100, 511, 512, 513, *range(1000, end, 9973), end - 1]:
        target.write_bytes(good[:at])
        assert run(capsys, "restore", str(target))[0] in (1, 2)
    assert list(folder.iterdir()) == []


def test_a_backup_signed_by_another_workspace_is_refused(made, capsys, tmp_path, monkeypatch):
    """Somebody else's catalogue over our members: their key is not in our trust root."""
    target, _ = backup(capsys, tmp_path)
    other_home = fresh(tmp_path, monkeypatch, "other")
    create_workspace(other_home, "solo", None)
    assert run(capsys, "backup", str(tmp_path / "other.tar"))[0] == 0
    members = unpack(target)
    members["backup.json"] = unpack(tmp_path / "other.tar")["backup.json"]
    pack(target, members)
    folder = fresh(tmp_path, monkeypatch)
    assert run(capsys, "restore", str(target))[0] in (1, 2)
    assert list(folder.iterdir()) == []


def test_a_crash_before_the_last_step_leaves_no_workspace(made, capsys, tmp_path, monkeypatch):
    target, _ = backup(capsys, tmp_path)
    folder = fresh(tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(
            "sealwright.app.restoring._project_files",
            lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )
        assert cli.main(["restore", str(target)]) == 2
    assert list(folder.iterdir()) == []
    capsys.readouterr()
    assert run(capsys, "restore", str(target))[0] == 0


def names(target) -> list[str]:
    with tarfile.open(target) as tar:
        return tar.getnames()


def unpack(target) -> dict[str, bytes]:
    with tarfile.open(target) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}


def pack(target, members: dict[str, bytes]) -> None:
    with tarfile.open(target, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
