"""Small versions to screen, made or from the shared data folder."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sealwright.scan.interface import Batch, Column, Frame

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SEAL_SHARED_DATA", ROOT.parent / "shared" / "data"))


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not in the shared data folder (SEAL_SHARED_DATA)")
    return path


def frame_of(rows, columns, labels=(), sources=(), seed=7, alpha=0.01) -> Frame:
    return Frame(rows, tuple(columns), tuple(labels), tuple(sources), seed, alpha, 50)


def table(values: dict, labels: Sequence[str], types: dict | None = None, seed=7):
    """A batch and its frame; floats are numbers, the rest categories unless ``types`` says."""
    labels = list(map(str, labels))
    names = sorted(set(labels))
    code = {name: at for at, name in enumerate(names)}
    kinds = {
        name: (types or {}).get(name, "number" if np.asarray(v).dtype.kind in "fiu" else "category")
        for name, v in values.items()
    }
    held = {
        name: np.asarray(v, np.float64 if kinds[name] == "number" else object)
        for name, v in values.items()
    }
    n = len(labels)
    batch = Batch(
        np.arange(n, dtype=np.int64),
        np.array([code[one] for one in labels], np.int32),
        np.full(n, -1, np.int32),
        held,
    )
    return batch, frame_of(n, [Column(k, kinds[k]) for k in values], names, seed=seed)


def cut(batch: Batch, size: int) -> list[Batch]:
    """The batch in pieces."""
    return [
        Batch(
            batch.ids[at : at + size],
            batch.labels[at : at + size],
            batch.sources[at : at + size],
            {name: column[at : at + size] for name, column in batch.values.items()},
        )
        for at in range(0, len(batch.ids), size)
    ]


def wages(rows: int, seed: int = 0):
    """A made table; the label follows weight and job with noise, and nothing else."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows).astype(float)
    hours = rng.integers(10, 60, rows).astype(float)
    weight = np.round(rng.gamma(8, 2_000, rows))
    job = rng.choice(["clerk", "sales", "nurse", "cook", "guard"], rows)
    town = rng.choice([f"town{i}" for i in range(12)], rows)
    score = (weight - 16_000) / 4_000 + (job == "nurse") - (job == "cook")
    label = np.where(score + rng.logistic(size=rows) / 3 > 1.2, ">50K", "<=50K")
    values = {"age": age, "hours": hours, "weight": weight, "job": job, "town": town}
    return table(values, list(label))


def adult():
    names = (
        "age workclass fnlwgt education education-num marital occupation relationship race sex "
        "gain loss hours country"
    ).split()
    with gzip.open(shared("adult.data.gz"), "rt") as lines:
        rows = [[x.strip() for x in row] for row in csv.reader(lines) if len(row) == 15]
    numbers = {"age", "fnlwgt", "education-num", "gain", "loss", "hours"}
    values = {
        name: np.array([row[at] for row in rows], float if name in numbers else object)
        for at, name in enumerate(names)
    }
    return table(values, [row[14] for row in rows])


def nsl_kdd():
    with gzip.open(shared("nsl_kdd/train_20pct.txt.gz"), "rt") as lines:
        rows = [row for row in csv.reader(lines) if row]
    with open(shared("nsl_kdd/field_names.csv")) as lines:
        fields = [row for row in csv.reader(lines) if row][:41]
    values = {
        name: np.array([row[at] for row in rows], float if "cont" in kind else object)
        for at, (name, kind) in enumerate(fields)
    }
    return table(values, ["normal" if row[41] == "normal" else "attack" for row in rows])


def sst2():
    lines = shared("sst2/train.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if "\t" in line]
    return table({"text": [r[0] for r in rows]}, [r[1] for r in rows], {"text": "text"})


def sms():
    lines = shared("sms.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t", 1) for line in lines if "\t" in line]
    return table({"text": [r[1] for r in rows]}, [r[0] for r in rows], {"text": "text"})


def whole_and_shards(detector, frame, pieces, passes):
    """Two settled scans: of all pieces, and of two shards that were merged after each pass."""
    whole, one, two = (detector.begin(frame) for _ in range(3))
    for number in range(passes):
        for at, piece in enumerate(pieces):
            whole.observe(number, piece)
            (one, two)[at % 2].observe(number, piece)
        one.merge(two)
        for scan in (whole, one):
            scan.settle(number)
        two = one.shard()
    return whole, one
