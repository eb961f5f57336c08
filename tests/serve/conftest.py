"""A workspace with a registered model, made once; each test gets a copy of it."""

import shutil
import sys
from pathlib import Path

import pytest
from serve_house import model_bytes, register


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A project, its state, and a model of three classes over four numbers."""
    pytest.importorskip("joblib")
    pytest.importorskip("sklearn")
    from sealwright.app.cli import main

    root = tmp_path_factory.mktemp("served") / "pets"
    (root / "data").mkdir(parents=True)
    rows = "".join(f"{i},{i % 7},{i % 3},{i % 2}\n" for i in range(60))
    (root / "data" / "train.csv").write_text("a,b,c,label\n" + rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("XDG_STATE_HOME", str(root.parent / "state"))
        patch.setenv("SEAL_PRINCIPAL", "ada")
        patch.delenv("SEAL_PASSPHRASE", raising=False)
        assert main(["init"]) == 0
        words = ["data/train.csv", "--name", "train", "--label", "label", "--reason", "first"]
        assert main(["data", "add", *words]) == 0
        content, _ = model_bytes()
        register(root, content)
    return root.parent


@pytest.fixture
def house(made, tmp_path, monkeypatch) -> Path:
    """A copy of the workspace, as the present folder."""
    shutil.copytree(made, tmp_path / "served", symlinks=True)
    root = tmp_path / "served" / "pets"
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_STATE_HOME", str(root.parent / "state"))
    monkeypatch.setenv("SEAL_PRINCIPAL", "ada")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("SEAL_PASSPHRASE", raising=False)
    return root
