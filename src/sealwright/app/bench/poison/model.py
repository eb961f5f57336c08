"""What the detectors that train a model find: hidden triggers in 5,000 images of CIFAR-10.

They alone are measured, at the share of the error that they have among all, and in as many rounds
as the product looks in. A small network trained on the poisoned set says whether the attack was
learnt; ART runs on that network, where installed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

import msgspec
import numpy as np

from sealwright.app.bench import Answer, Row, measure
from sealwright.app.bench.poison import beside, victims
from sealwright.app.bench.poison.cells import LEARNT, found_rows, name_of
from sealwright.app.bench.poison.clean import Build
from sealwright.app.bench.poison.data import Absent
from sealwright.app.bench.poison.planted import Planted
from sealwright.app.bench.poison.plates import plate_of
from sealwright.app.bench.poison.score import auroc, rate, row_scores
from sealwright.app.bench.poison.sets import Set, of_images
from sealwright.app.bench.poison.trial import SETS, Plan, Trial, cut, plant, scored, spread
from sealwright.scan import ensemble, registry, rounds
from sealwright.scan.ensemble import ALPHA, Screening

ROWS = 5_000
SHARES = (0.05, 0.01)
DRAWS = 3
CLEAN, CLEAN_ROWS = 60, 1_200
ATTACKS = ("warp", "sample-specific", "all-to-all", "blend")
Note = Callable[[str], None]
TARGETS = {("warp", 0.05): 90.0, ("all-to-all", 0.05): 95.0}


def model(quick: bool, jobs: int, draws: int = 0, note: Note = lambda _: None) -> Answer:
    """Each attack at 5 and 1 %."""
    data, rows = ("digits", 700) if quick else ("CIFAR-10", ROWS)
    try:
        SETS[data]()
    except Absent as absent:
        return Answer([Row(f"{data}: planted rows found", None, "%", note=str(absent))], [])
    wanted = [("all-to-all", 0.05)] if quick else [(a, s) for s in SHARES for a in ATTACKS]
    many = 1 if quick else min(DRAWS, draws or DRAWS)
    plans = [Plan(data, a, s, n, not quick, rows, n == 0) for a, s in wanted for n in range(many)]
    cells: dict[tuple[str, str, float], list[Trial]] = defaultdict(list)
    for trial in spread(plans, build, jobs):
        cells[trial.plan.cell].append(trial)
        note(
            f"    {name_of(trial)}: found {trial.found} of {trial.planted}, "
            f"{trial.flagged} others, {trial.cpu_s:.0f} CPU-s"
        )
    told = [row for trials in cells.values() for row in _rows(trials)]
    plates = [t.plate for trials in cells.values() for t in trials if t.plate is not None]
    return Answer(told, plates)


def model_clean(quick: bool, jobs: int, draws: int = 0, note: Note = lambda _: None) -> Answer:
    """Random parts of 1,200 images, screened as they are. None may be blocked."""
    count = min(CLEAN, draws or CLEAN)
    builds = [Build("digits", 0)] if quick else [Build("CIFAR-10", draw) for draw in range(count)]
    try:
        said: list[str] = []
        for one in spread(builds, blocked, jobs):
            said.append(one)
            note(f"    {len(said)} of {len(builds)} resamples: {one or 'nothing found'}")
    except Absent as absent:
        return Answer([Row("clean resamples blocked with a model", None, "", note=str(absent))], [])
    return Answer([_clean_row(builds[0].data, said)], [])


def screened(rows: Set) -> Screening:
    """By the model detectors alone, at the share they have among all of ``--model``; again
    without what was found while something is, as ``seal data check`` does."""
    every = registry.for_modalities(ensemble.modalities(rows.frame), model=True)
    share = ensemble.share(every, ALPHA)
    return rounds.screen(
        rows.source, rows.frame, [registry.detector(x) for x in registry.MODEL], alpha=share
    )


def ranked(planted: Planted) -> dict[str, float]:
    """The row detector by itself: its AUROC, and what part of its list was planted, in percent."""
    rows = planted.set
    frame = msgspec.structs.replace(rows.frame, review=rows.frame.rows)
    said = ensemble.screen(rows.source, frame, [registry.detector("image-signatures")])
    scores = row_scores(said)
    first = np.argsort(-scores, kind="stable")[: rows.frame.review]
    return {
        "signatures AUROC": auroc(scores, planted.planted),
        "signatures listed": 100 * float(planted.planted[first].mean()),
    }


def build(plan: Plan) -> Trial:
    """Plant, screen, and see whether a network learns it."""
    planted = plant(plan)
    start = time.process_time()
    others = ranked(planted)
    screening = screened(planted.set)
    trial = scored(plan, planted, screening, time.process_time() - start)
    if plan.learn:
        network: list[object] = []
        before = victims.cnn(planted.set.whole, plan.draw, network)
        others |= beside.art_figures(planted.set, planted.planted, network[0])
        trial = trial._replace(before=victims.judged(before, planted))
    if plan.picture:
        trial = trial._replace(plate=plate_of(plan, planted, screening))
    return trial._replace(beside=others)


def blocked(part: Build) -> str:
    """What it says of a clean resample; empty where nothing."""
    seed = 1000 + part.draw
    some = cut(SETS[part.data](), CLEAN_ROWS, seed)
    verdicts = screened(of_images(some.train, some.labels, some.names, seed)).verdicts
    return "; ".join(v.error or v.significant[0].pattern for v in verdicts if v.blocks)


def _rows(trials: list[Trial]) -> list[Row]:
    taught = [t.before.success for t in trials if t.before]
    others = [t.beside for t in trials if t.beside and "signatures AUROC" in t.beside]
    more = f"; {np.mean([t.cpu_s for t in trials]):.0f} CPU-s each"
    if others:
        area, listed = (
            float(np.mean([one[f"signatures {name}"] for one in others]))
            for name in ("AUROC", "listed")
        )
        more += f"; image-signatures: AUROC {area:.3f}, {listed:.0f} % of its list planted"
    more += f"; attack success {100 * float(np.mean(taught)):.0f} %" if taught else ""
    if taught and float(np.mean(taught)) < LEARNT:
        more += ", not learnt"
    plan = trials[0].plan
    return found_rows(trials, " with a model", TARGETS.get((plan.attack, plan.share)), more)


def _clean_row(data: str, said: list[str]) -> Row:
    stopped = [one for one in said if one]
    bounds = rate(len(stopped), len(said))
    return measure(
        f"{data}: clean resamples blocked with a model, of {len(said)}",
        len(stopped),
        "builds",
        target=0,
        better="lower",
        note=f"95 %: at most {100 * bounds.high:.2g} %, were resamples independent"
        + "".join(f"; {one}" for one in stopped[:3]),
    )
