import sys
from pathlib import Path

import pytest
from egress_house import FakeHost, Names, Sink

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "app"))

from app_house import TRAIN, Project

from sealwright.adapters import egress_proxy
from sealwright.app import wiring


@pytest.fixture
def web():
    host = FakeHost()
    yield host
    host.close()


@pytest.fixture
def sink():
    one = Sink()
    yield one
    one.close()


@pytest.fixture
def names():
    return Names()


@pytest.fixture
def project(tmp_path, monkeypatch, capsys, names) -> Project:
    """A workspace with one dataset, whose proxy knows only the names of the test."""
    root = tmp_path / "fraud"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    monkeypatch.setenv("SEAL_PRINCIPAL", "ada")

    def opener(workspace):
        scratch = workspace.state_dir / "rooms"
        return lambda rules, zones, secrets: egress_proxy.opened(
            scratch, rules, zones, secrets, names, names.trust
        )

    monkeypatch.setattr(wiring, "egress_opener", opener)
    one = Project(root, tmp_path / "state", capsys)
    one.write("train.py", TRAIN)
    one.write("data/train.csv", "x,label\n" + "".join(f"{i},{i % 2}\n" for i in range(50)))
    one.ok("init")
    one.ok(
        "data", "add", "data/train.csv", "--name", "train", "--label", "label", "--reason", "first"
    )
    return one
