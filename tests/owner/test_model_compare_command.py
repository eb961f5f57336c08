"""From a registered model to a verdict, by the commands: real jail, real workers, small models."""

import shutil
import warnings

import numpy as np
import pytest

from sealwright.core.predicates import COMPARISON, FINGERPRINT

neural = pytest.importorskip("sklearn.neural_network")
joblib = pytest.importorskip("joblib")
pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="the room needs bubblewrap: apt-get install bubblewrap"
)

ROWS, WIDTH = 240, 8


def table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    rows = np.round(rng.normal(size=(ROWS, WIDTH)), 3)
    codes = (rows @ rng.normal(size=(WIDTH, 3)) + 0.5 * rng.normal(size=(ROWS, 3))).argmax(axis=1)
    return rows, codes


def fitted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*table())


def net(seed: int):
    return neural.MLPClassifier((48,), max_iter=60, random_state=seed, learning_rate_init=0.02)


TRAIN = """\
import warnings
import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore")
table = np.loadtxt("data/train.csv", delimiter=",", skiprows=1)
model = RECIPE
joblib.dump(model.fit(table[:, :-1], table[:, -1].astype(int)), "model.joblib")
"""
NET = "MLPClassifier((48,), max_iter=60, random_state=1, learning_rate_init=0.02)"


def registered(project, recipe: str) -> None:
    """Data, and a model of it by a run."""
    rows, codes = table()
    head = ",".join([f"x{at}" for at in range(WIDTH)] + ["kind"])
    lines = [
        ",".join([*map(repr, row.tolist()), str(code)])
        for row, code in zip(rows, codes, strict=True)
    ]
    project.write("data/train.csv", "\n".join([head, *lines]) + "\n")
    project.write("train.py", TRAIN.replace("RECIPE", recipe))
    project.ok("init")
    project.ok("data", "add", "data/train.csv", "--name", "train", "--label", "kind")
    project.ok("run", "--model", "model.joblib", "--", "python", "train.py")


SMALL = ("--references", "80", "--questions", "600")


def test_a_fingerprint_before_the_release_recognises_the_model_and_nobody_else(project):
    registered(project, NET)
    made = project.ok("model", "fingerprint", "scorer", *SMALL)
    assert made["references"] == 80
    assert made["released"] is None
    entry = project.statements()[made["entry"]]
    assert entry["predicate_type"] == FINGERPRINT
    undecided = project.seal("model", "compare", "model.joblib", "--against", "scorer")
    assert (undecided[0], undecided[1]["verdict"]) == (2, "cannot tell")
    assert "proves nothing" in undecided[1]["why"]

    project.ok("model", "promote", "scorer@1", "prod", "--reason", "first release")
    found = project.ok(
        *("model", "compare", "model.joblib", "--against", "scorer@prod", "--html", "page.html")
    )
    assert found["verdict"] == "consistent with copying"
    assert len(found["alternatives"]) == 4
    assert found["commitment"]["before"] is True
    page = (project.root / "page.html").read_text("utf-8")
    assert "consistent with copying" in page
    assert "<script" not in page
    shown = project.ok("log", "show", "--index", str(found["entry"]))
    assert shown["predicate_type"] == COMPARISON
    assert shown["predicate"]["verdict"] == "consistent with copying"

    joblib.dump(fitted(net(2)), project.root / "honest.joblib")
    code, honest, _ = project.seal("model", "compare", "honest.joblib", "--against", "scorer@prod")
    assert (code, honest["verdict"]) == (1, "not shown")
    code, early, _ = project.seal(
        *("model", "compare", "model.joblib", "--against", "scorer", "--published", "2020-01-01")
    )
    assert (code, early["verdict"]) == (2, "cannot tell")

    asked = project.ok("model", "questions", "scorer", "questions.csv")
    lines = (project.root / "questions.csv").read_text().splitlines()
    assert len(lines) == asked["questions"]
    inputs = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    said = joblib.load(project.root / "model.joblib").predict(inputs)
    project.write("answers.csv", "\n".join(f"class-{code}" for code in said))
    names = [word for code in range(3) for word in ("--name", f"class-{code}={code}")]
    again = project.ok("model", "compare", "answers.csv", "--against", "scorer@prod", *names)
    assert again["tests"] == found["tests"]
    code, body, _ = project.seal("model", "compare", "answers.csv", "--against", "scorer@prod")
    assert (code, body["verdict"]) == (2, "cannot tell")

    project.write("bad.pkl", "cos\nsystem\n(S'true'\ntR.")
    code, body, _ = project.seal("model", "compare", "bad.pkl", "--against", "scorer@prod")
    assert (code, body["error"]["rule"]) == (1, "loader.not-clean")
    assert project.seal("model", "compare", "gone.pkl", "--against", "scorer@prod")[0] == 2
