"""Training scripts as people write them, unmodified, through ``seal run`` from end to end."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def run_in_room(project: Path, argv: list[str], data: bytes) -> tuple[room.RoomResult, str]:
    """Seal and run ``argv``; returns the result, outputs written back, and what it printed."""
    around = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
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


def test_the_room_alone_runs_what_snapshot_and_environment_describe(
    tmp_path: Path, digits: bytes
) -> None:
    project = make_project(tmp_path / "p", "sklearn_joblib", digits)
    result, talk = run_in_room(project, ["python", "train.py", "--trees", "5"], digits)
    assert "accuracy 0." in talk
    assert [output.relpath for output in result.outputs] == ["models/model.joblib"]
    assert (project / "models/model.joblib").stat().st_size > 1000


class Sealed:
    """A project with a workspace, and the command line over it."""

    def __init__(self, project: Path, path: str = "") -> None:
        self.project = project
        self._environment = {
            "PATH": path or f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": os.environ["HOME"],
            "XDG_STATE_HOME": str(project.parent / "state"),
        }

    isolation = "standard"

    def seal(self, *words: str, ends: int = 0) -> Any:
        """``seal --json``: the object it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "sealwright", words[0], "--json", *words[1:]],
            cwd=self.project,
            env=self._environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == ends, f"{words}: {done.stdout}\n{done.stderr}"
        self.talk = done.stderr
        return json.loads(done.stdout)

    def start(self) -> Sealed:
        self.seal("init")
        with (self.project / "seal.toml").open("a") as settings:  # these tests are of the room
            settings.write("\n[screening]\nenabled = false\n\n[supply]\nbill = false\n")
        add = ("data", "add", "data/train.csv", "--name", "train", "--label", "label")
        self.seal(*add, "--reason", "first delivery")
        (self.project / "data/train.csv").unlink()
        return self

    def run(self, *command: str) -> tuple[set[str], Any]:
        (run,) = self.seal("run", "--isolation", self.isolation, "--", *command)["runs"]
        assert run["model"] is not None
        return {output["path"] for output in run["outputs"]}, run


@pytest.fixture(params=["standard", "strict"], autouse=True)
def isolation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every script runs in both rooms."""
    monkeypatch.setattr(Sealed, "isolation", request.param)


def test_scikit_learn_with_joblib_workers_is_sealed_and_reproduced(
    tmp_path: Path, digits: bytes
) -> None:
    sealed = Sealed(make_project(tmp_path / "p", "sklearn_joblib", digits)).start()
    outputs, run = sealed.run("python", "train.py", "--trees", "5")
    assert outputs == {"models/model.joblib"}
    assert "accuracy 0." in sealed.talk
    (sealed.project / "train.py").write_text("raise SystemExit('changed since')")
    sealed.seal("reproduce", f"run:{run['run']}")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_with_dataloader_workers_is_sealed(tmp_path: Path, digits: bytes) -> None:
    sealed = Sealed(make_project(tmp_path / "p", "torch_loader", digits)).start()
    outputs, _ = sealed.run("python", "train.py")
    assert outputs == {"model.pt"}
    assert "epoch 2 loss" in sealed.talk


def test_a_notebook_through_nbconvert_is_sealed(tmp_path: Path, digits: bytes) -> None:
    pytest.importorskip("nbconvert")
    pytest.importorskip("ipykernel")
    sealed = Sealed(make_project(tmp_path / "p", "notebook", digits)).start()
    outputs, _ = sealed.run(*NOTEBOOK)
    assert outputs == {"executed.ipynb", "model.joblib"}
    assert "accuracy 0." in (sealed.project / "executed.ipynb").read_text()


def test_a_script_that_logs_to_mlflow_is_sealed(tmp_path: Path, digits: bytes) -> None:
    pytest.importorskip("mlflow")
    sealed = Sealed(make_project(tmp_path / "p", "mlflow_local", digits)).start()
    outputs, _ = sealed.run("python", "train.py")
    assert "model.joblib" in outputs
    assert [path.name for path in sealed.project.glob("mlruns/*/*/metrics/*")] == ["accuracy"]


def test_worker_processes_and_shared_memory_are_sealed(tmp_path: Path, digits: bytes) -> None:
    sealed = Sealed(make_project(tmp_path / "p", "processes", digits)).start()
    outputs, _ = sealed.run("python", "train.py")
    assert outputs == {"model.pkl", "metrics.json"}
    assert "best C" in sealed.talk


def test_a_package_installed_in_editable_mode_is_sealed(tmp_path: Path, digits: bytes) -> None:
    """In a virtual environment that lies in the project, as most do."""
    project = make_project(tmp_path / "p", "editable", digits)
    venv = project / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python3.*/site-packages"))
    lent = Path(importlib.util.find_spec("sklearn").origin).parent.parent  # type: ignore[union-attr,arg-type]
    (site / "lent.pth").write_text(f"{lent}\n")
    install = ["pip", "--python", f"{venv}/bin/python", "install", "--no-deps", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", *install, "--no-build-isolation", "-q", "-e", str(project)],
        check=True,
    )
    sealed = Sealed(project, "/usr/bin:/bin").start()
    outputs, _ = sealed.run(".venv/bin/python", "train.py")
    assert outputs == {"model.joblib"}
    assert f"fraudkit 0.3.0 from {project}/src/fraudkit" in sealed.talk


def test_observing_first_gives_settings_under_which_the_script_is_sealed(
    tmp_path: Path, digits: bytes
) -> None:
    sealed = Sealed(make_project(tmp_path / "p", "processes", digits))
    seen = sealed.seal("run", "--observe", "--", "python", "train.py")
    assert "best C" in sealed.talk
    assert not (sealed.project / "seal.toml").exists()
    assert seen["data"] == ["data/train.csv"]
    assert seen["written"] == ["metrics.json", "model.pkl"]
    for name in seen["written"]:
        (sealed.project / name).unlink()
    (sealed.project / "seal.toml").write_text(seen["proposal"])
    sealed.start()
    (run,) = sealed.seal("run")["runs"]
    assert run["model"] is not None
