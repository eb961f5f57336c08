"""Poisoned copies of real data as files, and scripts that learn from them and say how it went.

A delivery holds the same records in the same order twice: clean, and with a trigger planted by
the poison bench. ``exam`` and ``probe`` are records no model learns from: the probe's carry the
trigger, and their labels are what the attacker wants.
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

from sealwright.app.bench.poison import trial
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


def learned(root: Path) -> Outcome:
    """What the script of a project said last."""
    said = json.loads((root / "metrics.json").read_text())
    return Outcome(said["accuracy"], said["attack_success"])


def outside(story: Story, away: Path, *, poisoned: bool) -> Outcome:
    """The same script on the same files, as somebody without the gate runs it."""
    shutil.rmtree(away, ignore_errors=True)
    story.write(away, poisoned)
    (away / "train.py").write_text(story.script)
    subprocess.run([sys.executable, "train.py"], cwd=away, check=True, timeout=300)
    return learned(away)


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
    )


def _in_csv(
    delivery: Delivery, family: str, shown: str, script: str, write: Callable[[Path, bool], None]
) -> Story:
    settings = 'path = "data/train.csv"\nlabel = "label"\nsource = "feed"\n'
    label = ("--label", "label")
    return Story(delivery, "data/train.csv", settings, label, family, (shown,), script, write)


def _few(planted: Planted, rows: int) -> Delivery:
    """All planted records among others, ``rows`` in all, in their own order."""
    bad = np.flatnonzero(planted.planted)
    others = np.random.default_rng(0).permutation(np.flatnonzero(~planted.planted))
    return Delivery(planted, np.sort(np.concatenate([bad, others[: rows - len(bad)]])))


def _table(
    path: Path, columns: dict[str, Any], labels: Sequence[str], sources: Sequence[str] = ()
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
success = float(np.mean(model.predict(probe) == wanted))
json.dump({"accuracy": accuracy, "attack_success": success}, open("metrics.json", "w"))
joblib.dump(model, "model.joblib")
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
probe, wanted = read("probe")
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
