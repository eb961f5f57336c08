"""seal gc: frees what nothing names, and nothing else."""

from __future__ import annotations

import io
import json
import os
import time

import pytest

from sealwright.app import cli, garbage, wiring
from sealwright.app.setup import create_workspace
from sealwright.core import predicates as p
from sealwright.core.errors import VerifyError
from sealwright.core.locking import exclusive, is_held
from sealwright.core.records import Artifact, Statement

SCOPE = "data:a"


@pytest.fixture
def ws(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    create_workspace(project, "solo", None)
    return wiring.open_workspace()


def put(ws, content: bytes, *, age_s: int = 7200, scope: str = SCOPE):
    file = ws.store.put(scope, io.BytesIO(content))
    then = time.time() - age_s
    for segment in file.segments:
        os.utime(ws.seal_dir / "store" / scope / segment[:2] / f"{segment}.seg", (then, then))
    return file


def version(ws, content: bytes):
    """A file, a manifest that names it, a statement that names the manifest."""
    file = put(ws, content)
    manifest = put(ws, json.dumps({"pad": "x" * 5000, "segments": list(file.segments)}).encode())
    named = {"size": manifest.size, "segments": list(manifest.segments)}
    record(ws, p.DATASET_VERSION, {"manifest": named}, manifest.sha256)
    return file, manifest


def record(ws, kind: str, predicate: dict, digest: str = "0" * 64) -> None:
    ws.recorder.record(Statement((Artifact("x", digest),), kind, predicate))


def gc(capsys, *words: str) -> dict:
    assert cli.main(["gc", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_a_version_names_stays_and_the_rest_goes(ws, capsys):
    file, manifest = version(ws, b"named " * 100)
    loose = put(ws, b"nobody names this")
    report = gc(capsys)
    assert [each["segment"] for each in report["segments"]] == list(loose.segments)
    assert ws.store.segments(SCOPE) == {*file.segments, *manifest.segments, *loose.segments}
    report = gc(capsys, "--yes")
    assert report["removed"] and report["freed_bytes"] > 0
    assert ws.store.segments(SCOPE) == {*file.segments, *manifest.segments}
    assert gc(capsys, "--yes")["segments"] == []


def test_what_was_stored_just_now_stays(ws, capsys):
    put(ws, b"an add under way", age_s=10)
    report = gc(capsys, "--yes")
    assert (report["segments"], report["too_young"]) == ([], 1)
    assert len(ws.store.segments(SCOPE)) == 1


def test_a_run_under_way_keeps_what_was_stored_since_it_began(ws, capsys):
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 86400))
    record(ws, p.INTENT, {"run": "r1", "time": began})
    kept, gone = put(ws, b"its code", age_s=80000), put(ws, b"older", age_s=200000)
    assert [e["segment"] for e in gc(capsys, "--yes")["segments"]] == list(gone.segments)
    record(ws, p.CLOSED, {"run": "r1", "status": "interrupted"})
    assert [e["segment"] for e in gc(capsys, "--yes")["segments"]] == list(kept.segments)


def test_an_id_across_the_seam_of_two_segments_lives(ws, capsys, monkeypatch):
    monkeypatch.setattr("sealwright.adapters.store_local.SLICE_BYTES", 4096)
    file = put(ws, b"payload")
    text = b" " * (4096 - 30) + b'"' + file.segments[0].encode() + b'"'
    manifest = put(ws, text)
    assert len(manifest.segments) == 2
    record(ws, p.DATASET_VERSION, {"manifest": {"segments": list(manifest.segments)}})
    assert gc(capsys)["segments"] == []


def test_a_changed_manifest_stops_the_collection(ws, capsys):
    _, manifest = version(ws, b"named")
    put(ws, b"loose")
    segment = manifest.segments[0]
    path = ws.seal_dir / "store" / SCOPE / segment[:2] / f"{segment}.seg"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    held = ws.store.segments(SCOPE)
    assert cli.main(["gc", "--yes"]) == VerifyError("").exit_code
    assert ws.store.segments(SCOPE) == held


def test_a_shredded_version_does_not_stop_it(ws, capsys):
    file, manifest = version(ws, b"to be shredded")
    ws.store.shred(SCOPE, [*file.segments, *manifest.segments])
    version(ws, b"another")
    assert gc(capsys, "--yes")["segments"] == []


@pytest.mark.parametrize(
    ("scope", "lock"), [("data:a", "data-a.lock"), ("model:a", "model-a.lock")]
)
def test_what_an_add_of_many_hours_has_stored_stays(ws, capsys, scope, lock):
    file = put(ws, b"stored two hours ago, and named by nothing yet", scope=scope)
    with exclusive(ws.seal_dir / "tmp" / lock, scope):
        report = gc(capsys, "--yes")
        assert (report["segments"], report["busy"]) == ([], [scope])
    assert ws.store.segments(scope) == set(file.segments)
    report = gc(capsys, "--yes")
    assert (len(report["segments"]), report["busy"]) == (1, [])


def test_no_writer_comes_in_while_the_collection_decides(ws):
    put(ws, b"x")
    with garbage.writers_kept_out(ws.store, ws.seal_dir / "tmp") as busy:
        assert busy == ()
        assert is_held(ws.seal_dir / "tmp" / "data-a.lock")
    assert not is_held(ws.seal_dir / "tmp" / "data-a.lock")


def test_leftovers_of_dead_writers_go_and_those_of_the_living_stay(ws, capsys):
    version(ws, b"makes the store")
    tmp = ws.seal_dir / "store" / "tmp"
    dead, alive = tmp / ".tmp-999999999-ab", tmp / f".tmp-{os.getpid()}-cd"
    dead.write_bytes(b"half"), alive.write_bytes(b"half")
    assert gc(capsys)["leftovers"] == 1
    assert dead.exists()
    gc(capsys, "--yes")
    assert (dead.exists(), alive.exists()) == (False, True)


def test_people_are_told_the_next_command(ws, capsys):
    put(ws, b"loose")
    assert cli.main(["gc"]) == 0
    assert "seal gc --yes" in capsys.readouterr().out
