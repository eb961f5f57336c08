"""Label flips: the row detectors' own ranking beside cleanlab's, on the same flipped labels."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from sealwright.app.bench import Answer, Row, measure
from sealwright.app.bench.poison.beside import cleanlab_scores
from sealwright.app.bench.poison.data import Absent, Table
from sealwright.app.bench.poison.score import Floats, Mask, auroc, found_at
from sealwright.app.bench.poison.sets import Set, of_table
from sealwright.app.bench.poison.trial import SETS, cut, spread
from sealwright.scan import registry
from sealwright.scan.ensemble import Live, Silent, run

DETECTOR = "label-errors"
ROWS = 12_000


class Flip(NamedTuple):
    """``share`` of the labels of a part of ``data`` changed, in one draw."""

    data: str
    share: float
    draw: int
    rows: int


class Flipped(NamedTuple):
    """AUROC and share found at 1 % false alarms, ours and cleanlab's (None: not installed)."""

    flip: Flip
    ours: tuple[float, float]
    cleanlab: tuple[float, float] | None


def flips(quick: bool, jobs: int) -> Answer:
    """5 and 10 % of Adult's labels; three draws each."""
    name, rows = ("breast cancer", 569) if quick else ("Adult", ROWS)
    if DETECTOR not in registry.detectors():
        return Answer([Row("label flips: AUROC", None, "", note=f"no {DETECTOR} detector")], [])
    try:
        SETS[name]()
    except Absent as absent:
        return Answer([Row(f"{name}: label flips, AUROC", None, "", note=str(absent))], [])
    shares, draws = (0.05, 0.1), 1 if quick else 3
    plans = [Flip(name, share, draw, rows) for share in shares for draw in range(draws)]
    done = list(spread(plans, look, jobs))
    found: list[Row] = []
    for share in shares:
        some = [one for one in done if one.flip.share == share]
        areas, founds = zip(*[one.ours for one in some], strict=True)
        beside = [one.cleanlab for one in some if one.cleanlab]
        note = f"mean of {len(some)} draws, least {min(areas):.4f}"
        what = f"{name}, {100 * share:g} % of the labels flipped"
        found += [
            measure(
                f"{what}: AUROC",
                float(np.mean(areas)),
                "",
                target=0.955,
                yardsticks={"cleanlab": float(np.mean([b[0] for b in beside]))} if beside else {},
                note=note,
            ),
            measure(
                f"{what}: found at 1 % false alarms",
                float(np.mean(founds)),
                "",
                target=0.6,
                yardsticks={"cleanlab": float(np.mean([b[1] for b in beside]))} if beside else {},
                note=note,
            ),
        ]
    if quick:
        found = [
            Row(row.what, row.value, row.unit, row.target, None, row.yardsticks) for row in found
        ]
    return Answer(found, [])


def look(flip: Flip) -> Flipped:
    """One draw, ranked by both."""
    flipped, truth = flipped_set(flip)
    ours = ranked(flipped)
    other = cleanlab_scores(flipped, flip.draw)
    return Flipped(flip, _figures(ours, truth), None if other is None else _figures(other, truth))


def _figures(scores: Floats, truth: Mask) -> tuple[float, float]:
    return auroc(scores, truth), found_at(scores, truth, 0.01) / max(1, int(truth.sum()))


def flipped_set(flip: Flip) -> tuple[Set, Mask]:
    """The set and which rows' labels were changed to another one."""
    part: Table = cut(SETS[flip.data](), flip.rows, flip.draw)
    rng = np.random.default_rng([flip.draw, round(1000 * flip.share)])
    truth: Mask = np.zeros(len(part.labels), bool)
    truth[rng.choice(len(truth), round(flip.share * len(truth)), replace=False)] = True
    other = rng.integers(1, len(part.names), len(truth))
    labels = np.where(truth, (part.labels + other) % len(part.names), part.labels)
    return of_table(part.columns, labels, part.names, flip.draw), truth


def ranked(rows: Set) -> Floats:
    """(rows,) the label detector's score; its review list is made as long as the set."""
    frame = msgspec.structs.replace(rows.frame, review=rows.frame.rows)
    live = Live(registry.detector(DETECTOR), frame, None)
    run(rows.source, frame, [live], Silent())
    verdict = live.verdict()
    if verdict.result is None:
        raise RuntimeError(verdict.error)
    scores = np.full(rows.frame.rows, -np.inf)
    for rank in verdict.result.ranks:
        scores[rank.record] = max(scores[rank.record], rank.score)
    return scores
