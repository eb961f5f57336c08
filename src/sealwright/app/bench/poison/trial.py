"""One build: plant, screen, sanitise, and train before and after where asked to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np

from sealwright.app.bench import Plate
from sealwright.app.bench.poison import (
    beside,
    data,
    plant_altered,
    plant_images,
    plant_tables,
    plant_texts,
    victims,
)
from sealwright.app.bench.poison.planted import Attack, Planted
from sealwright.app.bench.poison.plates import plate_of
from sealwright.app.bench.poison.score import auroc, found_at, row_scores
from sealwright.app.bench.poison.sets import Set
from sealwright.scan import registry, rounds
from sealwright.scan.ensemble import Screening, modalities

SETS: dict[str, Callable[[], Any]] = {
    "CIFAR-10": data.cifar,
    "digits": data.digits,
    "Adult": data.adult,
    "NSL-KDD": data.nsl_kdd,
    "breast cancer": data.breast_cancer,
    "SST-2": data.sst2,
    "SMS": data.sms,
    "sentences": data.sentences,
}
IMAGES, TABLES, TEXTS = (
    ("CIFAR-10", "digits"),
    ("Adult", "NSL-KDD", "breast cancer"),
    (
        "SST-2",
        "SMS",
        "sentences",
    ),
)
ATTACKS: dict[str, dict[str, Attack]] = {
    **{
        name: {**plant_images.ATTACKS, **plant_altered.ATTACKS, "flood": plant_images.flood}
        for name in IMAGES
    },
    **{name: {**plant_tables.ATTACKS, "flood": plant_tables.flood} for name in TABLES},
    **{name: {**plant_texts.ATTACKS, "flood": plant_texts.flood} for name in TEXTS},
}


class Plan(NamedTuple):
    """What one build does. ``rows`` cuts the data set for a quick run; 0 is all of it."""

    data: str
    attack: str
    share: float
    draw: int
    learn: bool = False
    rows: int = 0
    picture: bool = False

    @property
    def cell(self) -> tuple[str, str, float]:
        """The cell that draws are pooled in."""
        return self.data, self.attack, self.share


class Trial(NamedTuple):
    """What came of one build. Counts are rows; ``before`` and the like are None if not learnt."""

    plan: Plan
    planted: int
    found: int
    clean: int
    flagged: int
    found_at_1: int
    auroc: float
    errors: tuple[str, ...]
    cpu_s: float
    before: victims.Outcome | None = None
    after: victims.Outcome | None = None
    innocent: victims.Outcome | None = None
    beside: Mapping[str, float] | None = None
    plate: Plate | None = None


def build(plan: Plan) -> Trial:
    """Plant by ``plan`` and look; the draw's number alone decides where the trigger comes from."""
    planted = plant(plan)
    start = time.process_time()
    screening = screened(planted.set)
    spent = time.process_time() - start
    trial = scored(plan, planted, screening, spent)
    if plan.learn:
        trial = learnt(trial, planted, screening)
    if plan.picture:
        trial = trial._replace(plate=plate_of(plan, planted, screening))
    return trial


def plant(plan: Plan) -> Planted:
    """The poisoned set of one draw."""
    words = [*map(ord, f"{plan.data}/{plan.attack}"), round(plan.share * 1e6), plan.draw]
    rng = np.random.default_rng(words)
    whole = SETS[plan.data]()
    if plan.rows:
        whole = cut(whole, plan.rows, plan.draw)
    return ATTACKS[plan.data][plan.attack](whole, plan.share, rng, plan.draw)


def screened(rows: Set, *, model: bool = False) -> Screening:
    """What ``seal data check`` would say: every detector for what the data holds."""
    every = registry.for_modalities(modalities(rows.frame), model=model)
    return rounds.screen(rows.source, rows.frame, every)


def scored(plan: Plan, planted: Planted, screening: Screening, spent_s: float) -> Trial:
    """Count what the screening pointed at."""
    truth, innocent = planted.planted, ~(planted.planted | planted.covers)
    flagged = np.isin(planted.set.whole.ids, screening.carriers())
    scores = row_scores(screening)
    seen = truth | innocent
    errors = tuple(f"{one.spec.name}: {one.error}" for one in screening.verdicts if one.error)
    return Trial(
        plan,
        int(truth.sum()),
        int((flagged & truth).sum()),
        int(innocent.sum()),
        int((flagged & innocent).sum()),
        found_at(scores[seen], truth[seen], 0.01),
        auroc(scores[seen], truth[seen]),
        errors,
        spent_s,
    )


def learnt(trial: Trial, planted: Planted, screening: Screening) -> Trial:
    """Three models: of the poisoned set, of what is left of it, and of the clean set."""
    fit, seed = victims.fit_of(planted.set), trial.plan.draw
    network: list[Any] = []
    if fit is victims.cnn:
        before = victims.cnn(planted.set.whole, seed, network)
    else:
        before = fit(planted.set.whole, seed)
    kept = planted.set.without(screening.carriers())
    after = victims.trained(fit, planted.set, kept, seed)
    innocent = victims.trained(fit, planted.clean, None, seed)
    others = beside.cleanlab_figures(planted.set, planted.planted, seed, *network)
    if network:
        others |= beside.art_figures(planted.set, planted.planted, network[0])
    return trial._replace(
        before=victims.judged(before, planted),
        after=victims.judged(after, planted),
        innocent=victims.judged(innocent, planted),
        beside=others,
    )


def cut(whole: Any, rows: int, seed: int) -> Any:
    """A random part of a data set, for a quick run or a clean resample."""
    if isinstance(whole, data.Table):
        at = np.random.default_rng(seed).permutation(len(whole.labels))[:rows]
        return whole.taken(at)
    at = np.sort(np.random.default_rng(seed).permutation(len(whole.labels))[:rows])
    train = [whole.train[one] for one in at] if isinstance(whole, data.Texts) else whole.train[at]
    return whole._replace(train=train, labels=whole.labels[at])


def spread(plans: Sequence[Any], work: Callable[[Any], Any], jobs: int) -> Iterator[Any]:
    """``work`` over ``plans`` on ``jobs`` processes, as they finish; one thread each."""
    if jobs <= 1:
        yield from map(work, plans)
        return
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(work, plan) for plan in plans]):
            yield done.result()
