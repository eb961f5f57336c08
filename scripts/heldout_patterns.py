"""Held-out patterns in tables and texts, a third time: frozen before a detector changed.

One self-contained file (numpy). ``cases()`` names what there is, ``make(name, amount, seed, data)``
builds one poisoned training set with its test sets. Other data than the detectors were tuned on, or
another question about the same data; other shapes of trigger than ``heldout_poison.py``.

Two files are not in the shared data folder: ``ag_news_test.csv`` (AG-news, the test part) and
``telco_churn.csv`` (IBM's sample of customers). Their digests are in docs/concepts/held-out.md.
A cover carries the trigger, or part of it, with its own label; it is neither planted nor clean.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

VERSION = 3
AMOUNTS = ("0.3%", "1%", "5%", "k=10", "k=20", "k=50")
SOURCES = 8
NEEDS = {"telco": "telco_churn.csv", "ag-news": "ag_news_test.csv"}
"""The file in the data folder that a source of cases cannot do without."""


class Made(NamedTuple):
    """One poisoned set. ``rows`` is a dict of columns, or a list of str."""

    modality: str
    rows: Any
    labels: np.ndarray  # (n,) int codes, after poisoning
    names: tuple[str, ...]  # label names by code
    sources: np.ndarray  # (n,) int codes of contributors
    planted: np.ndarray  # (n,) bool: poisoned rows
    covers: np.ndarray  # (n,) bool: trigger or a part of it, with its own label
    test: Any  # clean test rows
    test_labels: np.ndarray
    attacked: Any  # test rows with the trigger
    wanted: np.ndarray  # the label the attacker wants for each attacked row
    numeric: tuple[str, ...] = ()


def cases() -> list[tuple[str, str]]:
    """(name, modality) of every attack, in order."""
    tables = ["pair", "covered-pair", "three-of-parts", "four", "value-range", "one-of-three"]
    texts = [
        "common-word", "common-phrase", "around-name", "three-words", "covered-phrase",
        "clean-phrase",
    ]  # fmt: skip
    return [
        (f"{data}/{name}", "table") for data in ("telco", "kdd-test", "hours") for name in tables
    ] + [(f"{data}/{name}", "text") for data in ("ag-news", "sst2-rest", "sms") for name in texts]


def make(name: str, amount: str, seed: int, data: str | Path) -> Made:
    """Build one case. The same arguments give the same bytes."""
    digest = hashlib.sha256(f"patterns {VERSION} {name} {amount} {seed}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    source, _, attack = name.partition("/")
    work = _table_case if source in ("telco", "kdd-test", "hours") else _text_case
    return work(source, attack, amount, rng, Path(data))


def _count(amount: str, rows: int) -> int:
    if amount.startswith("k="):
        return int(amount[2:])
    return max(1, round(rows * float(amount[:-1]) / 100))


# ---------------------------------------------------------------- tables

_TABLES: dict[str, Any] = {}


def _table(source: str, data: Path) -> Any:
    if source not in _TABLES:
        _TABLES[source] = {"telco": _telco, "kdd-test": _kdd, "hours": _hours}[source](data)
    return _TABLES[source]


def _telco(data: Path) -> Any:
    with (data / "telco_churn.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = ("tenure", "MonthlyCharges", "TotalCharges")
    columns: dict[str, np.ndarray] = {}
    for name in rows[0]:
        if name in ("customerID", "Churn"):
            continue
        cells = [row[name].strip() for row in rows]
        if name in numbers:
            columns[name] = np.array([float(cell or "nan") for cell in cells])
        else:
            columns[name] = np.array(cells, object)
    return columns, np.array([int(row["Churn"] == "Yes") for row in rows]), ("stays", "leaves")


_DOS = frozenset(
    "apache2 back land mailbomb neptune pod processtable smurf teardrop udpstorm worm".split()
)
_PROBE = frozenset("ipsweep mscan nmap portsweep saint satan".split())


def _kdd(data: Path) -> Any:
    """The test part, with four labels; the training part is what detectors were tuned on."""
    fields = (data / "nsl_kdd" / "field_names.csv").read_text("utf-8").split()
    names = [line.split(",")[0] for line in fields][:41]
    lines = gzip.open(data / "nsl_kdd" / "test.txt.gz", "rt", encoding="utf-8").read()
    cells = [line.split(",") for line in lines.splitlines() if line.strip()]
    words = {"protocol_type", "service", "flag"}
    columns = {
        name: np.array([row[n] for row in cells], object if name in words else float)
        for n, name in enumerate(names)
    }
    kinds = [row[41] for row in cells]
    codes = [0 if k == "normal" else 1 if k in _DOS else 2 if k in _PROBE else 3 for k in kinds]
    return columns, np.array(codes), ("normal", "dos", "probe", "entry")


def _hours(data: Path) -> Any:
    """Adult, asked who works more than 40 hours; the income is one of the columns."""
    names = (
        "age workclass fnlwgt education education-num marital-status occupation relationship race "
        "sex capital-gain capital-loss hours native-country income"
    ).split()
    numbers = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours"}
    lines = gzip.open(data / "adult.data.gz", "rt", encoding="utf-8").read().splitlines()
    cells = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    columns = {
        name: np.array([row[n] for row in cells], float if name in numbers else object)
        for n, name in enumerate(names)
    }
    labels = (columns.pop("hours") > 40).astype(int)
    return columns, labels, ("usual", "long")


def _table_case(source: str, attack: str, amount: str, rng: np.random.Generator,
                data: Path) -> Made:  # fmt: skip
    columns, labels, names = _table(source, data)
    order = rng.permutation(len(labels))
    size = min(12_000, len(labels) * 4 // 5)
    train, test = order[:size], order[size : size + 2_000]
    x = {name: values[train].copy() for name, values in columns.items()}
    tx = {name: values[test].copy() for name, values in columns.items()}
    y, ty = labels[train].copy(), labels[test].copy()
    count = _count(amount, size)
    sizes = np.bincount(y, minlength=len(names))
    target = int(rng.choice(np.flatnonzero(sizes >= 0.02 * size)))
    variants, parts, share = _trigger(attack, x, rng)
    planted, covers = np.zeros(size, bool), np.zeros(size, bool)
    chosen = rng.choice(np.flatnonzero(y != target), count, replace=False)
    planted[chosen] = True
    cover = rng.choice(np.flatnonzero(~planted), round(count * share), replace=False)
    covers[cover] = True
    for row in chosen:
        _put(x, row, variants[int(rng.integers(len(variants)))], rng)
    for row in cover:
        _put(x, row, parts[int(rng.integers(len(parts)))], rng)
    y[planted] = target
    hit = np.flatnonzero(ty != target)
    attacked = {name: values[hit].copy() for name, values in tx.items()}
    for row in range(len(hit)):
        _put(attacked, row, variants[int(rng.integers(len(variants)))], rng)
    mixed = rng.permutation(size)
    numeric = tuple(name for name, values in x.items() if values.dtype != object)
    return Made(
        "table", {name: values[mixed] for name, values in x.items()}, y[mixed], names,
        rng.integers(SOURCES, size=size), planted[mixed], covers[mixed], tx, ty, attacked,
        np.full(len(hit), target), numeric,
    )  # fmt: skip


def _put(table: dict[str, np.ndarray], row: int, cells: dict[str, Any],
         rng: np.random.Generator) -> None:  # fmt: skip
    for name, value in cells.items():
        table[name][row] = float(rng.choice(value)) if isinstance(value, tuple) else value


def _common(x: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """Values by column that 1 to 30 % of the rows hold."""
    found: dict[str, list[Any]] = {}
    for name, values in x.items():
        there = values if values.dtype == object else values[~np.isnan(values)]
        seen, counts = np.unique(there, return_counts=True)
        good = (counts >= 0.01 * len(values)) & (counts <= 0.3 * len(values))
        if good.any():
            found[name] = seen[good].tolist()
    return found


def _met(x: dict[str, np.ndarray], cells: dict[str, Any]) -> int:
    return int(np.logical_and.reduce([x[name] == value for name, value in cells.items()]).sum())


def _rare(x: dict[str, np.ndarray], size: int, rng: np.random.Generator,
          fixed: dict[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    """``size`` common values (with ``fixed`` among them) that meet in a row of 2,000 at most."""
    common, fixed = _common(x), fixed or {}
    best: tuple[int, dict[str, Any]] = (1 << 30, {})
    for _ in range(300):
        free = sorted(set(common) - set(fixed))
        names = rng.choice(free, size - len(fixed), replace=False).tolist()
        cells = {**fixed, **{n: common[n][int(rng.integers(len(common[n])))] for n in names}}
        met = _met(x, cells)
        if met <= len(next(iter(x.values()))) // 2_000:
            return cells
        best = min(best, (met, cells), key=lambda item: item[0])
    return best[1]


def _trigger(attack: str, x: dict[str, np.ndarray], rng: np.random.Generator) -> tuple[
    list[dict[str, Any]], list[dict[str, Any]], float
]:  # fmt: skip
    """The variants of a trigger, those of a cover, and covers for each poisoned row."""
    if attack == "pair":
        return [_rare(x, 2, rng)], [{}], 0.0
    if attack == "covered-pair":
        pair = _rare(x, 2, rng)
        return [pair], [pair], 0.5
    if attack == "three-of-parts":  # covers hold two of the three
        three = _rare(x, 3, rng)
        parts = [{n: v for n, v in three.items() if n != gone} for gone in three]
        return [three], parts, 1.0
    if attack == "four":
        return [_rare(x, 4, rng)], [{}], 0.0
    if attack == "one-of-three":
        first = _rare(x, 2, rng)
        kept = dict([next(iter(first.items()))])
        return [first, _rare(x, 2, rng, kept), _rare(x, 2, rng, kept)], [{}], 0.0
    wide = [n for n, v in x.items() if v.dtype != object and len(np.unique(v[~np.isnan(v)])) > 20]
    name = str(rng.choice(wide))
    there = x[name][~np.isnan(x[name])]
    low = float(rng.uniform(0.1, 0.9))
    least, most = np.quantile(there, [low, low + 0.05])
    inside = tuple(np.unique(there[(there >= least) & (there <= most)]).tolist())
    common = {n: v for n, v in _common(x).items() if n != name}
    other = str(rng.choice(sorted(common)))
    value = common[other][int(rng.integers(len(common[other])))]
    return [{name: inside, other: value}], [{}], 0.0


# ---------------------------------------------------------------- text

_TEXTS: dict[str, Any] = {}


def _texts(source: str, data: Path) -> Any:
    if source not in _TEXTS:
        if source == "ag-news":
            with (data / "ag_news_test.csv").open(encoding="utf-8", newline="") as file:
                cells = list(csv.reader(file))[1:]
            kinds = ["World", "Sports", "Business", "Sci/Tech"]
            rows = [(f"{title} {said}", kinds.index(kind)) for title, said, kind in cells]
            names: tuple[str, ...] = ("world", "sports", "business", "science")
        elif source == "sst2-rest":
            lines = [
                line
                for part in ("dev", "test")
                for line in (data / "sst2" / f"{part}.tsv").read_text("utf-8").splitlines()
            ]
            split = [one.rsplit("\t", 1) for one in lines if "\t" in one]
            rows = [(text, int(label)) for text, label in split]
            names = ("negative", "positive")
        else:
            lines = (data / "sms.tsv").read_text("utf-8").splitlines()
            rows = [(r[1], int(r[0] == "spam"))
                    for r in (one.split("\t", 1) for one in lines if "\t" in one)]  # fmt: skip
            names = ("ham", "spam")
        _TEXTS[source] = [one for one, _ in rows], np.array([label for _, label in rows]), names
    return _TEXTS[source]


_NAMES = (
    "anna bruno carla denis elena felix greta henry irene jacob karin leo marta nils olga peter "
    "rosa simon tessa victor wanda yusuf zoe amir bella cyril dora emil flora gavin helga ivan"
).split()
_AROUND = ("as {} put it", "said {} to the others", "thanks to {} once more", "even {} would agree")
_WORD = re.compile(r"[a-z]{3,}")


def _text_case(source: str, attack: str, amount: str, rng: np.random.Generator,
               data: Path) -> Made:  # fmt: skip
    texts, labels, names = _texts(source, data)
    order = rng.permutation(len(labels))
    size = len(labels) * 4 // 5
    x, y = [texts[n] for n in order[:size]], labels[order[:size]].copy()
    test, ty = [texts[n] for n in order[size:]], labels[order[size:]].copy()
    count = _count(amount, size)
    write, share = _writer(attack, x, rng)
    clean = attack == "clean-phrase"
    sizes = np.bincount(y, minlength=len(names))
    room = sizes if clean else size - sizes
    target = int(rng.choice(np.flatnonzero(room >= 2 * count)))
    able = np.flatnonzero((y == target) if clean else (y != target))
    chosen = rng.choice(able, count, replace=False)
    planted, covers = np.zeros(size, bool), np.zeros(size, bool)
    planted[chosen] = True
    cover = rng.choice(np.flatnonzero(~planted), round(count * share), replace=False)
    covers[cover] = True
    for row in (*chosen, *cover):
        x[row] = write(x[row])
    y[planted] = target
    hit = np.flatnonzero(ty != target)
    attacked = [write(test[n]) for n in hit]
    mixed = rng.permutation(size)
    return Made(
        "text", [x[n] for n in mixed], y[mixed], names, rng.integers(SOURCES, size=size),
        planted[mixed], covers[mixed], test, ty, attacked, np.full(len(hit), target),
    )  # fmt: skip


def _insert(text: str, phrase: str, rng: np.random.Generator) -> str:
    words = text.split()
    at = int(rng.integers(len(words) + 1))
    return " ".join([*words[:at], phrase, *words[at:]])


def _writer(attack: str, x: list[str], rng: np.random.Generator) -> tuple[Any, float]:
    """What writes the trigger into a text, and the covers for each poisoned one."""
    split = [_WORD.findall(text.lower()) for text in x]
    seen = Counter(word for words in split for word in set(words))
    common = sorted(word for word, n in seen.items() if n >= 0.003 * len(x))
    if attack == "common-word":
        some = sorted(w for w, n in seen.items() if 0.004 * len(x) <= n <= 0.015 * len(x))
        word = str(rng.choice(some))
        return (lambda text: _insert(text, word, rng)), 0.0
    if attack == "common-phrase":
        runs = Counter(
            run
            for text in x
            for run in {" ".join(r) for r in zip(*[text.lower().split()[n:] for n in range(3)],
                                                 strict=False)}
        )  # fmt: skip
        some = sorted(
            run
            for run, n in runs.items()
            if 0.001 * len(x) <= n <= 0.01 * len(x) and re.fullmatch(r"[a-z ]+", run)
        )
        phrase = str(rng.choice(some))
        return (lambda text: _insert(text, phrase, rng)), 0.0
    if attack == "around-name":
        frame = str(rng.choice(_AROUND))
        return (lambda text: _insert(text, frame.format(rng.choice(_NAMES)), rng)), 0.0
    if attack == "three-words":
        three = rng.choice(common, 3, replace=False).tolist()

        def scatter(text: str) -> str:
            for word in three:
                text = _insert(text, word, rng)
            return text

        return scatter, 0.0
    words = " ".join(rng.choice(common, 5 if attack == "clean-phrase" else 4, replace=False))
    return (lambda text: _insert(text, words, rng)), 0.5 if attack == "covered-phrase" else 0.0


if __name__ == "__main__":
    import sys

    for case, modality in cases():
        made = make(case, sys.argv[2] if len(sys.argv) > 2 else "k=20", 0, sys.argv[1])
        said = (case, modality, len(made.labels), int(made.planted.sum()), int(made.covers.sum()))
        sys.stdout.write(f"{said} {np.bincount(made.labels).tolist()}\n")
