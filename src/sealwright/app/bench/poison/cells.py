"""Static attacks: what the data scan finds of them, what it flags beside them, and what it cures.

Draws of one cell (data, attack, share of rows poisoned) are pooled until at least 300 rows were
planted, over at least three draws; each draw has its own trigger and its own randomness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from sealwright.app.bench import Answer, Plate, Row, measure
from sealwright.app.bench.poison.data import Absent
from sealwright.app.bench.poison.score import rate
from sealwright.app.bench.poison.trial import (
    IMAGES,
    SETS,
    TABLES,
    Plan,
    Trial,
    build,
    spread,
)

POOLED_ROWS = 300
LEAST_DRAWS = 3
LEARNT = 0.8
Cells = dict[tuple[str, str, float], list[Trial]]
Told = Callable[[list[Trial]], list[Row]]

_IMAGE_CELLS = [
    (attack, share) for attack in ("patch", "blend", "clean-label") for share in (0.003, 0.01)
]
_TAUGHT_CELLS = [("blend", 0.05), ("clean-label", 0.05)]
"""Enough rows for a small network to learn the trigger, so that there is something to cure."""
_TABLE_CELLS = [("value pair", 0.005)]
_TEXT_CELLS = [(attack, 0.01) for attack in ("token", "phrase", "clean-label phrase")]
_FLOODED = {"CIFAR-10": 10_000, "Adult": 12_000, "NSL-KDD": 12_000, "SST-2": 6920, "SMS": 4500}


def images(quick: bool, jobs: int, most: int = 0) -> Answer:
    """CIFAR-10: patch, blend and clean-label at 0.3 and 1 %."""
    if quick:
        plans = _plans("digits", [("patch", 0.02), ("clean-label", 0.02)], 1400, 1)
    else:
        plans = _plans("CIFAR-10", _IMAGE_CELLS, 10_000, most)
        plans += _plans("CIFAR-10", _TAUGHT_CELLS, 10_000, 1)
    return _answer(plans, jobs, found_rows)


def tables(quick: bool, jobs: int, most: int = 0) -> Answer:
    """Adult and NSL-KDD: a pair of values in 0.5 % of the rows."""
    if quick:
        return _answer(_plans("breast cancer", [("value pair", 0.06)], 512, 1), jobs, _ranked)
    plans = [plan for name in TABLES[:2] for plan in _plans(name, _TABLE_CELLS, 12_000, most)]
    return _answer(plans, jobs, _ranked)


def texts(quick: bool, jobs: int, most: int = 0) -> Answer:
    """SST-2 and SMS: a token, a phrase, a phrase without a changed label."""
    if quick:
        cells = [("token", 0.02), ("phrase", 0.02)]
        return _answer(_plans("sentences", cells, 2400, 1), jobs, _ranked)
    plans = [
        plan
        for name, rows in (("SST-2", 6920), ("SMS", 4500))
        for plan in _plans(name, _TEXT_CELLS, rows, most)
    ]
    return _answer(plans, jobs, _ranked)


def floods(quick: bool, jobs: int, most: int = 0) -> Answer:
    """Near copies of one record in 0.5 % of the rows of every kind of data."""
    sizes = {"digits": 1400} if quick else _FLOODED
    share = 0.03 if quick else 0.005
    draws = most or int(quick)
    plans = [
        plan
        for name, rows in sizes.items()
        for plan in _plans(name, [("flood", share)], rows, draws)
    ]
    return _answer(plans, jobs, found_rows)


def _plans(name: str, cells: Sequence[tuple[str, float]], rows: int, most: int) -> list[Plan]:
    """As many draws as it takes (``most``: at most so many); the first of a cell is pictured."""
    plans = []
    for attack, share in cells:
        draws = max(LEAST_DRAWS, -(-POOLED_ROWS // round(share * rows)))
        draws = min(draws, most or draws)
        learns = [attack != "flood" and _learns(name, share, n) for n in range(draws)]
        plans += [
            Plan(name, attack, share, draw, learn=learn, picture=draw == 0)
            for draw, learn in enumerate(learns)
        ]
    return plans


def _learns(name: str, share: float, draw: int) -> bool:
    """Networks are dear: three draws at 1 %, one at 0.3 %; trees and text models always train."""
    if name in ("digits", "breast cancer"):
        return False
    return name not in IMAGES or draw < (LEAST_DRAWS if share >= 0.01 else 1)


def _answer(plans: list[Plan], jobs: int, told: Told) -> Answer:
    lacking: list[Row] = []
    able = []
    for name in dict.fromkeys(plan.data for plan in plans):
        try:
            SETS[name]()
        except Absent as absent:
            lacking.append(Row(f"{name}: planted rows found", None, "%", note=str(absent)))
        else:
            able += [plan for plan in plans if plan.data == name]
    cells: Cells = defaultdict(list)
    for trial in spread(able, build, jobs):
        cells[trial.plan.cell].append(trial)
    rows: list[Row] = []
    plates: list[Plate] = []
    for trials in cells.values():
        trials.sort(key=lambda trial: trial.plan.draw)
        rows += [_judged(row, trials) for row in told(trials)]
        plates += [trial.plate for trial in trials if trial.plate is not None]
    return Answer([*rows, *cured(list(cells.values())), *lacking], plates)


def name_of(trial: Trial) -> str:
    """How a cell is called in rows."""
    return f"{trial.plan.data}, {trial.plan.attack} {100 * trial.plan.share:g} %"


def found_rows(
    trials: list[Trial], how: str = "", target: float | None = 99, more: str = ""
) -> list[Row]:
    """Share of planted rows quarantined and of clean rows with them, pooled."""
    found = rate(sum(t.found for t in trials), sum(t.planted for t in trials))
    false = rate(sum(t.flagged for t in trials), sum(t.clean for t in trials))
    name, others = name_of(trials[0]), _others(trials)
    note = (
        f"{_draws(trials)}; AUROC {np.mean([t.auroc for t in trials]):.4f}{more}{_faults(trials)}"
    )
    return [
        measure(
            f"{name}: planted rows found{how}",
            100 * found.share,
            "%",
            target=target,
            yardsticks={k: v for k, v in others.items() if k.endswith(" found")},
            note=f"{found.words()}; {note}",
        ),
        measure(
            f"{name}: clean rows flagged{how}",
            100 * false.share,
            "%",
            target=0.5,
            better="lower",
            yardsticks={k: v for k, v in others.items() if k.endswith(" flagged")},
            note=false.words(),
        ),
    ]


def _ranked(trials: list[Trial]) -> list[Row]:
    """AUROC and the share found where 1 % of the clean rows may be flagged; then as it was run."""
    found = rate(sum(t.found_at_1 for t in trials), sum(t.planted for t in trials))
    held = rate(sum(t.found for t in trials), sum(t.planted for t in trials))
    false = rate(sum(t.flagged for t in trials), sum(t.clean for t in trials))
    name, others = name_of(trials[0]), _others(trials)
    area = float(np.mean([t.auroc for t in trials]))
    least = min(t.auroc for t in trials)
    return [
        measure(
            f"{name}: AUROC",
            area,
            "",
            target=0.995,
            yardsticks={k: v for k, v in others.items() if k.endswith("AUROC")},
            note=f"mean of {_draws(trials)}, least {least:.4f}{_faults(trials)}",
        ),
        measure(
            f"{name}: planted rows found at 1 % false alarms",
            100 * found.share,
            "%",
            target=99,
            yardsticks={k: v for k, v in others.items() if k.endswith(" found")},
            note=found.words(),
        ),
        measure(
            f"{name}: clean rows quarantined with them",
            100 * false.share,
            "%",
            target=1,
            better="lower",
            note=f"{false.words()}; of the planted rows {100 * held.share:.1f} % were quarantined",
        ),
    ]


def cured(cells: list[list[Trial]]) -> list[Row]:
    """Attack success before and after, beside the clean model's own confusion; accuracy lost."""
    rows: list[Row] = []
    lost: list[float] = []
    for trials in cells:
        taught = [t for t in trials if t.before and t.after and t.innocent]
        if not taught:
            continue
        before, after, own = (
            float(np.mean([getattr(t, part).success for t in taught]))
            for part in ("before", "after", "innocent")
        )
        lost += [t.innocent.accuracy - t.after.accuracy for t in taught if t.innocent and t.after]
        name, models = name_of(taught[0]), f"{len(taught)} models"
        rows.append(Row(f"{name}: attack success before", 100 * before, "%", note=models))
        if before < LEARNT:
            rows[-1] = Row(
                f"{name}: attack success before",
                100 * before,
                "%",
                note=f"{models}; not learnt: below {100 * LEARNT:.0f} %, no claim after sanitising",
            )
            continue
        rows.append(
            measure(
                f"{name}: attack success after, above the clean model's confusion",
                100 * (after - own),
                "points",
                target=2,
                better="lower",
                yardsticks={"before": 100 * before, "clean model": 100 * own},
                note=models,
            )
        )
    if lost:
        spread_of = np.std(lost) / np.sqrt(len(lost))
        kind = cells[0][0].plan.data if len({t[0].plan.data for t in cells}) == 1 else "all"
        rows.append(
            measure(
                f"{kind}: accuracy lost by sanitising",
                100 * float(np.mean(lost)),
                "points",
                target=0.5,
                better="lower",
                note=f"mean of {len(lost)} pairs of models, standard error {100 * spread_of:.2f}",
            )
        )
    return rows


def _judged(row: Row, trials: list[Trial]) -> Row:
    """No verdict on fewer rows than were to be pooled."""
    enough = sum(trial.planted for trial in trials) >= POOLED_ROWS and len(trials) >= LEAST_DRAWS
    return row if enough else msgspec.structs.replace(row, met=None)


def _draws(trials: list[Trial]) -> str:
    return f"{len(trials)} draws"


def _faults(trials: list[Trial]) -> str:
    faults = sorted({error for trial in trials for error in trial.errors})
    return f"; detectors failed: {'; '.join(faults)}" if faults else ""


def _others(trials: list[Trial]) -> dict[str, float]:
    """Mean figures of other tools over the draws in which they ran."""
    found: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        for name, value in (trial.beside or {}).items():
            found[name].append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}
