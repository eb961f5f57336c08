"""Is there a trace that decides the label, where a model that cannot see it says otherwise?

For each label a direction is learnt from the images that have it and are not believed, against
those that are believed and all others; for triggers that move every label, one over all images.
It is learnt again from the images that a mixture of scores and labels takes for carriers. Each
image is scored by a direction that was not learnt from it. Of the images scored highest,
how many have the label is held against what the blind model leads to expect, with its odds
raised by what nature adds. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from math import exp, log
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.poison import residue_mixture

FOLDS = 5
ROUNDS = 3
"""How often a direction is learnt again from those who carry it."""
FEWEST = 8
"""Carriers that a direction is learnt from."""
SIZES = (10, 20, 40, 80, 160, 320)
"""Numbers of highest scored images that are looked at."""
LEAST = 0.02
"""No label is less probable than this to the blind model: it is sure too often."""
ANY = -1
SLACK, SLACK_ANY = 2.0, 0.7
"""Log odds that nature may add to the blind model's, for one label and for disbelief in any:
the most seen in clean resamples was 2.1 at 40 images and 0.6 (docs/reference/detectors.md)."""
FEW = 5
CARRIES = 0.5
"""Probability from which an image is a carrier."""

Floats: TypeAlias = npt.NDArray[np.float64]
White: TypeAlias = npt.NDArray[np.float32]


class Judged(msgspec.Struct, frozen=True):
    """``white`` (n, d) whitened residue, ``labels`` (n,) codes, ``odds`` (n, classes) of the
    blind model, ``folds`` (n,) the part that each image is left out in."""

    white: White
    labels: npt.NDArray[np.int64]
    odds: Floats
    folds: npt.NDArray[np.int64]

    def part(self, at: npt.NDArray[np.int64]) -> Judged:
        """The images at some places."""
        return Judged(self.white[at], self.labels[at], self.odds[at], self.folds[at])


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
    high, usual = event[order], raised(plain[order], slack)
    sizes = [size for size in SIZES if size <= len(order) // 4]
    found = [(_bound(high[:size], usual[:size]), size) for size in sizes]
    p, size = min(found, default=(1.0, 0))
    planted, natural, _ = residue_mixture.fitted(scores, *chances(judged, label))
    at = np.flatnonzero(planted > CARRIES)
    if len(at) < FEWEST:
        at = np.sort(order[:size][high[:size]])
    shown = np.union1d(at, np.flatnonzero(planted + natural > CARRIES))
    return Trace(
        label,
        min(1.0, p * max(1, len(sizes))),
        at,
        len(shown),
        float(plain[shown].sum()),
        size,
        _shift(high[:size], usual[:size]) + slack if size else 0.0,
    )


def chances(judged: Judged, label: int) -> tuple[Floats, Floats]:
    """(n,) the chance of each image's label by nature, and had it been planted.

    For a label: an image of other content gets it. For ANY: each label but its own, alike.
    """
    own = judged.odds[np.arange(len(judged.labels)), judged.labels]
    if label == ANY:
        return own, (1 - own) / (judged.odds.shape[1] - 1)
    other = 1 - judged.odds[:, label]
    return own, np.where(judged.labels == label, other / other.mean(), 0.0)


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
    scores = np.zeros(len(judged.labels))
    for fold in range(FOLDS):
        left_out = judged.folds == fold
        along = _direction(judged, ~left_out, label)
        scores[left_out] = _standard(judged.white @ along)[left_out]
    return scores


def raised(usual: Floats, slack: float) -> Floats:
    """Probabilities at odds that are exp(slack) times as high."""
    usual = np.clip(usual, 1e-6, 1 - 1e-6)
    return np.asarray(1 / (1 + (1 - usual) / usual * exp(-slack)))


def _direction(judged: Judged, learnt: npt.NDArray[np.bool_], label: int) -> White:
    """From the doubted against the believed, then from the carriers against the rest."""
    white, labels, odds = judged.white[learnt], judged.labels[learnt], judged.odds[learnt]
    own = labels == label if label != ANY else np.ones(len(labels), bool)
    believed = odds[np.arange(len(labels)), labels]
    against = own * believed / max(1e-9, float((own * believed).sum()))
    if not own.all():
        against += ~own / (~own).sum()
    long = np.einsum("ij,ij->i", white, white).astype(np.float64)
    scores, along = _apart(white, own * (1 - believed) ** 2, against, long)
    usual, contrary = (one[learnt] for one in chances(judged, label))
    mixture = None
    for _ in range(ROUNDS):
        planted, _, mixture = residue_mixture.fitted(_standard(scores), usual, contrary, mixture)
        if planted.sum() < FEWEST:
            break
        scores, along = _apart(white, planted, 1 - planted, long)
    return along


def _apart(white: White, of: Floats, against: Floats, long: Floats) -> tuple[Floats, White]:
    """(n,) scores along the difference of two weighted means, and that difference (d,).

    Each image is scored without its own part in either mean; ``long`` is its squared length.
    """
    weights = np.stack([of, against])
    sums = weights.astype(np.float32) @ white
    along = (white @ sums.T).astype(np.float64).T
    total = weights.sum(1, keepdims=True)
    means = (along - weights * long) / np.maximum(total - weights, 1e-9)
    both = sums / np.maximum(total, 1e-9).astype(np.float32)
    return means[0] - means[1], np.asarray(both[0] - both[1], np.float32)


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
