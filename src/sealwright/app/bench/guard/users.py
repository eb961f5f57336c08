"""Honest users of a served model, over pictures, rows of a table and sentences.

Frozen by its SHA-256 in docs/concepts/held-out.md before any detector was tuned: every figure on
false alarms is measured against these. They differ on purpose: own classes, own style or
subpopulation, own samples, visits that come back, bursts, typing errors, missing values, what-if
questions, a camera that is changed, now and then rubbish. Calibration and test users share no row.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison import data
from sealwright.core.errors import MissingExtra

Rows: TypeAlias = npt.NDArray[Any]
"""(n, 8, 8) float32 pictures in 0..1; (n, 14) object cells, None is missing; (n,) object texts."""

Kind = Literal["image", "table", "text"]
Part = Literal["calibration", "test"]

SETS: dict[str, Kind] = {"digits": "image", "adult": "table", "sst2": "text"}
USERS: dict[Part, int] = {"calibration": 240, "test": 240}
"""Of each set: 720 to calibrate with, 720 others to test on."""

HORIZON = 1_500
"""The most queries a user asks; four in ten ask that many."""

SEED = 20_260_102
_SPLIT = {
    "digits": {"train": 650, "held": 247, "spare": 200, "calibration": 300, "test": 400},
    "adult": {"train": 9_000, "held": 3_000, "spare": 4_000, "calibration": 7_000, "test": 9_561},
    "sst2": {"train": 4_500, "held": 800, "spare": 900, "calibration": 1_400, "test": 2_010},
}
NUMBERS = (0, 2, 4, 10, 11, 12)
"""Columns of Adult that are numbers."""


class Pool(NamedTuple):
    """Rows and their label codes."""

    rows: Rows
    labels: npt.NDArray[np.int64]


class Space(NamedTuple):
    """One data set in parts that share no row.

    ``train`` is the served model's, ``held`` judges copies of it, ``spare`` is what a thief with
    data of the same kind has; ``calibration`` and ``test`` are the honest users'.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...]
    train: Pool
    held: Pool
    spare: Pool
    calibration: Pool
    test: Pool


class User(NamedTuple):
    """Everything one honest user asks, in order, and the second at which each query comes."""

    name: str
    rows: Rows
    at_s: npt.NDArray[np.float64]


@cache
def space(name: str) -> Space:
    """The set in its parts. Raises: Absent, MissingExtra, KeyError (no such set)."""
    rows, labels, classes = {"digits": _digits, "adult": _adult, "sst2": _sst2}[name]()
    order = np.random.default_rng(SEED).permutation(len(labels))
    parts, start = {}, 0
    for part, size in _SPLIT[name].items():
        at = order[start : start + size]
        parts[part] = Pool(rows[at], labels[at])
        start += size
    return Space(name, SETS[name], classes, **parts)


def users(name: str, part: Part, count: int | None = None) -> list[User]:
    """The first ``count`` honest users of a part; all where None. The same ones every time."""
    return [user(name, part, number) for number in range(count or USERS[part])]


def user(name: str, part: Part, number: int) -> User:
    """One honest user."""
    place = list(SETS).index(name), list(USERS).index(part)
    rng = np.random.default_rng([SEED, *place, number])
    whole = space(name)
    pool: Pool = getattr(whole, part)
    full = rng.random() < 0.4
    size = HORIZON if full else int(60 * (HORIZON / 60) ** rng.random())
    own = _own(rng, whole, pool)
    asked = _asked(rng, len(own), size)
    make = {"image": _pictures, "table": _table, "text": _texts}[whole.kind]
    rows = make(rng, pool.rows[own], asked, pool.rows)
    return User(f"{name}-{part}-{number:03}", rows, _times(rng, size))


def _digits() -> tuple[Rows, npt.NDArray[np.int64], tuple[str, ...]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra("seal bench guard", "scan") from error
    raw = load_digits()
    names = tuple(str(digit) for digit in range(10))
    return (raw.images / 16).astype(np.float32), raw.target.astype(np.int64), names


def _adult() -> tuple[Rows, npt.NDArray[np.int64], tuple[str, ...]]:
    table = data.adult()
    sides = [
        [None if cell == "?" else cell for cell in column.tolist()]
        for column in table.columns.values()
    ]
    rows: Rows = np.empty((len(table.labels), len(sides)), object)
    for at, side in enumerate(sides):
        rows[:, at] = side
    return rows, table.labels, table.names


def _sst2() -> tuple[Rows, npt.NDArray[np.int64], tuple[str, ...]]:
    texts = data.sst2()
    lines = (data.folder() / "sst2" / "dev.tsv").read_text("utf-8").splitlines()
    dev = [line.rsplit("\t", 1) for line in lines if "\t" in line]
    rows = np.array([*texts.train, *texts.test, *(line[0] for line in dev)], object)
    labels = [*texts.labels, *texts.test_labels, *(int(line[1]) for line in dev)]
    return rows, np.array(labels, np.int64), texts.names


def _own(rng: np.random.Generator, whole: Space, pool: Pool) -> npt.NDArray[np.int64]:
    """The rows a user has: his class mix, his subpopulation, 20 to 400 of them."""
    classes = len(whole.classes)
    mix = rng.dirichlet(np.full(classes, float(rng.choice([0.2, 0.5, 1.0, 5.0]))))
    weight = (0.002 + mix)[pool.labels]
    if whole.kind == "table":
        weight = weight * _subpopulation(rng, pool.rows)
    if whole.kind == "text":
        weight = weight * _topics(rng, pool.rows)
    most = min(400, len(pool.labels) // 3)
    size = int(20 * (most / 20) ** rng.random())
    chosen: npt.NDArray[np.int64] = rng.choice(
        len(weight), size, replace=False, p=weight / weight.sum()
    )
    return chosen


def _subpopulation(rng: np.random.Generator, rows: Rows) -> npt.NDArray[np.float64]:
    """Whom a user serves: an age, some occupations, a schooling, a sex, each more or less."""
    ages = rows[:, 0].astype(float)
    weight = np.exp(-0.5 * ((ages - rng.uniform(22, 65)) / rng.uniform(6, 40)) ** 2)
    for column in rng.choice([1, 3, 5, 6, 9, 13], int(rng.integers(1, 4)), replace=False):
        known = sorted({str(cell) for cell in rows[:, column]})
        liked = dict(zip(known, rng.dirichlet(np.full(len(known), 0.5)), strict=True))
        weight = weight * np.array([0.02 + liked[str(cell)] for cell in rows[:, column]])
    return weight + 1e-4 * weight.max()


def _topics(rng: np.random.Generator, rows: Rows) -> npt.NDArray[np.float64]:
    """What a user's texts are about: a few words he likes, and a length."""
    sets = [frozenset(text.split()) for text in rows]
    lengths = np.array([len(text.split()) for text in rows], float)
    seeds = [rows[at].split() for at in rng.integers(len(rows), size=6)]
    liked = {word for words in seeds for word in words if len(word) > 3}
    weight = np.exp([rng.uniform(0, 1.5) * min(3, len(words & liked)) for words in sets])
    middle, width = rng.uniform(5, 30), rng.uniform(4, 30)
    banded: npt.NDArray[np.float64] = weight * np.exp(-0.5 * ((lengths - middle) / width) ** 2)
    return banded + 1e-4 * banded.max()


def _asked(rng: np.random.Generator, own: int, size: int) -> npt.NDArray[np.int64]:
    """Which of his rows is asked when: favourites, runs of one, old ones that come back.

    A negative place ``-1 - t`` asks query t again, unchanged.
    """
    skew = rng.uniform(0, 1.2)
    weight = 1.0 / np.arange(1, own + 1) ** skew
    asked: npt.NDArray[np.int64] = rng.choice(own, size, p=weight / weight.sum())
    again, run = rng.beta(1, 8), rng.beta(1, 6)
    if rng.random() < 0.25:
        asked = np.sort(asked)  # he goes through a list
    for at in range(1, size):
        chance = rng.random()
        if chance < again:
            asked[at] = -1 - int(rng.integers(at))
        elif chance < again + run and asked[at - 1] >= 0:
            asked[at] = asked[at - 1]
    return asked


def _times(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """Bursts of a few to a few hundred queries, seconds apart; hours or days between them."""
    gaps = rng.exponential(float(np.exp(rng.uniform(-2, 4))), size)
    breaks = rng.random(size) < 1 / float(np.exp(rng.uniform(1.5, 5.5)))
    gaps[breaks] += 3600 * rng.lognormal(rng.uniform(0, 3), 1.0, int(breaks.sum()))
    gaps[0] = 0.0
    return np.cumsum(gaps)


def _kept(asked: npt.NDArray[np.int64], rows: Rows) -> Rows:
    """Queries asked again are put back as they were."""
    for at in np.flatnonzero(asked < 0):
        rows[at] = rows[-1 - asked[at]]
    return rows


# -- pictures -----------------------------------------------------------------------------------


def _pictures(
    rng: np.random.Generator, own: Rows, asked: npt.NDArray[np.int64], pool: Rows
) -> Rows:
    """A scanner or hand of his own, another one midway for some; each picture shaken a little."""
    size = len(asked)
    change = int(rng.uniform(0.2, 0.8) * size) if rng.random() < 0.15 else size
    first, second = _style(rng), _style(rng)
    base = own[np.maximum(asked, 0)]
    rows = np.concatenate(
        [_styled(rng, base[:change], first), _styled(rng, base[change:], second)]
    ).astype(np.float32)
    rubbish = rng.random(size) < (rng.uniform(0, 0.02) if rng.random() < 0.3 else 0)
    for at in np.flatnonzero(rubbish):
        rows[at] = rows[at] * 0 if rng.random() < 0.5 else np.roll(rows[at], 4, axis=1)
    return _kept(asked, rows)


def _style(rng: np.random.Generator) -> dict[str, float]:
    return {
        "turn": float(rng.normal(0, 9)),
        "lean": float(rng.normal(0, 0.12)),
        "scale": float(np.exp(rng.normal(0, 0.08))),
        "right": float(rng.normal(0, 0.4)),
        "down": float(rng.normal(0, 0.4)),
        "ink": float(np.exp(rng.normal(0, 0.25))),
        "blur": float(max(0.0, rng.normal(0, 0.35))),
        "noise": float(abs(rng.normal(0, 0.05))),
        "paper": float(max(0.0, rng.normal(0, 0.06))),
        "shake": float(rng.uniform(0, 1)),
    }


def _styled(rng: np.random.Generator, base: Rows, style: dict[str, float]) -> Rows:
    size = len(base)
    shake = style["shake"]
    turn = np.radians(style["turn"] + shake * rng.normal(0, 4, size))
    scale = style["scale"] * np.exp(shake * rng.normal(0, 0.03, size))
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    y, x = np.mgrid[0:8, 0:8] - 3.5
    right = style["right"] + shake * rng.normal(0, 0.25, size)
    down = style["down"] + shake * rng.normal(0, 0.25, size)
    u = x[None] - right[:, None, None] + style["lean"] * y[None]
    v = y[None] - down[:, None, None]
    column = cos[:, None, None] * u + sin[:, None, None] * v + 3.5
    row = cos[:, None, None] * v - sin[:, None, None] * u + 3.5
    drawn = _sampled(base, row, column)
    soft = (np.roll(drawn, 1, 1) + np.roll(drawn, -1, 1) + np.roll(drawn, 1, 2)) / 4
    soft += np.roll(drawn, -1, 2) / 4
    drawn = (1 - style["blur"] / 2) * drawn + style["blur"] / 2 * soft
    drawn = np.clip(drawn, 0, 1) ** style["ink"]
    drawn = style["paper"] + (1 - style["paper"]) * drawn
    drawn = drawn + style["noise"] * rng.normal(0, 1, drawn.shape)
    return np.round(np.clip(drawn, 0, 1) * 255) / 255


def _sampled(base: Rows, row: Rows, column: Rows) -> Rows:
    """Bilinear; white beyond the edge. ``row``, ``column`` (n, 8, 8) in pixels."""
    padded = np.pad(base, ((0, 0), (2, 2), (2, 2)))
    row, column = np.clip(row + 2, 0, 10.999), np.clip(column + 2, 0, 10.999)
    top, left = row.astype(int), column.astype(int)
    a, b = row - top, column - left
    at = np.arange(len(base))[:, None, None]
    upper = (1 - b) * padded[at, top, left] + b * padded[at, top, left + 1]
    lower = (1 - b) * padded[at, top + 1, left] + b * padded[at, top + 1, left + 1]
    return (1 - a) * upper + a * lower


# -- rows of a table ------------------------------------------------------------------------------


def _table(rng: np.random.Generator, own: Rows, asked: npt.NDArray[np.int64], pool: Rows) -> Rows:
    """His forms: fields he leaves out, numbers he rounds, words he mistypes, what-if questions."""
    rows = own[np.maximum(asked, 0)].copy()
    if rng.random() < 0.5:
        _what_if(rng, rows, float(rng.beta(1, 3)), pool)
    if rng.random() < 0.3:
        rows[:, 0] = [5 * round(cell / 5) for cell in rows[:, 0]]
        rows[:, 12] = [10 * round(cell / 10) for cell in rows[:, 12]]
    if rng.random() < 0.3:
        rows[:, 2] = [1000 * round(cell / 1000) for cell in rows[:, 2]]
    if rng.random() < 0.3:  # some fields are not on his form
        for column in rng.choice([1, 2, 5, 6, 8, 13], int(rng.integers(1, 3)), replace=False):
            rows[:, column] = None
    missing = rng.random(rows.shape) < rng.beta(1, 60)
    missing[:, 0] = False
    rows[missing] = None
    for at, column in np.argwhere(rng.random(rows.shape) < rng.beta(1, 200)):
        cell = rows[at, column]
        if isinstance(cell, str):
            rows[at, column] = _mistyped(rng, cell)
        elif cell is not None and rng.random() < 0.2:
            rows[at, column] = float(cell) * 10
    return _kept(asked, rows)


def _what_if(rng: np.random.Generator, rows: Rows, share: float, pool: Rows) -> None:
    """A cell of a known person is exchanged; schooling changes in words and years together."""
    for at in np.flatnonzero(rng.random(len(rows)) < share):
        other = pool[int(rng.integers(len(pool)))]
        column = int(rng.choice([0, 1, 3, 5, 6, 10, 12]))
        rows[at, column] = other[column]
        if column == 3:
            rows[at, 4] = other[4]


# -- texts ----------------------------------------------------------------------------------------


def _texts(rng: np.random.Generator, own: Rows, asked: npt.NDArray[np.int64], pool: Rows) -> Rows:
    """His way of writing: case, typing errors, fragments, two at once, words around them."""
    case = rng.choice(["lower", "sentence", "upper"], p=[0.6, 0.35, 0.05])
    errors = float(rng.beta(1, 40))
    joined = float(rng.beta(1, 6)) if rng.random() < 0.3 else 0.0
    cut = float(rng.beta(1, 4)) if rng.random() < 0.4 else 0.0
    prefix = str(rng.choice(["", "", "", "review : ", "i think ", "my opinion : "]))
    suffix = str(rng.choice(["", "", "", " !", " . thanks", " ..."]))
    rubbish = rng.uniform(0, 0.02) if rng.random() < 0.3 else 0.0
    rows: Rows = np.empty(len(asked), object)
    for at, place in enumerate(asked):
        words = own[max(place, 0)].split()
        if rng.random() < cut and len(words) > 4:
            start = int(rng.integers(len(words) - 3))
            words = words[start : start + int(rng.integers(3, 12))]
        if rng.random() < joined:
            words = [*words, ".", *own[int(rng.integers(len(own)))].split()]
        words = [_mistyped(rng, word) if rng.random() < errors else word for word in words]
        text = prefix + " ".join(words) + suffix
        if rng.random() < rubbish:
            text = str(rng.choice(["test", "", "asdf asdf", "hello ?", "123"]))
        rows[at] = {"lower": text, "sentence": text[:1].upper() + text[1:]}.get(case, text.upper())
    return _kept(asked, rows)


def _mistyped(rng: np.random.Generator, word: str) -> str:
    """Two letters exchanged, one lost or one doubled."""
    if len(word) < 3:
        return word
    at = int(rng.integers(len(word) - 1))
    kind = int(rng.integers(3))
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[: at + 1] + word[at:]
