"""Ownership: copies that are recognised, honest models that are not accused, beside two yardsticks.

The fingerprint is made as ``seal model fingerprint`` makes it, the suspects answer with labels
alone. Yardsticks of the same run: a trigger set that the victim was trained with, and dataset
inference (surer on the owner's rows than on others). Source: docs/guide/ownership.md.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from sealwright.app.bench import Ask, Row, measure
from sealwright.app.bench.guard import owner_models as models
from sealwright.app.bench.guard.owner_models import SEED, Rows, Suspect, World
from sealwright.app.bench.poison.data import Absent
from sealwright.registry import compare, fingerprint_make
from sealwright.registry import fingerprint_references as references
from sealwright.registry.compare import Comparison
from sealwright.registry.compare_statistics import clopper_pearson, log_student_tail, matches_of
from sealwright.registry.fingerprint import KINSHIP, Fingerprint
from sealwright.registry.fingerprint_make import Sizes

COPYING = "consistent with copying"
_LOG10 = math.log(10)
_TRIGGERS = 80
_TOLD_BY_INFERENCE = 350
_INFERENCE_LEVEL = math.log10(0.01)


class Scale(NamedTuple):
    """How much is done."""

    references: int
    sizes: Sizes
    each: int
    queries: int


class Judged(NamedTuple):
    """A suspect's kind, what was said of it, and log10 p of dataset inference alone."""

    kind: str
    comparison: Comparison
    inference: float

    @property
    def second(self) -> float:
        """log10 p of the second-best test: the one that decides, where anything was decided."""
        if self.comparison.verdict == "cannot tell":
            return 0.0
        found = sorted(one.log10_p for one in self.comparison.tests)
        return found[1] if len(found) > 1 else 0.0


FULL = Scale(60, Sizes(4000), 10, 12_000)
QUICK = Scale(30, Sizes(800, 60, 60, 200), 1, 3000)


def rows(ask: Ask) -> list[Row]:
    """Every data set's rows; one that is absent is said to be."""
    scale, out = QUICK if ask.quick else FULL, list[Row]()
    found = models.worlds(ask.quick)
    while True:
        try:
            world = next(found)
        except StopIteration:
            return out
        except Absent as absent:
            return [*out, Row("owner", None, "", note=str(absent))]
        out += list(_of_world(world, scale, ask.note))


def _of_world(world: World, scale: Scale, note: Callable[[str], None]) -> Iterator[Row]:
    victim = models.fitted(models.net(world, SEED), world.rows, world.labels)
    owned = fingerprint_of(world, victim, scale)
    note(f"  owner, {world.name}: {sum(one.count for one in owned.sets):,} questions")
    copied = [
        judged(world, owned, one) for one in models.copies(world, victim, scale.queries, SEED + 1)
    ]
    others = [
        judged(world, owned, one)
        for one in models.honest(world, scale.each, scale.queries, SEED + 5000)
    ]
    note(f"  owner, {world.name}: {len(others)} honest models")
    alone = dict(_triggers_alone(world, scale))
    for one in copied:
        yield _copy_row(world, one, alone, scale)
    yield _honest_row(world, others)
    yield _closest_row(world, others)
    yield from _independence_rows(world, owned, others)


def fingerprint_of(world: World, victim: Any, scale: Scale) -> Fingerprint:
    """As the command makes it, without the walls."""
    rng = np.random.default_rng(SEED)
    pool = fingerprint_make.pool(world.rows, victim.predict(world.rows), rng, scale.sizes)
    shares = np.sort(victim.predict_proba(pool.inputs), axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained = [
            references.trained(victim, world.rows, world.labels, pool.inputs, one)
            for one in references.wanted(scale.references, SEED)
        ]
    classes = [str(code) for code in range(int(world.labels.max()) + 1)]
    answers = fingerprint_make.Answers(
        np.asarray(victim.predict(pool.inputs), np.int64),
        shares[:, -1] - shares[:, -2],
        tuple(one for one, _ in trained),
        np.stack([np.frombuffer(said, "<i2") for _, said in trained]).astype(np.int64),
        *references.derived(victim, pool.inputs, classes),
    )
    return fingerprint_make.make("0" * 64, bytes(32), classes, pool, answers, sizes=scale.sizes)


def judged(world: World, owned: Fingerprint, suspect: Suspect) -> Judged:
    """Labels alone decide; the yardstick sees how sure the suspect is."""
    found = compare.compare(owned, compare.ask(owned, suspect.answers, {}))
    mine = suspect.sure(world.rows[:_TOLD_BY_INFERENCE])
    other = suspect.sure(world.other_rows[:_TOLD_BY_INFERENCE])
    return Judged(suspect.kind, found, _welch(mine, other))


def _welch(mine: Rows, other: Rows) -> float:
    """log10 p that ``mine`` has no larger mean than ``other``."""
    a, b = mine.var(ddof=1) / len(mine), other.var(ddof=1) / len(other)
    if a + b == 0:
        return 0.0
    freedom = (a + b) ** 2 / (a * a / (len(mine) - 1) + b * b / (len(other) - 1))
    t = float(mine.mean() - other.mean()) / math.sqrt(a + b)
    return log_student_tail(t, max(1, round(freedom))) / _LOG10


def _triggers_alone(world: World, scale: Scale) -> Iterator[tuple[str, float]]:
    """log10 p of a trigger set alone for each copy of a victim trained with it."""
    victim, inputs, codes = models.triggered(world, SEED + 9, _TRIGGERS)
    null = [
        int((models.fitted(models.net(world, SEED + at), *data).predict(inputs) == codes).sum())
        for at in range(20, 26)
        for data in ((world.rows, world.labels), (world.other_rows, world.other_labels))
    ]
    bound = matches_of(len(codes), [null])
    for one in models.copies(world, victim, scale.queries, SEED + 10):
        matched = int((one.answers(inputs) == codes).sum())
        yield one.kind, bound.log_p(matched) / _LOG10


def _copy_row(world: World, one: Judged, alone: dict[str, float], scale: Scale) -> Row:
    tests = ", ".join(f"{test.name} {test.log10_p:.1f}" for test in one.comparison.tests)
    asked = one.kind.startswith("distilled")
    open_ = one.kind == models.OTHER_KIND or (asked and scale.queries < FULL.queries)
    return measure(
        f"owner {world.name}: {one.kind}, the second test",
        round(one.second, 2),
        "log10 p",
        target=None if open_ else -6,
        better="lower",
        yardsticks={
            "trigger set alone": round(alone[one.kind], 2),
            "dataset inference alone": round(one.inference, 2),
        },
        note=f"{one.comparison.verdict}; {tests}"
        + (f"; by {scale.queries:,} queries" if asked else ""),
    )


def _honest_row(world: World, others: Sequence[Judged]) -> Row:
    accused = [one for one in others if one.comparison.verdict == COPYING]
    inferred = sum(one.inference <= _INFERENCE_LEVEL for one in others)
    upper = clopper_pearson(len(accused), len(others))
    kinds = sorted({one.kind for one in others})
    return measure(
        f"owner {world.name}: honest models accused, of {len(others)}",
        len(accused),
        "models",
        target=0,
        better="lower",
        yardsticks={"dataset inference alone, p <= 0.01": float(inferred)},
        note=f"true rate at most {upper:.1%} (95 %); {', '.join(kinds)}",
    )


def _closest_row(world: World, others: Sequence[Judged]) -> Row:
    nearest = min(others, key=lambda one: one.second)
    any_test = min(test.log10_p for one in others for test in one.comparison.tests)
    return measure(
        f"owner {world.name}: the honest model nearest to being accused, the second test",
        round(nearest.second, 2),
        "log10 p",
        target=-3,
        note=f"{nearest.kind}; the smallest p of any one test is 1e{any_test:.1f}",
    )


def _independence_rows(world: World, owned: Fingerprint, others: Sequence[Judged]) -> Iterator[Row]:
    """Rank correlation of two tests' values over honest models, within each kind of model."""
    names = [one.name for one in owned.sets if one.name in KINSHIP]
    for first, second in combinations(names, 2):
        pairs = dict[str, list[tuple[float, float]]]()
        for one in others:
            values = {test.name: test.value for test in one.comparison.tests}
            if first in values and second in values:
                pairs.setdefault(one.kind, []).append((values[first], values[second]))
        ranks = [_ranks(np.array(group)) for group in pairs.values() if len(group) > 2]
        if ranks:
            both = np.concatenate(ranks)
            yield Row(
                f"owner {world.name}: rank correlation of {first} and {second}, honest models",
                round(float(np.corrcoef(both[:, 0], both[:, 1])[0, 1]), 3),
                "",
                note=f"{len(both)} models, ranked within their kind",
            )


def _ranks(values: Rows) -> Rows:
    """(n, 2) ranks, centred and scaled to -1 to 1."""
    ranks = values.argsort(axis=0).argsort(axis=0).astype(np.float64)
    return 2 * ranks / (len(values) - 1) - 1
