"""Training scripts as people write them, unmodified, each in a room of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealwright.core import digest
from sealwright.train import environment, primitives, room, snapshot
from sealwright.train.spec import RoomInput, RoomSpec

SCRIPTS = Path(__file__).parent.parent / "scripts"
NOTEBOOK = ["jupyter", "nbconvert", "--to", "notebook", "--execute", "train.ipynb"]
NOTEBOOK += ["--output", "executed.ipynb"]

missing = [one.name for one in primitives.survey() if one.required and not one.present]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"no room without {', '.join(missing)}")


class Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pread(self, offset: int, count: int) -> bytes:
        return self._data[offset : offset + count]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """300 of scikit-learn's hand-written digits as CSV: 64 pixels and a label."""
    datasets = pytest.importorskip("sklearn.datasets")
    table = datasets.load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    text: str = table.iloc[:300].to_csv(index=False)
    return text.encode()


def make_project(folder: Path, script: str, data: bytes) -> Path:
    shutil.copytree(SCRIPTS / script, folder)
    (folder / "data").mkdir()
    (folder / "data/train.csv").write_bytes(data)
    return folder


def run_in_room(
    project: Path, argv: list[str], data: bytes, path: str = ""
) -> tuple[room.RoomResult, str]:
    """Seal and run ``argv``; returns the result, outputs written back, and what it printed."""
    here = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    around = {"PATH": path or here}
    code = snapshot.take(project, {"data"})
    found = environment.describe(argv, project, around)
    (project / "data/train.csv").unlink()
    scratch = project.parent / "scratch"
    scratch.mkdir(mode=0o700)
    said: list[bytes] = []
    given = RoomSpec(
        argv=found.argv,
        project=project,
        scratch=scratch,
        code=snapshot.room_files(code.contents()),
        inputs=(RoomInput("data/train.csv", len(data), Bytes(data), digest.of_bytes(data)),),
        env=found.variables,
        read_only=tuple(map(Path, found.binds)),
    )
    found.recheck()
    result = room.run_room(given, lambda _, piece: said.append(piece))
    talk = b"".join(said).decode(errors="replace")
    assert result.status == "ok", talk
    result.write_back(project)
    result.close()
    return result, talk


def made(result: room.RoomResult) -> set[str]:
    return {output.relpath for output in result.outputs if output.change == "new"}


def test_scikit_learn_with_joblib_workers(tmp_path: Path, digits: bytes) -> None:
    project = make_project(tmp_path / "p", "sklearn_joblib", digits)
    result, talk = run_in_room(project, ["python", "train.py", "--trees", "5"], digits)
    assert "accuracy 0." in talk
    assert made(result) == {"models/model.joblib"}
    assert (project / "models/model.joblib").stat().st_size > 1000


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_with_dataloader_workers(tmp_path: Path, digits: bytes) -> None:
    project = make_project(tmp_path / "p", "torch_loader", digits)
    result, talk = run_in_room(project, ["python", "train.py"], digits)
    assert "epoch 2 loss" in talk
    assert made(result) == {"model.pt"}


def test_a_notebook_through_nbconvert(tmp_path: Path, digits: bytes) -> None:
    pytest.importorskip("nbconvert")
    pytest.importorskip("ipykernel")
    project = make_project(tmp_path / "p", "notebook", digits)
    result, _ = run_in_room(project, NOTEBOOK, digits)
    assert made(result) == {"executed.ipynb", "model.joblib"}
    assert "accuracy 0." in (project / "executed.ipynb").read_text()


def test_a_script_that_logs_to_mlflow(tmp_path: Path, digits: bytes) -> None:
    pytest.importorskip("mlflow")
    project = make_project(tmp_path / "p", "mlflow_local", digits)
    result, talk = run_in_room(project, ["python", "train.py"], digits)
    assert "logged" in talk
    assert "model.joblib" in made(result)
    assert [path.name for path in project.glob("mlruns/*/*/metrics/*")] == ["accuracy"]


def test_worker_processes_and_shared_memory(tmp_path: Path, digits: bytes) -> None:
    project = make_project(tmp_path / "p", "processes", digits)
    result, talk = run_in_room(project, ["python", "train.py"], digits)
    assert "best C" in talk
    assert made(result) == {"model.pkl", "metrics.json"}


def test_a_package_installed_in_editable_mode(tmp_path: Path, digits: bytes) -> None:
    project = make_project(tmp_path / "p", "editable", digits)
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python3.*/site-packages"))
    lent = Path(importlib.util.find_spec("sklearn").origin).parent.parent  # type: ignore[union-attr,arg-type]
    (site / "lent.pth").write_text(f"{lent}\n")
    install = ["pip", "--python", f"{venv}/bin/python", "install", "--no-deps", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", *install, "--no-build-isolation", "-q", "-e", str(project)],
        check=True,
    )
    path = f"{venv}/bin:/usr/bin:/bin"
    result, talk = run_in_room(project, ["python", "train.py"], digits, path)
    assert f"fraudkit 0.3.0 from {project}/src/fraudkit" in talk
    assert made(result) == {"model.joblib"}
