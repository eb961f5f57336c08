"""seal keys: what there is, a new passphrase, and the way back in."""

from __future__ import annotations

import io
import json

import pytest

from sealwright.app import cli
from sealwright.app.setup import create_workspace


@pytest.fixture
def recovery(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return create_workspace(project, "solo", None)[1]


def run(capsys, *words: str) -> tuple[int, dict]:
    code = cli.main(["keys", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_show_names_every_key_and_no_secret(recovery, capsys):
    code, report = run(capsys)
    assert (code, report["custody"]) == (0, "key-file")
    assert {"workspace", "log", "model"} <= {signer["role"] for signer in report["signers"]}
    assert "keyring" in report["wrapping"]
    assert cli.main(["keys"]) == 0
    assert "kept by a key file" in capsys.readouterr().out


def test_a_passphrase_locks_and_the_recovery_key_opens(recovery, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("new passphrase\n"))
    assert run(capsys, "protect")[1]["custody"] == "passphrase"
    assert run(capsys)[0] == 2
    monkeypatch.setenv("SEAL_PASSPHRASE", "not that one")
    assert run(capsys)[1]["error"]["rule"] == "keys.wrong-passphrase"
    monkeypatch.setattr("sys.stdin", io.StringIO(recovery + "\n"))
    monkeypatch.setenv("SEAL_PASSPHRASE", "a third one")
    code, report = run(capsys, "recover")
    assert (code, report["custody"]) == (0, "passphrase")
    assert report["recovery_key"] != recovery
    assert run(capsys)[0] == 0


def test_an_empty_passphrase_changes_nothing(recovery, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert run(capsys, "protect")[0] == 2
    assert run(capsys)[1]["custody"] == "key-file"
