from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from sealwright.core import settings
from sealwright.train import guess, header

from .projects import write

SCRIPTS = Path(__file__).parent.parent / "scripts"
SKLEARN = """
import joblib, pandas as pd
from sklearn.svm import SVC
frame = pd.read_csv("data/train.csv")
joblib.dump(SVC().fit(frame, frame.pop("target")), "out/model.joblib")
"""


def seal_toml(root: Path) -> settings.Settings:
    return settings.parse(guess.settings_text(guess.project(root)).encode())


def test_script_data_label_framework_and_model_are_found(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": SKLEARN, "data/train.csv": "a,target\n1,2\n"})
    found = guess.project(tmp_path)
    assert found.command == ("python", "train.py")
    assert found.frameworks == ("scikit-learn",)
    assert found.model == "out/model.joblib"
    assert [(one.name, one.path, one.label) for one in found.data] == [
        ("train", "data/train.csv", "target")
    ]


@pytest.mark.parametrize(
    "script", ["sklearn_joblib", "torch_loader", "notebook", "mlflow_local", "processes"]
)
def test_every_ordinary_script_gives_settings_that_parse(tmp_path: Path, script: str) -> None:
    subprocess.run(["cp", "-r", str(SCRIPTS / script), str(tmp_path / "p")], check=True)
    write(tmp_path / "p", {"data/train.csv": "a,label\n1,2\n"})
    found = seal_toml(tmp_path / "p")
    stage = found.stage["train"]
    assert stage.cmd[-1].startswith("train")
    assert stage.inputs == ["train"]
    assert stage.model
    assert (found.data["train"].path, found.data["train"].label) == ("data/train.csv", "label")


def test_nothing_of_the_project_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"import sklearn\nopen({str(marker)!r}, 'w')\n"
    subprocess.run([sys.executable, "-c", code.replace("import sklearn\n", "")], check=True)
    assert marker.exists()
    marker.unlink()
    write(tmp_path, {"train.py": code, "conftest.py": code, "setup.py": code})
    assert guess.project(tmp_path).script == "train.py"
    assert not marker.exists()


@pytest.mark.parametrize(
    ("files", "script"),
    [
        ({"train.py": SKLEARN, "main.py": SKLEARN}, "train.py"),
        ({"scripts/train_model.py": SKLEARN, "util.py": "x = 1"}, "scripts/train_model.py"),
        ({"main.py": SKLEARN, "tests/train.py": SKLEARN}, "main.py"),
        ({"odd_name.py": SKLEARN, "helper.py": "import torch"}, "odd_name.py"),
        ({"train.py": "def broken(:", "main.py": SKLEARN}, "main.py"),
        ({"web.py": "import flask\n"}, ""),
        ({"README.md": "x"}, ""),
    ],
)
def test_the_likeliest_script_is_chosen(
    tmp_path: Path, files: dict[str, str | bytes], script: str
) -> None:
    assert guess.project(write(tmp_path, files)).script == script


def test_paths_built_from_constants_are_followed(tmp_path: Path) -> None:
    code = """
import os, torch
from pathlib import Path
ROOT = Path("data")
frame = open(ROOT / "big" / "rows.csv").read()
other = open(os.path.join("data", "other.csv")).read()
torch.save({}, Path("out") / "best.pt")
"""
    write(tmp_path, {"train.py": code, "data/big/rows.csv": "a\n", "data/other.csv": "a\n"})
    found = guess.project(tmp_path)
    assert [one.path for one in found.data] == ["data/big/rows.csv", "data/other.csv"]
    assert found.model == "out/best.pt"


def test_a_module_of_a_package_is_started_as_one(tmp_path: Path) -> None:
    code = "from . import model\nimport torch\n"
    write(tmp_path, {"fraud/__init__.py": "", "fraud/train.py": code, "fraud/model.py": ""})
    assert guess.project(tmp_path).command == ("python", "-m", "fraud.train")


def test_the_projects_own_environment_is_preferred(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": SKLEARN, ".venv/pyvenv.cfg": "home = /", ".venv/bin/python": ""})
    assert guess.project(tmp_path).command == (".venv/bin/python", "train.py")


def test_shards_and_image_folders_are_one_dataset_each(tmp_path: Path) -> None:
    write(tmp_path, {f"data/rows/part-{n:04}.csv": "a,label\n" for n in range(4)})
    write(tmp_path, {f"data/pets/{kind}/{n}.png": "x" for kind in ("cat", "dog") for n in range(2)})
    found = {one.path: (one.name, one.label) for one in guess.project(tmp_path).data}
    assert found == {"data/rows": ("rows", "label"), "data/pets": ("pets", "")}


def test_two_files_of_one_stem_get_two_names(tmp_path: Path) -> None:
    write(tmp_path, {"data/a/train.csv": "x\n", "data/b/train.csv": "x\n"})
    assert [one.name for one in guess.project(tmp_path).data] == ["train", "train-2"]


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        (["a", "label"], "label"),
        (["a", " Target "], " Target "),
        (["y", "x"], "y"),
        (["a", "is_fraud"], "is_fraud"),
        (["a", "churn_label"], "churn_label"),
        (["a_label", "b_label"], ""),
        (["a", "b"], ""),
        ([], ""),
    ],
)
def test_a_label_column_is_picked_when_its_name_says_so(columns: list[str], label: str) -> None:
    assert header.pick_label(columns) == label


def test_headers_of_every_kind_of_table_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.csv": '\ufeffx,"the, label",label\n1,2,3\n',
            "semicolon.csv": "x;label\n",
            "a.tsv": "x\tlabel\n",
            "a.jsonl": '{"x": 1, "label": 2}\n',
            "broken.jsonl": "[",
            "binary.csv": b"\xff\xfe\x00",
            "empty.csv": "",
            "broken.parquet": "PAR1",
        },
    )
    parquet.write_table(pa.table({"x": [1], "label": [2]}), tmp_path / "a.parquet")
    read = {path.name: header.columns_of(path) for path in tmp_path.iterdir()}
    assert read == {
        "a.csv": ("x", "the, label", "label"),
        "semicolon.csv": ("x", "label"),
        "a.tsv": ("x", "label"),
        "a.jsonl": ("x", "label"),
        "a.parquet": ("x", "label"),
        "broken.jsonl": (),
        "binary.csv": (),
        "empty.csv": (),
        "broken.parquet": (),
    }


@pytest.mark.parametrize(
    ("outputs", "model"),
    [
        (["model.joblib", "metrics.json", "plot.png"], "model.joblib"),
        (["out/scaler.pkl", "out/model.pkl"], "out/model.pkl"),
        (["checkpoints/epoch1.pt", "best.pt"], "best.pt"),
        (["hf/config.json", "hf/model.safetensors", "hf/tokenizer.json"], "hf"),
        (["a.onnx", "a.pt"], "a.pt"),
        (["metrics.json"], None),
        ([], None),
    ],
)
def test_the_model_among_the_outputs_is_guessed_with_a_reason(
    outputs: list[str], model: str | None
) -> None:
    found = guess.guess_model(outputs)
    assert (found.path if found else None) == model
    assert found is None or found.why


@given(st.text(max_size=30), st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_path_and_any_command_give_settings_that_parse(path: str, words: list[str]) -> None:
    data = (guess.DataGuess("train", path or "x", "", "said"),)
    made = guess.Guess("/p", "", tuple(words), (), data, path, "model", ())
    read = settings.parse(guess.settings_text(made).encode())
    assert read.data["train"].path == (path or "x")
    assert read.stage["train"].cmd == words
