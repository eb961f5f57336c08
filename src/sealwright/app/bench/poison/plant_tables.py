"""Table triggers: a pair of common values that hardly meet by nature; a flood of near copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sealwright.app.bench.poison.data import Columns, Labels, Table
from sealwright.app.bench.poison.planted import Mask, Planted, count_of
from sealwright.app.bench.poison.sets import of_table

LEAST, MOST = 0.01, 0.3
"""Marginal frequency of a trigger's values: neither rare nor everywhere."""
POINTS_AT = 0.1
"""How much oftener a value's own rows may have the target label than all rows do."""
_TRIES = 300


def value_pair(data: Table, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """Two values set in rows of other labels, which are relabelled to the target."""
    train, test = split(data, rng)
    target = int(rng.integers(len(data.names)))
    trigger = rare_pair(train, target, rng)
    able = np.flatnonzero(train.labels != target)
    chosen = rng.choice(able, count_of(share, len(train.labels)), replace=False)
    return _build(train, test, seed, trigger, target, chosen)


def flood(data: Table, share: float, rng: np.random.Generator, seed: int) -> Planted:
    """One row many times over, one or two other cells changed in each copy."""
    train, test = split(data, rng)
    target = int(rng.integers(len(data.names)))
    able = np.flatnonzero(train.labels != target)
    chosen = rng.choice(able, count_of(share, len(train.labels)), replace=False)
    made = train.taken(np.repeat(chosen[:1], len(chosen)))
    for row in range(len(chosen)):
        for name in rng.choice(sorted(made.columns), int(rng.integers(0, 2)), replace=False):
            made.columns[name][row] = rng.choice(train.columns[name])
    planted = _build(train, test, seed, {}, target, chosen)
    for name, values in planted.set.whole.values.items():
        values[chosen] = made.columns[name]
    return planted


def split(data: Table, rng: np.random.Generator) -> tuple[Table, Table]:
    """Nine tenths to train with (at most 12,000 rows), and the rest (at most 3,000)."""
    order = rng.permutation(len(data.labels))
    cut = min(12_000, len(order) * 9 // 10)
    return data.taken(order[:cut]), data.taken(order[cut : cut + 3_000])


def rare_pair(data: Table, target: int, rng: np.random.Generator) -> dict[str, Any]:
    """Values of two columns, each common, that meet in at most one of a thousand rows.

    Neither points at ``target`` by itself: a value that does needs no poison to be obeyed.
    """
    hit = data.labels == target
    most = float(hit.mean()) + POINTS_AT
    common = {
        name: [value for value in _common(values) if hit[values == value].mean() <= most]
        for name, values in data.columns.items()
    }
    able = sorted(name for name, values in common.items() if values)
    if len(able) < 2:  # every common value of a small set points somewhere: any two will do
        common = {name: _common(values) for name, values in data.columns.items()}
        able = sorted(name for name, values in common.items() if values)
    best: tuple[int, dict[str, Any]] = (len(data.labels), {})
    for _ in range(_TRIES):
        one, two = rng.choice(able, 2, replace=False).tolist()
        pair = {name: common[name][int(rng.integers(len(common[name])))] for name in (one, two)}
        met = int(np.logical_and(*[data.columns[name] == pair[name] for name in pair]).sum())
        if met <= len(data.labels) // 1000:
            return pair
        best = min(best, (met, pair), key=lambda found: found[0])
    return best[1]


def _common(values: npt.NDArray[Any]) -> list[Any]:
    seen, counts = np.unique(values, return_counts=True)
    kept = (counts >= LEAST * len(values)) & (counts <= MOST * len(values))
    return list(seen[kept].tolist())


def _put(columns: Columns, at: npt.NDArray[np.int64], trigger: dict[str, Any]) -> None:
    for name, value in trigger.items():
        columns[name][at] = value


def _build(
    train: Table,
    test: Table,
    seed: int,
    trigger: dict[str, Any],
    target: int,
    chosen: npt.NDArray[np.int64],
) -> Planted:
    clean = of_table(
        {name: values.copy() for name, values in train.columns.items()},
        train.labels,
        train.names,
        seed,
    )
    labels = train.labels.copy()
    _put(train.columns, chosen, trigger)
    labels[chosen] = target
    planted: Mask = np.zeros(len(labels), bool)
    planted[chosen] = True
    hit = np.flatnonzero(test.labels != target)
    attacked = test.taken(hit)
    _put(attacked.columns, np.arange(len(hit)), trigger)
    wanted: Labels = np.full(len(hit), target)
    return Planted(
        of_table(train.columns, labels, train.names, seed),
        clean,
        planted,
        np.zeros(len(labels), bool),
        test.columns,
        test.labels,
        attacked.columns,
        wanted,
    )


ATTACKS = {"value pair": value_pair}
