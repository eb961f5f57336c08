"""Label errors: flips planted in Adult, found by rank, beside cleanlab and beside the ceiling.

The ceiling is the same models fitted on the labels before the flips: what no method that rests on
these models can beat by more than chance.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import numpy.typing as npt

from sealwright.app.bench import Row, measure
from sealwright.app.bench.shared import Table, adult
from sealwright.scan import labels
from sealwright.scan.interface import Frame

_RECORDS = 12_000
_FALSE = 0.01


def rows(quick: bool) -> list[Row]:
    """A row of AUROC and one of true rate at a false rate of 1 %, for 5 % and 10 % flips."""
    table = adult()
    if table is None:
        return []
    chance = np.random.default_rng(7)
    size = 2_000 if quick else _RECORDS
    part = table.take(chance.permutation(table.rows)[:size])
    return [row for rate in (0.05, 0.10) for row in _flips(part, rate)]


def _flips(table: Table, rate: float) -> list[Row]:
    flipped = np.random.default_rng(int(rate * 1000)).random(table.rows) < rate
    given = np.where(flipped, 1 - table.codes, table.codes).astype(np.int64)
    matrix = _matrix(table)
    scores, _ = labels.judge([matrix], given, seed=1)
    ours = _figures(scores, flipped)
    clean = labels.cross_fitted(matrix, table.codes.astype(np.int64), 1)
    ceiling = _figures(-clean[np.arange(table.rows), given], flipped)
    yardsticks = [{"clean-labels": value} for value in ceiling]
    for number, value in enumerate(_cleanlab(matrix, given, flipped)):
        yardsticks[number]["cleanlab"] = value
    said = f"labels: {rate:.0%} flips, Adult, {table.rows:,} records"
    return [
        measure(f"{said}, AUROC", ours[0], "", target=0.955, yardsticks=yardsticks[0]),
        measure(f"{said}, found at 1 % false", ours[1], "", target=0.60, yardsticks=yardsticks[1]),
    ]


def _matrix(table: Table) -> labels.Trees:
    frame = Frame(table.rows, table.columns, table.labels, (), 1, 0.01, 200)
    scan = labels.LabelErrors().begin(frame)
    scan.observe(0, table.batch())
    (found,) = scan.matrices(np.arange(table.rows))
    assert isinstance(found, labels.Trees)  # noqa: S101  Adult is a table
    return found


def _cleanlab(
    matrix: labels.Trees, given: npt.NDArray[np.int64], flipped: npt.NDArray[np.bool_]
) -> list[float]:
    """Self-confidence over one five-fold cross-validation, as cleanlab is used; none without it."""
    try:
        rank = import_module("cleanlab.rank")
    except ImportError:
        return []
    once = labels.cross_fitted(matrix, given, 2, repeats=1)
    quality = rank.get_label_quality_scores(given, once, method="self_confidence")
    return list(_figures(-quality, flipped))


def _figures(
    scores: npt.NDArray[np.float64], flipped: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """(AUROC, share found at 1 % false)."""
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable") + 1
    bad, good = int(flipped.sum()), int((~flipped).sum())
    area = (order[flipped].sum() - bad * (bad + 1) / 2) / (bad * good)
    limit = np.quantile(scores[~flipped], 1 - _FALSE)
    return float(area), float((scores[flipped] > limit).mean())
