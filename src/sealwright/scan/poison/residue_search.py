"""Is there a trace that decides the label, where a model that cannot see it says otherwise?

For each label a direction is learnt from the images that have it and are not believed, against
those that are believed and all others; for triggers that move every label, one over all images.
Each image is scored by a direction that was not learnt from it. Of the images scored highest,
how many have the label is held against what the blind model leads to expect, with its odds
raised by what nature adds. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from math import exp, log
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

FOLDS = 5
ROUNDS = 2
STANDS_OUT, CAP = 2.5, 2.0
"""Robust standard deviations from which an image counts when the direction is taken anew."""
FEWEST = 8
SIZES = (10, 20, 40, 80, 160, 320)
"""Numbers of highest scored images that are looked at."""
LEAST = 0.02
"""No label is less probable than this to the blind model: it is sure too often."""
ANY = -1
SLACK, SLACK_ANY = 2.0, 0.7
"""Log odds that nature may add to the blind model's, for one label and for disbelief in any:
the most seen in clean resamples was 2.1 at 40 images and 0.6 (docs/reference/detectors.md)."""
FEW = 5
BLOCK = 20
"""Images at a time that are taken in as carriers, while more than half of them are excess."""

Floats: TypeAlias = npt.NDArray[np.float64]
White: TypeAlias = npt.NDArray[np.float32]


class Judged(msgspec.Struct, frozen=True):
    """``white`` (n, d) whitened residue, ``labels`` (n,) codes, ``odds`` (n, classes) of the
    blind model, ``folds`` (n,) the part that each image is left out in."""

    white: White
    labels: npt.NDArray[np.int64]
    odds: Floats
    folds: npt.NDArray[np.int64]


class Trace(msgspec.Struct, frozen=True):
    """What was found for a label (or ANY): ``p_value`` over all sizes, ``at`` the carriers'
    places, ``count`` the images that show it, ``expected`` of them by the blind model."""

    label: int
    p_value: float
    at: npt.NDArray[np.int64]
    count: int
    expected: float
    size: int
    shift: float


def evened(odds: npt.NDArray[np.float32]) -> Floats:
    """(n, classes) with nothing below LEAST, summing to one."""
    floor = min(LEAST, 0.5 / odds.shape[1])
    out = np.clip(odds.astype(np.float64), floor, None)
    return np.asarray(out / out.sum(1, keepdims=True))


def searched(judged: Judged, label: int) -> Trace:
    """The best evidence for one label, or for ANY."""
    scores = scored(judged, label)
    order = np.argsort(-scores, kind="stable")
    event, plain, slack = asked(judged, label)
    event, plain = event[order], plain[order]
    usual = raised(plain, slack)
    sizes = [size for size in SIZES if size <= len(order) // 4]
    found = [(_bound(event[:size], usual[:size]), size) for size in sizes]
    p, size = min(found, default=(1.0, 0))
    reach = _reach(event, usual, size)
    return Trace(
        label,
        min(1.0, p * max(1, len(sizes))),
        np.sort(order[:reach][event[:reach]]),
        reach,
        float(plain[:reach].sum()),
        size,
        _shift(event[:size], usual[:size]) + slack if size else 0.0,
    )


def asked(judged: Judged, label: int) -> tuple[npt.NDArray[np.bool_], Floats, float]:
    """(n,) whether it happened, the blind model's chance of it, and nature's log odds.

    For a label: the image has it. For ANY: it is none of the labels that its content suggests
    (the two most probable; of fewer than FEW labels, the one).
    """
    if label != ANY:
        return judged.labels == label, judged.odds[:, label], SLACK
    first = 2 if judged.odds.shape[1] >= FEW else 1
    best = np.argsort(-judged.odds, axis=1, kind="stable")[:, :first]
    missed = (best != judged.labels[:, None]).all(1)
    return missed, 1 - np.take_along_axis(judged.odds, best, 1).sum(1), SLACK_ANY


def scored(judged: Judged, label: int) -> Floats:
    """(n,) robust standard deviations along a direction learnt without the image."""
    rows = np.arange(len(judged.labels))
    own = judged.labels == label if label != ANY else np.ones(len(rows), bool)
    believed = judged.odds[rows, judged.labels]
    scores = np.zeros(len(rows))
    for fold in range(FOLDS):
        learnt = judged.folds != fold
        along = _direction(judged.white, own & learnt, ~own & learnt, believed)
        scores[~learnt] = _standard(judged.white @ along)[~learnt]
    return scores


def raised(usual: Floats, slack: float) -> Floats:
    """Probabilities at odds that are exp(slack) times as high."""
    usual = np.clip(usual, 1e-6, 1 - 1e-6)
    return np.asarray(1 / (1 + (1 - usual) / usual * exp(-slack)))


def _direction(
    white: White, own: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_], believed: Floats
) -> White:
    doubted = own * (1 - believed) ** 2
    against = _mean(white, own * believed)
    if others.any():
        against = (against + _mean(white, others.astype(np.float64))) / 2
    along = _mean(white, doubted) - against
    for _ in range(ROUNDS):
        high = _standard(white @ along) - STANDS_OUT
        if int((own & (high > 0)).sum()) < FEWEST:
            break
        along = _mean(white, doubted * np.clip(high, 0, CAP)) - against
    return along


def _mean(white: White, weights: Floats) -> White:
    return np.asarray((weights.astype(np.float32) @ white) / max(1e-9, weights.sum()), np.float32)


def _standard(values: npt.NDArray[np.floating]) -> Floats:
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    return np.asarray((values - middle) / max(float(spread), 1e-9), np.float64)


def _bound(event: npt.NDArray[np.bool_], usual: Floats) -> float:
    """Chernoff's bound of so many events, of chances ``usual`` (Hoeffding 1956)."""
    count = len(event)
    share, mean = float(event.mean()), float(usual.mean())
    if share <= mean:
        return 1.0
    rest = (1 - share) * log((1 - share) / (1 - mean)) if share < 1 else 0.0
    return exp(-count * (share * log(share / mean) + rest))


def _shift(event: npt.NDArray[np.bool_], usual: Floats) -> float:
    """Log odds by which so many events exceed ``usual``; half an event more of each kind."""
    hits, misses = float(event.sum()) + 0.5, float((~event).sum()) + 0.5
    mean = float(usual.mean())
    return log(hits / misses) - log(mean / (1 - mean))


def _reach(event: npt.NDArray[np.bool_], usual: Floats, size: int) -> int:
    """How far down the carriers go: blocks of which more than half of the rest is excess."""
    at = max(BLOCK, size) if size else 0
    while at and at + BLOCK <= len(event):
        seen, mean = float(event[at : at + BLOCK].mean()), float(usual[at : at + BLOCK].mean())
        if seen - mean < 0.5 * (1 - mean):
            break
        at += BLOCK
    return at
