"""A project with keys of its own, driven through the real command line."""

import sys
from pathlib import Path

import pytest
from app_house import TRAIN, Project


@pytest.fixture
def bare(tmp_path, monkeypatch, capsys) -> Project:
    """A project without a workspace."""
    root = tmp_path / "fraud"
    root.mkdir()
    state = tmp_path / "state"
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    monkeypatch.setenv("SEAL_PRINCIPAL", "ada")
    project = Project(root, state, capsys)
    project.write("train.py", TRAIN)
    project.write("data/train.csv", "x,label\n" + "".join(f"{i},{i % 2}\n" for i in range(200)))
    return project


@pytest.fixture
def project(bare) -> Project:
    """A workspace with one dataset."""
    bare.ok("init")
    bare.ok(
        "data", "add", "data/train.csv", "--name", "train", "--label", "label", "--reason", "first"
    )
    return bare
