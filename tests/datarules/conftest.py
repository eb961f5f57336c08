"""A project with keys of its own, driven through the real command line."""

import sys
from pathlib import Path

import pytest

for room in ("app", "access"):
    sys.path.insert(0, str(Path(__file__).parent.parent / room))


@pytest.fixture
def bare(tmp_path, monkeypatch, capsys):
    """A folder without a workspace."""
    from app_house import Project

    root = tmp_path / "shop"
    root.mkdir()
    state = tmp_path / "state"
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    monkeypatch.setenv("SEAL_PRINCIPAL", "ada")
    project = Project(root, state, capsys)
    project.write("train.py", "open('model.json', 'w').write(open('data/train.csv').read()[:9])\n")
    return project


@pytest.fixture
def office(tmp_path, monkeypatch, capsys):
    """A team's workspace: dora stewards data, eli engineers, rita reviews."""
    from access_house import Office

    office = Office(tmp_path, monkeypatch, capsys)
    office.open("team")
    return office
