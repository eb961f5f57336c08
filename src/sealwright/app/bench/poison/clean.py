"""Clean builds: random parts of every data set, screened as they are. None may be blocked.

Natural shortcuts are in there: numbers to call in spam, capital gains that decide the label, flags
of a protocol that mean an attack, near copies of one picture. Resamples of one set are not
independent of each other, so they are counted per set.
"""

from __future__ import annotations

from typing import NamedTuple

from sealwright.app.bench import Answer, Plate, Row, measure
from sealwright.app.bench.poison.data import Absent, Images, Table
from sealwright.app.bench.poison.score import rate
from sealwright.app.bench.poison.sets import Set, of_images, of_table, of_texts
from sealwright.app.bench.poison.trial import SETS, cut, screened, spread

SIZES = {
    "digits": 1000,
    "breast cancer": 400,
    "CIFAR-10": 2500,
    "Adult": 8000,
    "NSL-KDD": 8000,
    "SST-2": 4500,
    "SMS": 3500,
    "sentences": 1500,
}
"""Rows of one resample."""
BUILDS = 40
"""Resamples of each set: 320 over eight sets."""


class Build(NamedTuple):
    """One clean resample."""

    data: str
    draw: int


class Outcome(NamedTuple):
    """Did it block, and by what."""

    build: Build
    blocked: bool
    reasons: tuple[str, ...]


def clean(quick: bool, jobs: int, draws: int = 0) -> Answer:
    """How many of the clean builds a detector stopped."""
    builds, lacking = [], []
    count = 4 if quick else min(BUILDS, draws or BUILDS)
    for name in ("digits", "breast cancer", "sentences") if quick else SIZES:
        try:
            SETS[name]()
        except Absent as absent:
            lacking.append(f"{name}: {absent}")
        else:
            builds += [Build(name, draw) for draw in range(count)]
    outcomes = list(spread(builds, look, jobs))
    blocked = [one for one in outcomes if one.blocked]
    sets = dict.fromkeys(one.build.data for one in outcomes)
    counts = {name: [one for one in outcomes if one.build.data == name] for name in sets}
    words = ", ".join(
        f"{name} {sum(one.blocked for one in some)}/{len(some)}" for name, some in counts.items()
    )
    bounds = rate(len(blocked), len(outcomes))
    row = measure(
        f"clean builds blocked, of {len(outcomes)} over {len(sets)} data sets",
        len(blocked),
        "builds",
        target=0,
        better="lower",
        note="; ".join(
            [
                words,
                f"95 %: at most {100 * bounds.high:.2g} %, were resamples independent",
                *lacking,
            ]
        ),
    )
    if len(outcomes) < 300 or len(sets) < 6:
        row = Row(row.what, row.value, row.unit, row.target, None, note=row.note)
    return Answer([row], _plates(blocked))


def look(build: Build) -> Outcome:
    """Screen one resample."""
    screening = screened(resample(build))
    reasons = [
        f"{verdict.spec.name}: {group.pattern} ({group.count} rows, {group.seen} {group.label}, "
        f"expected {group.expected:.3g}, p {group.p_value:.1g})"
        for verdict in screening.verdicts
        for group in verdict.significant
    ] + [f"{one.spec.name} failed: {one.error}" for one in screening.verdicts if one.error]
    return Outcome(build, screening.blocks, tuple(reasons))


def resample(build: Build) -> Set:
    """A random part of a data set, without replacement."""
    seed = 1000 + build.draw
    part = cut(SETS[build.data](), SIZES[build.data], seed)
    if isinstance(part, Table):
        return of_table(part.columns, part.labels, part.names, seed)
    make = of_images if isinstance(part, Images) else of_texts
    return make(part.train, part.labels, part.names, seed)


def _plates(blocked: list[Outcome]) -> list[Plate]:
    if not blocked:
        return []
    lines = tuple(
        (f"{one.build.data}, resample {one.build.draw}", one.reasons[:3]) for one in blocked[:20]
    )
    return [Plate("Clean builds that were blocked", "each is a false alarm", (), lines)]
