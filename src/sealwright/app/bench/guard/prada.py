"""The yardstick for detection: PRADA (Juuti, Szyller, Marchal, Asokan 2019), at its own threshold.

Distances of each query to the nearest kept query of the same answer; honest traffic's are said to
be normal, so an alarm is a Shapiro-Wilk statistic below 0.95 after 100 of them.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import numpy as np

from sealwright.app.bench.guard.served import Array

THRESHOLD = 0.95
FEWEST = 100
EVERY = 50
"""The statistic is taken after so many queries each time."""


def alarm(coded: Array, labels: Array) -> int | None:
    """After which of the encoded queries (n, e), answered ``labels`` (n,), it speaks first."""
    shapiro: Any = import_module("scipy.stats").shapiro

    kept = dict[int, list[int]]()
    least = dict[int, float]()
    own = dict[int, list[float]]()
    distances = list[float]()
    for at, label in enumerate(labels.tolist()):
        before = kept.setdefault(label, [])
        if not before:
            before.append(at)
            least[label] = 0.0
            continue
        apart = float(np.sqrt(((coded[before] - coded[at]) ** 2).sum(axis=1).min()))
        distances.append(apart)
        mine = own.setdefault(label, [])
        mine.append(apart)
        if apart > least[label]:
            before.append(at)
            least[label] = max(least[label], float(np.mean(mine) - np.std(mine)))
        if len(distances) >= FEWEST and at % EVERY == EVERY - 1:
            values = np.array(distances)
            values = values[np.abs(values - values.mean()) <= 3 * values.std()]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # all distances equal
                statistic = shapiro(values).statistic if np.ptp(values) > 0 else 0.0
            if statistic < THRESHOLD:
                return at + 1
    return None
