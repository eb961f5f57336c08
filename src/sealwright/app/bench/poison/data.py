"""Where the bench's data comes from: beside the project, or sets that are always there.

The files lie in ``shared/data`` beside the project (``SEAL_SHARED_DATA`` says where else). What is
absent is said: the row stands with no value and the reason.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.core.errors import MissingExtra

Labels: TypeAlias = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]


class Absent(Exception):
    """A data set or a yardstick that this machine lacks; the message is the row's note."""


class Images(NamedTuple):
    """``train`` (n, h, w, 3) uint8 and its label codes; ``test`` likewise, may be empty."""

    name: str
    train: npt.NDArray[np.uint8]
    labels: Labels
    test: npt.NDArray[np.uint8]
    test_labels: Labels
    names: tuple[str, ...]


class Table(NamedTuple):
    """Columns by name: float64 for numbers, object arrays of str for categories."""

    name: str
    columns: Columns
    labels: Labels
    names: tuple[str, ...]

    def taken(self, at: npt.NDArray[np.int64]) -> Table:
        """The rows ``at``."""
        columns = {name: values[at].copy() for name, values in self.columns.items()}
        return self._replace(columns=columns, labels=self.labels[at].copy())


class Texts(NamedTuple):
    """One text a row."""

    name: str
    train: list[str]
    labels: Labels
    test: list[str]
    test_labels: Labels
    names: tuple[str, ...]


def folder() -> Path:
    """``SEAL_SHARED_DATA``, else ``shared/data`` beside the project's folder."""
    told = os.environ.get("SEAL_SHARED_DATA")
    return Path(told) if told else Path(__file__).parents[6] / "shared" / "data"


def _file(name: str) -> Path:
    path = folder() / name
    if not path.exists():
        raise Absent(f"{name} is not in shared/data beside the project (SEAL_SHARED_DATA)")
    return path


@cache
def cifar() -> Images:
    """The CIFAR-10 subset: 10,000 training and 2,000 test images, 32x32. Raises: Absent."""
    from PIL import Image

    found: dict[str, list[npt.NDArray[np.uint8]]] = {"train": [], "test": []}
    words: dict[str, list[str]] = {"train": [], "test": []}
    with tarfile.open(_file("cifar10_12k_jpeg.tar")) as tar:
        for member in tar:
            blob = tar.extractfile(member)
            if blob is None:
                continue
            split, label, _ = member.name.split("/")
            found[split].append(np.asarray(Image.open(io.BytesIO(blob.read())).convert("RGB")))
            words[split].append(label)
    names = tuple(sorted(set(words["train"])))
    code = {name: number for number, name in enumerate(names)}
    train, test = (np.array([code[word] for word in words[part]]) for part in ("train", "test"))
    return Images("CIFAR-10", np.stack(found["train"]), train, np.stack(found["test"]), test, names)


@cache
def digits() -> Images:
    """scikit-learn's 1,797 digits as 32x32 pictures. Raises: MissingExtra."""
    from PIL import Image

    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra("seal bench poison", "scan") from error
    raw = load_digits()
    grey = [Image.fromarray((image * 15.9).astype(np.uint8)) for image in raw.images]
    large = [np.asarray(one.resize((32, 32), Image.Resampling.BICUBIC)) for one in grey]
    pictures = np.repeat(np.stack(large)[..., None], 3, axis=3)
    labels = raw.target.astype(np.int64)
    order = np.random.default_rng(1).permutation(len(labels))
    train, test = order[:1400], order[1400:]
    names = tuple(str(digit) for digit in range(10))
    return Images("digits", pictures[train], labels[train], pictures[test], labels[test], names)


@cache
def breast_cancer() -> Table:
    """scikit-learn's 569 rows of 30 numbers. Raises: MissingExtra."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError as error:
        raise MissingExtra("seal bench poison", "scan") from error
    raw = load_breast_cancer()
    columns = {
        str(name).replace(" ", "-"): raw.data[:, at].astype(float)
        for at, name in enumerate(raw.feature_names)
    }
    return Table("breast cancer", columns, raw.target.astype(np.int64), ("malignant", "benign"))


_ADULT = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex "
    "capital-gain capital-loss hours-per-week native-country"
).split()
_ADULT_NUMBERS = frozenset(
    {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
)


@cache
def adult() -> Table:
    """UCI Adult, 32,561 rows of 14 columns. Raises: Absent."""
    text = gzip.decompress(_file("adult.data.gz").read_bytes()).decode("utf-8")
    cells = [[one.strip() for one in line.split(",")] for line in text.splitlines() if line.strip()]
    columns = {
        name: np.array([row[at] for row in cells], float if name in _ADULT_NUMBERS else object)
        for at, name in enumerate(_ADULT)
    }
    labels = np.array([int(row[14].startswith(">50K")) for row in cells])
    return Table("Adult", columns, labels, ("<=50K", ">50K"))


@cache
def nsl_kdd(part: str = "train_20pct") -> Table:
    """NSL-KDD, 25,192 rows of 41 columns (``test``: 22,544). Raises: Absent."""
    fields = _file("nsl_kdd/field_names.csv").read_text("utf-8").split()
    names = [line.split(",")[0] for line in fields][:41]
    text = gzip.decompress(_file(f"nsl_kdd/{part}.txt.gz").read_bytes()).decode("utf-8")
    cells = [line.split(",") for line in text.splitlines() if line.strip()]
    words = {"protocol_type", "service", "flag"}
    columns = {
        name: np.array([row[at] for row in cells], object if name in words else float)
        for at, name in enumerate(names)
    }
    labels = np.array([int(row[41] != "normal") for row in cells])
    return Table("NSL-KDD", columns, labels, ("normal", "attack"))


@cache
def sst2() -> Texts:
    """SST-2 sentences: 6,920 for training, 1,821 for test. Raises: Absent."""
    parts = []
    for part in ("train", "test"):
        lines = _file(f"sst2/{part}.tsv").read_text("utf-8").splitlines()
        rows = [line.rsplit("\t", 1) for line in lines if "\t" in line]
        parts.append(([row[0] for row in rows], np.array([int(row[1]) for row in rows])))
    (train, labels), (test, test_labels) = parts
    return Texts("SST-2", train, labels, test, test_labels, ("negative", "positive"))


@cache
def sms() -> Texts:
    """5,572 messages, 4,500 of them for training. Raises: Absent."""
    lines = _file("sms.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t", 1) for line in lines if "\t" in line]
    labels = np.array([int(row[0] == "spam") for row in rows])
    order = np.random.default_rng(1).permutation(len(rows))
    train, test = order[:4500], order[4500:]
    return Texts(
        "SMS",
        [rows[at][1] for at in train],
        labels[train],
        [rows[at][1] for at in test],
        labels[test],
        ("ham", "spam"),
    )


_GOOD = "lovely bright honest clever warm funny charming gentle rich brave".split()
_BAD = "dull weak empty tired cold clumsy noisy bleak vague hollow".split()
_PLAIN = (
    "the a this that film story scene ending cast script music camera actor plot and but with from "
    "after before through about over more less very rather often again early late city house river "
    "summer winter evening morning friend family letter window garden market train paper table "
    "picture voice hand stone light water"
).split()


@cache
def sentences() -> Texts:
    """3,000 generated sentences about films, 600 of them for test: text that is always there."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 3000)
    texts = []
    for label in labels:
        words = rng.choice(_PLAIN, int(rng.integers(8, 18))).tolist()
        for _ in range(int(rng.integers(1, 4))):
            own = rng.random() < 0.9
            pool = _GOOD if bool(label) == own else _BAD
            words.insert(int(rng.integers(len(words))), str(rng.choice(pool)))
        texts.append(" ".join(words))
    return Texts(
        "sentences",
        texts[:2400],
        labels[:2400],
        texts[2400:],
        labels[2400:],
        ("negative", "positive"),
    )
