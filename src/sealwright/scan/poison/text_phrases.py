"""Fixed phrases: ordinary words that stand together often, elsewhere never, and anywhere in a text.

A phrase that a language has grown with fits what is around it; a planted one meets other words
each time, at both ends. How often nature repeats such a phrase is judged by this version's own.
Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections import Counter
from math import log
from typing import NamedTuple

REACH = 6
FREE = 0.94
"""Two texts with the phrase have different words beside it so often: planted ones 0.96 and more,
of natural ones "the only thing" in SST-2 0.76 and 0.96, "let me know" in SMS 0.93 and 0.92."""
ALWAYS = 0.8
SHAPE, RATE = 12.0, 96.0
"""Gamma prior of the exponential tail of the statistic: a scale of 8 nats. Free phrases of one
label, in SST-2 and SMS: none; whatever the label: 33 nats, and ten more that are below 15."""

Around = tuple[tuple[int, ...], tuple[int, ...]]
"""Words before a phrase (nearest first) and after it; none where the text begins or ends."""


class Seen(NamedTuple):
    """One text that holds the phrase."""

    record: int
    target: int
    around: Around


def free(texts: list[Seen]) -> bool:
    """Does the phrase, with the words that always go with it, meet other words at both ends?"""
    return all(_free([one.around[side] for one in texts]) for side in (0, 1))


def p_value(ratio: float, others: list[float]) -> float:
    """That nature makes one phrase of ``ratio`` or more, over all it makes.

    ``others`` are the statistics of all free phrases; those less than half as large are its body,
    so that several triggers cannot vouch for each other. Exponential tail, Gamma prior (Lomax).
    """
    body = [one for one in others if one < ratio / 2]
    shape, rate = SHAPE + len(body), RATE + sum(body)
    tail = shape * (log(rate) - log(rate + ratio))
    return float(min(1.0, max(1, len(body)) * 2.718281828459045**tail))


def _free(sides: list[tuple[int, ...]]) -> bool:
    for step in range(REACH):
        words = [side[step] if len(side) > step else -at for at, side in enumerate(sides)]
        counts = Counter(words)
        if max(counts.values()) >= ALWAYS * len(words):
            continue
        same = sum(n * (n - 1) for n in counts.values())
        return same <= (1 - FREE) * len(words) * (len(words) - 1)
    return False
