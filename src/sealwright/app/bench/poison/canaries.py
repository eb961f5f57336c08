"""The smallest number of poisoned rows seen, per trigger family: 29 of 29 injections found."""

from __future__ import annotations

from typing import NamedTuple

from sealwright.app.bench import Answer, Row
from sealwright.app.bench.poison.clean import SIZES, Build, resample
from sealwright.app.bench.poison.data import Absent
from sealwright.app.bench.poison.trial import SETS, spread
from sealwright.core.errors import BadInput
from sealwright.scan import canary, registry
from sealwright.scan.ensemble import ALPHA, modalities

MOST = 20


class Family(NamedTuple):
    """One family to plant in one data set."""

    data: str
    family: str
    quick: bool


class Seen(NamedTuple):
    """What was found, or why nothing was; ``unfit``: this data has nowhere to plant it."""

    family: Family
    smallest: int
    words: str
    fault: str = ""
    unfit: bool = False


def canaries(quick: bool, jobs: int) -> Answer:
    """One row for each family that a detector of the data's kind is there to see."""
    rows: list[Row] = []
    plans: list[Family] = []
    for name in ("digits",) if quick else ("CIFAR-10", "Adult", "NSL-KDD", "SST-2", "SMS"):
        try:
            SETS[name]()
        except Absent as absent:
            rows.append(Row(f"{name}: smallest count seen", None, "rows", note=str(absent)))
        else:
            plans += [Family(name, family, quick) for family in families(name)]
    done = sorted(spread(plans, look, jobs), key=lambda one: plans.index(one.family))
    return Answer([*map(_row, done), *rows], [])


def families(name: str) -> list[str]:
    """Families that both a planter and a detector for this data know."""
    present = modalities(resample(Build(name, 0)).frame)
    known = {family for one in registry.for_modalities(present) for family in one.spec.families}
    return [family for family in registry.planters() if family in known]


def look(plan: Family) -> Seen:
    """``canary.power`` on a part of the data, with the share of the error the ensemble gives."""
    part = resample(Build(plan.data, 0))
    every = registry.for_modalities(modalities(part.frame))
    frame = canary.at_share(part.frame, every, ALPHA)
    planter = registry.planter(plan.family)
    try:
        seen = canary.power(
            part.source,
            frame,
            planter,
            every,
            counts=(20,) if plan.quick else canary.COUNTS,
            repeats=2 if plan.quick else canary.REPEATS,
        )
    except BadInput as error:
        return Seen(plan, 0, "", str(error), unfit=True)
    except Exception as error:  # whatever a planter raises is this row's note
        return Seen(plan, 0, "", f"{type(error).__name__}: {error}")
    words = ", ".join(f"{one.count}: {one.found}/{one.tried}" for one in seen.counts)
    return Seen(plan, seen.smallest, f"{words} by {', '.join(seen.detectors)}")


def _row(seen: Seen) -> Row:
    what = f"{seen.family.data} ({SIZES[seen.family.data]:,} rows), {seen.family.family}: "
    what += "smallest count seen"
    if seen.fault:
        met = None if seen.unfit else False
        return Row(what, None, "rows", f"<= {MOST}", met, note=seen.fault)
    met = None if seen.family.quick else 0 < seen.smallest <= MOST
    return Row(what, seen.smallest or None, "rows", f"<= {MOST}", met, note=seen.words)
