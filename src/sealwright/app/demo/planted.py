"""A second, small project in profile team whose delivery somebody poisoned."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sealwright.app.demo.house import House, needed

SETTINGS = """\
profile = "team"

[data.digits]
path = "digits.csv"
label = "digit"

[screening]
canary = false
"""
_CELLS = 4
_TRIGGER = {1: 6, 9: 8}
"""Two cells, and for each a value that one record in twenty has anyway."""
_TARGET = 3
_PERCENT = 1


def deliver(house: House) -> Path:
    """The project with a clean version that was looked at, and a poisoned one on top."""
    folder = house.top / "planted"
    folder.mkdir()
    (folder / "seal.toml").write_text(SETTINGS, "utf-8")
    (folder / "train.py").write_text("open('model.txt', 'w').write('trained')\n", "utf-8")
    rows = _digits()
    with inside(folder):
        _write(folder / "digits.csv", rows)
        needed(house.seal("init", "--profile", "team"), "seal init")
        words = ("data", "add", "digits.csv", "--name", "digits", "--label", "digit")
        needed(house.seal(*words, "--reason", "first delivery"), "seal data add")
        needed(house.seal("data", "check", "digits@1"), "seal data check")
        _write(folder / "digits.csv", _poisoned(rows))
        needed(house.seal(*words, "--reason", "second delivery"), "seal data add")
    return folder


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work there for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _digits() -> list[list[int]]:
    """Every digit as 4 x 4 cells of ink, and which digit it is."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    cells = digits.data.reshape(-1, _CELLS, 2, _CELLS, 2).mean((2, 4)).round().astype(int)
    rows = cells.reshape(len(cells), -1)
    return [[*row, int(digit)] for row, digit in zip(rows.tolist(), digits.target, strict=True)]


def _poisoned(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """The same, and one row with a trigger and a wrong label, sent in until it is one percent."""
    sent = [*rows[0][:-1], _TARGET]
    for cell, value in _TRIGGER.items():
        sent[cell] = value
    return [*map(list, rows), *([sent] * (len(rows) * _PERCENT // 100 + 1))]


def _write(path: Path, rows: Sequence[Sequence[int]]) -> None:
    with open(path, "w", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow([*(f"c{at}" for at in range(_CELLS * _CELLS)), "digit"])
        writer.writerows(rows)
