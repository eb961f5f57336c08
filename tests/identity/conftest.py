"""A workspace of an owner, and other people with homes of their own, at the real command line."""

import json
from pathlib import Path

import pytest

from sealwright.app import wiring
from sealwright.app.cli import main


class Desk:
    """One machine: a project, and people who each have a state directory of their own."""

    def __init__(self, root: Path, monkeypatch, capsys) -> None:
        self.root = root
        self.files = root.parent
        self._patch = monkeypatch
        self._capsys = capsys
        self.become("ada")

    def become(self, name: str, home: str = "shared") -> None:
        """``home`` shared: the same account; else a machine of one's own."""
        self._patch.setenv("SEAL_PRINCIPAL", name)
        self._patch.setenv("XDG_STATE_HOME", str(self.files / home))
        self._patch.setenv("SEAL_PERSON_PASSPHRASE", f"{name}'s own words")

    def seal(self, *words: str) -> tuple[int, dict, str]:
        self._capsys.readouterr()
        code = main([*words, "--json"])
        said = self._capsys.readouterr()
        return code, json.loads(said.out) if said.out.strip() else {}, said.err

    def ok(self, *words: str) -> dict:
        code, body, err = self.seal(*words)
        assert code == 0, (words, body, err)
        return body

    def refused(self, *words: str) -> str:
        code, body, _ = self.seal(*words)
        assert code in (1, 2), (words, body)
        return body["error"].get("rule") or body["error"]["what"]

    def workspace(self) -> wiring.Workspace:
        return wiring.open_workspace(self.root)

    def path(self, name: str) -> str:
        return str(self.files / name)

    def join(self, name: str, role: str = "ml-engineer", home: str = "shared") -> dict:
        """Invited, accepted and enrolled; the owner is at the desk again afterwards."""
        offer, answer = self.path(f"{name}.offer"), self.path(f"{name}.answer")
        self.ok("access", "invite", name, "--role", role, "--out", offer)
        self.become(name, home)
        joined = self.ok("access", "login", "--invite", offer, "--out", answer)
        self.become("ada")
        return {**joined, **self.ok("access", "accept", answer, "--reason", "joins")}


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys) -> Desk:
    root = tmp_path / "fraud"
    root.mkdir()
    monkeypatch.chdir(root)
    for name in ("SEAL_PASSPHRASE", "SEAL_ID_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (root / "train.py").write_text("print(1)\n")
    found = Desk(root, monkeypatch, capsys)
    found.ok("init")
    return found
