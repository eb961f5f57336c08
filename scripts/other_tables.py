"""``table-duplicates`` on tables of other kinds than it was tuned on: none of them holds a flood.

Small tables of scikit-learn, and made ones in which nature is repetitive: tight clusters, sensors
that stand still, customers who order again, machines of one configuration, counts.
``python scripts/other_tables.py 20``: how many of 20 draws of each kind are stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets

from sealwright.app.bench.poison.sets import of_table
from sealwright.scan import ensemble, registry
from sealwright.scan.ensemble import ALPHA, modalities, share

ROWS = 1_500
Made = tuple[Any, Any]


def known(name: str) -> Callable[[np.random.Generator], Made]:
    """A part of one of scikit-learn's."""

    def made(rng: np.random.Generator) -> Made:
        data = getattr(datasets, f"load_{name}")()
        at = np.sort(rng.permutation(len(data.data))[: int(len(data.data) * rng.uniform(0.5, 0.8))])
        return data.data[at], (data.target > np.median(data.target))[at]

    return made


def clusters(spread: float, zipf: bool) -> Callable[[np.random.Generator], Made]:
    """Sixty clusters, alike in size or not."""

    def made(rng: np.random.Generator) -> Made:
        weights = 1 / np.arange(1, 61) if zipf else np.ones(60)
        kind = rng.choice(60, ROWS, p=weights / weights.sum())
        return rng.normal(0, 10, (60, 8))[kind] + rng.normal(0, spread, (ROWS, 8)), kind % 2

    return made


def sensors(rng: np.random.Generator) -> Made:
    """Readings that wander, and stand still for 25 at a time."""
    idle = np.repeat(rng.random(ROWS // 25) < 0.4, 25)[:, None]
    walk = np.cumsum(rng.normal(0, 1, (ROWS, 6)), 0)
    still = 5 + rng.normal(0, 0.01, (ROWS, 6))
    return np.round(np.where(idle, still, walk), 3), rng.integers(0, 2, ROWS)


def orders(rng: np.random.Generator) -> Made:
    """Customers of a few profiles, the best of whom order often."""
    customer = rng.zipf(1.6, ROWS) % 300
    rows = rng.integers(0, 12, (300, 7))[customer].astype(float)
    rows[:, 5], rows[:, 6] = rng.poisson(3, ROWS), np.round(rng.gamma(2, 10, ROWS), 2)
    return rows, customer % 2


def machines(rng: np.random.Generator) -> Made:
    """Forty configurations, in which one cell of twenty differs."""
    kind = rng.choice(40, ROWS, p=rng.dirichlet(np.full(40, 0.3)))
    rows = rng.integers(0, 4, (40, 10))[kind]
    other = rng.random(rows.shape) < 0.05
    rows[other] = rng.integers(0, 4, other.sum())
    return rows.astype(float), kind % 2


def counts(mean: float) -> Callable[[np.random.Generator], Made]:
    """Small counts, each by itself."""
    return lambda rng: (rng.poisson(mean, (ROWS, 10)).astype(float), rng.integers(0, 2, ROWS))


KINDS: dict[str, Callable[[np.random.Generator], Made]] = {
    **{name: known(name) for name in ("iris", "wine", "diabetes", "breast_cancer", "digits")},
    "clusters, tight": clusters(0.05, zipf=False),
    "clusters": clusters(0.5, zipf=False),
    "clusters of unlike sizes, tight": clusters(0.05, zipf=True),
    "clusters of unlike sizes": clusters(0.5, zipf=True),
    "sensors": sensors,
    "orders": orders,
    "machines": machines,
    "counts about 1": counts(1.0),
    "counts about 0.3": counts(0.3),
}


def main(draws: int) -> None:
    """One line a kind."""
    for name, make in KINDS.items():
        stopped = 0
        for draw in range(draws):
            rows, labels = make(np.random.default_rng(1_000 + draw))
            columns = {f"x{at}": column for at, column in enumerate(rows.T)}
            part = of_table(columns, labels.astype(np.int32), ("no", "yes"), draw)
            every = registry.for_modalities(modalities(part.frame))
            ours = [one for one in every if one.spec.name == "table-duplicates"]
            (said,) = ensemble.screen(
                part.source, part.frame, ours, alpha=share(every, ALPHA)
            ).verdicts
            assert not said.error, said.error
            stopped += bool(said.significant)
        print(f"{name}: {stopped} of {draws}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
