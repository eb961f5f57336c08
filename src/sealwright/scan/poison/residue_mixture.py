"""Which images carry a trace: told by their score along it and by their label, together.

Three kinds: *plain* (a score as most have), *natural* (shows the trace, with a label that its
content leads to expect: a cover, another camera) and *planted* (shows it, with a label that its
content does not). Scores of plain images are normal around 0, of the other two around ``middle``;
shares, middle and spreads by expectation and maximisation. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from math import sqrt
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

STEPS = 30
FEWEST = 5
"""Images that are planted, in all; with fewer nothing is fitted."""

Floats: TypeAlias = npt.NDArray[np.float64]


class Mixture(msgspec.Struct, frozen=True):
    """``natural`` and ``planted`` are shares of all; plain scores are N(0, width), of those that
    show the trace N(middle, spread)."""

    natural: float = 0.005
    planted: float = 0.02
    middle: float = 3.0
    spread: float = 1.5
    width: float = 1.0


def fitted(
    scores: Floats, usual: Floats, contrary: Floats, start: Mixture | None = None
) -> tuple[Floats, Floats, Mixture]:
    """(n,) scores, the chance of each label by nature and by the attacker → (n,) probabilities
    that an image is planted and that it is natural but shows the trace, and what was fitted."""
    above = scores > 0
    high, usual, contrary = scores[above], usual[above], contrary[above]
    one = start or Mixture()
    planted, natural = np.zeros(len(high)), np.zeros(len(high))
    for _ in range(STEPS):
        plain = _density(high, 0.0, one.width)
        shown = _density(high, one.middle, one.spread)
        first = (1 - one.natural - one.planted) * usual * plain
        second, third = one.natural * usual * shown, one.planted * contrary * shown
        total = first + second + third + 1e-300
        planted, natural = third / total, second / total
        if planted.sum() < FEWEST:
            break
        one = _taken(high, planted, natural, first / total, len(scores))
    return _among(planted, above), _among(natural, above), one


def _density(high: Floats, middle: float, spread: float) -> Floats:
    return np.asarray(np.exp(-0.5 * ((high - middle) / spread) ** 2) / spread)


def _taken(high: Floats, planted: Floats, natural: Floats, plain: Floats, rows: int) -> Mixture:
    """Middle and spread are the planted ones': what nature adds may lie elsewhere."""
    count = float(planted.sum())
    middle = max(1.0, float(planted @ high) / count)
    spread = sqrt(float(planted @ (high - middle) ** 2) / count)
    return Mixture(
        min(0.3, max(1e-4, float(natural.sum()) / rows)),
        min(0.5, max(1e-4, count / rows)),
        middle,
        min(3.0, max(0.7, spread)),
        min(2.0, max(1.0, sqrt(float(plain @ high**2) / max(1e-9, float(plain.sum()))))),
    )


def _among(some: Floats, above: npt.NDArray[np.bool_]) -> Floats:
    out = np.zeros(len(above))
    out[above] = some
    return out
