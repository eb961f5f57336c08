"""How large a budget may be: agreement against each unit of the ledger, with an upper bound.

For a budget, every thief's copy is taken at the first reading that is not below it, so a budget
between two copies counts as the larger. The bound is Clopper and Pearson's (1934) one-sided 95 %
on the inputs the copies were held to, Bonferroni over all copies compared. It bounds chance in
the inputs; a better thief than these is bounded by nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from sealwright.core.errors import BadInput
from sealwright.kit.intervals import interval
from sealwright.redteam.extraction.heist import Curve, Point

Unit = Literal["queries", "mbits", "cells"]
UNITS: tuple[Unit, ...] = ("queries", "mbits", "cells")
CONFIDENCE = 0.95


class Reached(msgspec.Struct, frozen=True):
    """At ``budget`` of ``unit``, the best thief's agreement and its upper bound, as shares.

    ``known`` is false where a thief never got so far, and could have got further.
    """

    unit: Unit
    budget: int
    thief: str
    agreement: float
    bound: float
    known: bool


def reached(curves: Sequence[Curve], unit: Unit, budget: int) -> Reached:
    """What the best of the thieves holds at a budget. Raises: BadInput (no curves)."""
    if not curves:
        raise BadInput("no thief was run")
    held = [(curve, *_at(curve, unit, budget)) for curve in curves]
    best, point, _ = max(held, key=lambda one: one[1].agreed / one[0].of if one[1] else 0.0)
    agreed = point.agreed if point else 0
    confidence = 1 - 2 * (1 - CONFIDENCE) / len(curves)  # the upper of two sides is one
    _, bound = interval(agreed, best.of, confidence)
    return Reached(
        unit,
        budget,
        best.thief,
        agreed / best.of,
        bound,
        all(far for _, _, far in held),
    )


def recommended(curves: Sequence[Curve], unit: Unit, target: float) -> int:
    """The largest reading at which the bound is still at most ``target``; 0 where none is."""
    readings = sorted({getattr(p.reading, unit) for curve in curves for p in curve.points})
    fit = 0
    for budget in readings:
        here = reached(curves, unit, budget)
        if not here.known or here.bound > target:
            break
        fit = budget
    return fit


def _at(curve: Curve, unit: Unit, budget: int) -> tuple[Point | None, bool]:
    """The best copy up to the first reading not below ``budget``; whether there is such one.

    The most it agreed counts, not the last: nobody forgets a better copy.
    """
    upto: list[Point] = []
    for point in curve.points:
        upto.append(point)
        if getattr(point.reading, unit) >= budget:
            return max(upto, key=lambda one: one.agreed), True
    # a thief who stays in few cells has asked all it may: more cells are not what it lacks
    return max(upto, key=lambda one: one.agreed, default=None), unit == "cells"
