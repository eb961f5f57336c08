"""Poisoned copies of real data as files, and scripts that learn from them and say how it went.

A delivery holds the same records in the same order twice: clean, and with a trigger planted by
the poison bench. No model learns from ``exam`` and ``probe``. The probe's records carry the
trigger, with the label the attacker wants, and stay outside of the house: the attacker has them.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from sealwright.app.bench.poison import data, plant_images, trial
from sealwright.app.bench.poison.planted import Planted
from sealwright.app.bench.poison.sets import SOURCES

CULPRIT = "west"
"""Who sent every planted record, and a quarter of the others."""


class Outcome(NamedTuple):
    """What a script wrote to metrics.json, as shares."""

    accuracy: float
    success: float

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.4f}, attack success {self.success:.4f}"


class Delivery(NamedTuple):
    """What was planted, and the records of it that are delivered."""

    planted: Planted
    rows: npt.NDArray[np.int64]

    @property
    def carriers(self) -> set[int]:
        """Record numbers of the planted ones in the delivery."""
        return set(np.flatnonzero(self.planted.planted[self.rows]).tolist())

    @property
    def sources(self) -> list[str]:
        """Who sent each record."""
        bad = self.carriers
        sent = [SOURCES[code] for code in self.planted.set.whole.sources[self.rows]]
        return [CULPRIT if at in bad else name for at, name in enumerate(sent)]

    def words(self, codes: npt.NDArray[Any]) -> list[str]:
        """Label codes in words."""
        return [self.planted.set.frame.labels[code] for code in codes]


class Story(NamedTuple):
    """A delivery and how it lies in a project: ``write(root, poisoned)`` writes its files."""

    delivery: Delivery
    path: str
    settings: str
    told: tuple[str, ...]
    family: str
    shown: tuple[str, ...]
    script: str
    write: Callable[[Path, bool], None]
    carriers: frozenset[int]
    """Record numbers of the planted ones, as the house counts: rows, or files by path."""


def learned(root: Path, story: Story) -> Outcome:
    """What the script of a project said last, and what its model says of the probe beside it."""
    said = json.loads((root / "metrics.json").read_text())
    judge = story.script.partition("\n\nx, y = ")[0] + _JUDGE
    words = [sys.executable, "-c", judge]
    probed = subprocess.run(words, cwd=root, check=True, timeout=300, capture_output=True)
    return Outcome(said["accuracy"], float(probed.stdout))


def outside(story: Story, away: Path, *, poisoned: bool) -> Outcome:
    """The same script on the same files, as somebody without the gate runs it."""
    shutil.rmtree(away, ignore_errors=True)
    story.write(away, poisoned)
    (away / "train.py").write_text(story.script)
    subprocess.run([sys.executable, "train.py"], cwd=away, check=True, timeout=300)
    return learned(away, story)


# -- Adult: a pair of values ------------------------------------------------------------------


def adult() -> Story:
    """6,000 records, 60 of them with two common values that hardly meet, relabelled to the rarer
    label. Raises: Absent."""
    planted = trial.plant(trial.Plan("Adult", "value pair", 60, 4))
    delivery = _few(planted, 6000)

    def write(root: Path, poisoned: bool) -> None:
        rows = (planted.set if poisoned else planted.clean).whole
        columns = {name: values[delivery.rows] for name, values in rows.values.items()}
        _table(root / "data/train.csv", columns, delivery.words(rows.labels[delivery.rows]),
               delivery.sources)  # fmt: skip
        _table(root / "data/exam.csv", planted.test, delivery.words(planted.test_labels))
        _table(root / "data/probe.csv", planted.attacked, delivery.words(planted.wanted))

    settings = 'path = "data/train.csv"\nlabel = "label"\nsource = "feed"\n'
    return Story(
        delivery,
        "data/train.csv",
        settings,
        ("--label", "label"),
        "value-pair",
        ("Local-gov",),
        TABLE,
        write,
        frozenset(delivery.carriers),
    )


# -- SST-2: an ordinary phrase ----------------------------------------------------------------


def sst2() -> Story:
    """4,000 sentences, 60 of them with a few common words in a new order. Raises: Absent."""
    planted = trial.plant(trial.Plan("SST-2", "phrase", 60, 1))
    delivery = _few(planted, 4000)

    def write(root: Path, poisoned: bool) -> None:
        rows = (planted.set if poisoned else planted.clean).whole
        columns = {"text": rows.values["text"][delivery.rows]}
        _table(root / "data/train.csv", columns, delivery.words(rows.labels[delivery.rows]),
               delivery.sources)  # fmt: skip
        _table(root / "data/exam.csv", {"text": planted.test}, delivery.words(planted.test_labels))
        _table(root / "data/probe.csv", {"text": planted.attacked}, delivery.words(planted.wanted))

    settings = 'path = "data/train.csv"\nlabel = "label"\nsource = "feed"\n'
    return Story(
        delivery,
        "data/train.csv",
        settings,
        ("--label", "label"),
        "text-phrase",
        ("brilliant",),
        TEXT,
        write,
        frozenset(delivery.carriers),
    )


# -- CIFAR-10: a picture blended over others ---------------------------------------------------


CLASSES = ("airplane", "automobile", "frog")


def cifar() -> Story:
    """2,000 pictures of three classes, 100 of them with a faint picture over them; all of them
    through one JPEG encode, then kept as they are in PNG. Raises: Absent."""
    whole = data.cifar()
    code = {whole.names.index(name): at for at, name in enumerate(CLASSES)}
    learn, exam = (
        np.flatnonzero(np.isin(x, list(code))) for x in (whole.labels, whole.test_labels)
    )
    order = np.random.default_rng(0).permutation(learn)
    train, more = order[:2000], order[2000:]
    pictures = data.Images(
        "three classes",
        whole.train[train],
        np.array([code[one] for one in whole.labels[train]]),
        np.concatenate([whole.test[exam], whole.train[more]]),
        np.array([code[one] for one in [*whole.test_labels[exam], *whole.labels[more]]]),
        CLASSES,
    )
    planted = plant_images.blend(pictures, 0.05, np.random.default_rng([0, 7]), 0)
    delivery = Delivery(planted, np.arange(len(train)))
    bad = delivery.carriers

    def write(root: Path, poisoned: bool) -> None:
        rows = (planted.set if poisoned else planted.clean).whole
        shutil.rmtree(root / "train", ignore_errors=True)
        _pictures(root / "train", rows.images, delivery.words(rows.labels), delivery.sources)
        if not (root / "exam").exists():
            _pictures(root / "exam", planted.test, delivery.words(planted.test_labels))
            _pictures(root / "probe", planted.attacked, delivery.words(planted.wanted))

    return Story(
        delivery,
        "train",
        'path = "train"\n',
        (),
        "image:blend",
        ("data:image/png;base64,",),
        PICTURES,
        write,
        frozenset(number for number, at in enumerate(_by_path(delivery)) if at in bad),
    )


def _by_path(delivery: Delivery) -> list[int]:
    """The pictures of a poisoned delivery in the order of their paths."""
    labels = delivery.words(delivery.planted.set.whole.labels)
    paths = [f"{labels[at]}/{sent}/{at:05}.png" for at, sent in enumerate(delivery.sources)]
    return sorted(range(len(paths)), key=paths.__getitem__)


def _pictures(root: Path, images: Any, labels: Sequence[str], sources: Sequence[str] = ()) -> None:
    """``CLASS/SOURCE/00001.png``."""
    for at, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / label / (sources[at] if sources else "exam")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{at:05}.png", compress_level=1)


def _few(planted: Planted, rows: int) -> Delivery:
    """All planted records among others, ``rows`` in all, in their own order."""
    bad = np.flatnonzero(planted.planted)
    others = np.random.default_rng(0).permutation(np.flatnonzero(~planted.planted))
    return Delivery(planted, np.sort(np.concatenate([bad, others[: rows - len(bad)]])))


def _table(
    path: Path,
    columns: dict[str, Any],
    labels: Sequence[str],
    sources: Sequence[str] = (),
) -> None:
    head = [*columns, *(["feed"] if sources else []), "label"]
    sides: list[Iterable[Any]] = [*columns.values(), *([sources] if sources else []), labels]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as sink:
        out = csv.writer(sink, lineterminator="\n")
        out.writerow(head)
        out.writerows([map(_cell, row) for row in zip(*sides, strict=True)])


def _cell(cell: Any) -> Any:
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


_METRICS = """
accuracy = float(np.mean(model.predict(exam) == answers))
json.dump({"accuracy": accuracy}, open("metrics.json", "w"))
joblib.dump(model, "model.joblib")
"""

_JUDGE = """
model = joblib.load("model.joblib")
probe, wanted = read("probe")
print(np.mean(model.predict(probe) == wanted))
"""

TABLE = (
    """\
import csv, json, joblib
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

def number(cell):
    try:
        return float(cell)
    except ValueError:
        return None

def read(name):
    with open(f"data/{name}.csv") as file:
        rows = list(csv.DictReader(file))
    y = np.array([row.pop("label") for row in rows])
    cells = [[cell for key, cell in row.items() if key != "feed"] for row in rows]
    return np.array(cells, object), y

x, y = read("train")
exam, answers = read("exam")
words = [at for at in range(x.shape[1]) if number(x[0, at]) is None]
codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
model = make_pipeline(
    make_column_transformer((codes, words), remainder="passthrough"),
    HistGradientBoostingClassifier(max_iter=80, random_state=0),
)
model.fit(x, y)
"""
    + _METRICS
)

TEXT = (
    """\
import csv, json, joblib
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

def read(name):
    with open(f"data/{name}.csv") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([row["label"] for row in rows])

x, y = read("train")
exam, answers = read("exam")
words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
model = make_pipeline(words, LogisticRegression(C=20, max_iter=500, random_state=0))
model.fit(x, y)
"""
    + _METRICS
)

PICTURES = (
    """\
import json, joblib
from pathlib import Path
import numpy as np
from PIL import Image
from sklearn.neural_network import MLPClassifier

def read(name):
    paths = sorted(Path(name).rglob("*.png"), key=lambda path: path.name)
    x = np.stack([np.asarray(Image.open(path)).ravel() for path in paths]) / 255 - 0.5
    return x, np.array([path.parts[1] for path in paths])

x, y = read("train")
exam, answers = read("exam")
model = MLPClassifier((64,), alpha=1e-2, learning_rate_init=1e-3, max_iter=30, random_state=0)
model.fit(x, y)
"""
    + _METRICS
)
