"""Windows of one label that are alike, more than chance, the place and the direction explain.

At one place: the longest windows there, and how many of one label point the same way. Nature has
class-wise edges too, but an image's content moves: around the place as many are to be expected.
At any place: the longest windows of each image. There the windows that point nearly the same way
say what share of the label is natural, and a good part more of it is required.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import exp, log
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.poison.patch_windows import Floats, Ints

ALIKE = 0.85
"""Cosine from which two windows are one pattern."""
NEARLY = 0.55
FEWEST = 8
"""Images of a pattern."""
RING = 6
"""Pixels to the places that say what nature does here: beyond a patch of five."""
MARGIN = 0.35
"""Of what lies between a label's natural share and all, nature may take so much at any place."""
EACH = 8
"""Independent patterns at one place, for the number that were tried."""
STEP = 5
EXPLAINED = 0.1
"""Images that are taken in as carriers at a time, and the part that may be natural."""

Labels: TypeAlias = npt.NDArray[np.int32]
Place: TypeAlias = tuple[int, int, int]
"""Window size, row, column."""


class Top(msgspec.Struct, frozen=True):
    """The images with the longest windows at one place: ``rows`` (m,), ``unit`` (m, d)."""

    rows: Ints
    unit: Floats
    floor: float


class Hit(msgspec.Struct, frozen=True):
    """A pattern: ``direction`` (d,), ``count`` images show it, ``seen`` of them with ``label``."""

    place: Place | None
    direction: Floats
    label: int
    count: int
    seen: int
    expected: float
    statistic: float
    rows: Ints


def top(windows: Floats, long: Floats, unit: Floats, most: int) -> Top:
    """The ``most`` longest of (n, d) windows."""
    at = np.sort(np.argpartition(-long, most - 1)[:most])
    return Top(at, unit[at], float(long[at].min()))


def fixed(
    tops: Mapping[Place, Top],
    place: Place,
    here: Top,
    labels: Labels,
    shares: Floats,
    seeds: Ints,
) -> Hit | None:
    """The best pattern of ``here``, at ``place``, among those of ``seeds`` (its indices)."""
    if not len(seeds):
        return None
    names, codes = np.unique(labels[here.rows], return_inverse=True)
    alike = (here.unit[seeds] @ here.unit.T > ALIKE).astype(np.float32)
    counts = alike @ np.eye(len(names), dtype=np.float32)[codes]
    own, total = counts[np.arange(len(seeds)), codes[seeds]], counts.sum(1)
    mine = np.bincount(codes)[codes[seeds]]
    usual = (mine / len(codes) + (mine - own + 1) / (len(codes) - total + 2)) / 2
    usual = np.minimum(0.99, np.maximum(usual, shares[names][codes[seeds]]))
    at = int(np.argmax(_bounds(total, own, usual)))
    if own[at] < FEWEST:
        return None
    direction, label = here.unit[seeds[at]], int(names[codes[seeds[at]]])
    seen, count = _around(tops, place, direction, labels, label)
    expected = min(0.99, max(float(usual[at]), (sum(seen) + 1) / (sum(count) + 2)))
    k, m = int(own[at]), int(total[at])
    stat = min(bound(m, k, expected), _poisson(k, max(seen, default=1)))
    rows = here.rows[(here.unit @ direction > ALIKE) & (labels[here.rows] == label)]
    return Hit(place, direction, label, m, k, expected * m, stat, rows)


def moving(pool: Floats, labels: Labels, shares: Floats, seeds: Ints, kept: int) -> Iterator[Hit]:
    """Of (n, t, d) windows of each image, the patterns of ``seeds`` (indices into n*t)."""
    flat = pool.reshape(-1, pool.shape[2])
    hits: list[Hit] = []
    for start in range(0, len(seeds), 128):
        part = seeds[start : start + 128]
        near = (flat @ flat[part].T).reshape(len(pool), pool.shape[1], len(part)).max(1)
        for at, seed in enumerate(part):
            alike = np.flatnonzero(near[:, at] > ALIKE)
            label = int(labels[seed // pool.shape[1]])
            own = alike[labels[alike] == label]
            if len(own) < FEWEST or len(own) < MARGIN * len(alike):
                continue
            around = labels[(near[:, at] > NEARLY) & (near[:, at] <= ALIKE)]
            share = (int((around == label).sum()) + 1) / (len(around) + 2)
            share = max(float(shares[label]), share)
            usual = min(0.99, share + MARGIN * (1 - share))
            stat = bound(len(alike), len(own), usual)
            if stat > 0:
                expected = share * len(alike)
                hits.append(Hit(None, flat[seed], label, len(alike), len(own), expected, stat, own))
    yield from sorted(hits, key=lambda hit: -hit.statistic)[:kept]


def bound(count: float, seen: float, share: float) -> float:
    """-log of the Chernoff bound of ``seen`` or more of ``count`` at ``share``."""
    return float(_bounds(*(np.array([float(one)]) for one in (count, seen, share)))[0])


def edge(scores: Floats, own: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Of the ``own`` images, those so high that other labels explain hardly any of them.

    Taken in from the highest down, STEP at a time, as far as that holds.
    """
    order = np.flatnonzero(own)[np.argsort(-scores[own], kind="stable")]
    others = np.sort(scores[~own])
    ratio = len(order) / max(1, len(others))
    reach = 0
    while reach + STEP <= len(order):
        least = scores[order[reach + STEP - 1]]
        high = int(np.searchsorted(others, scores[order[reach]])) if reach else len(others)
        low = int(np.searchsorted(others, least))
        if ratio * (high - low) > EXPLAINED * STEP:
            break
        reach += STEP
    out: npt.NDArray[np.bool_] = np.zeros(len(scores), np.bool_)
    out[order[:reach]] = True
    return out


def p_value(statistic: float, places: int) -> float:
    """Over all places and the patterns at each."""
    return min(1.0, places * EACH * exp(-min(700.0, statistic)))


def _bounds(count: npt.NDArray[Any], seen: npt.NDArray[Any], share: npt.NDArray[Any]) -> Any:
    part = seen / np.maximum(count, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        none = np.where(part < 1, (1 - part) * np.log((1 - part) / (1 - share)), 0.0)
        out = count * (part * np.log(part / share) + none)
    return np.where(part > share, out, 0.0)


def _around(
    tops: Mapping[Place, Top], place: Place, direction: Floats, labels: Labels, label: int
) -> tuple[list[int], list[int]]:
    size, row, column = place
    seen, count = [], []
    for down in (-RING, 0, RING):
        for right in (-RING, 0, RING):
            near = tops.get((size, row + down, column + right)) if down or right else None
            if near is not None:
                alike = labels[near.rows[near.unit @ direction > ALIKE]]
                seen.append(int((alike == label).sum()))
                count.append(len(alike))
    return seen, count


def _poisson(seen: int, usual: int) -> float:
    usual = max(1, usual)
    return seen * log(seen / usual) - seen + usual if seen > usual else 0.0
