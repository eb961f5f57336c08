"""Finds the rows of one class that share a pattern: seeds, their neighbours, and their mean.

From many rows at once: the rows most like a row give a mean; the rows most like the mean give
the next. Where k rows share a pattern of strength s (in standard deviations), the means of
other rows stay noise and theirs becomes the pattern, for k well below what an eigenvector of
the class needs. No poison fraction is assumed; what is found is judged by ``excess``.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

SEEDS = 256
NEIGHBOURS = 12
MANY = 40
"""Rows of a mean: few find a rare pattern, many a faint one."""
ROUNDS = 3
KEPT = 6
APART = 0.7
"""Cosine above which two candidates are one."""
TAIL, CAP = 4.0, 4.0
"""A row counts from TAIL robust standard deviations on, and for no more than CAP of them."""
CARRIES = 3.0
"""A row of a significant group is a carrier from here on."""
ALIKE = 0.4
"""Correlation of whole whitened rows above which two are copies and count as one."""
MIRROR = 1.5
"""What natural edges do, they do in both polarities: the other tail weighs this much against."""

Floats: TypeAlias = npt.NDArray[np.float32]


class Found(msgspec.Struct, frozen=True):
    """The best candidate: ``direction`` (d,), ``scores`` (n,) in robust sd, its ``excess``."""

    direction: Floats
    scores: Floats
    excess: float


def candidates(rows: Floats, rng: np.random.Generator) -> list[Found]:
    """Of (n, d) whitened rows, the most promising first, unlike each other. n > 2 * NEIGHBOURS."""
    rows = rows - rows.mean(0)
    out: list[Found] = []
    for size in (NEIGHBOURS, MANY):
        if len(rows) < 4 * size and size > NEIGHBOURS:
            continue
        means, inside = _candidates(rows, rng, size)
        scores = _left_out(rows, means, inside)
        rough = _tail(scores).sum(0) - MIRROR * _tail(-scores).sum(0)
        unit = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)
        picked = _unlike(unit, np.argsort(-rough))
        out += [_found(rows, means[at], scores[:, at]) for at in picked]
    out.sort(key=lambda one: -one.excess)
    unit = np.stack([one.direction for one in out])
    return [out[at] for at in _unlike(unit, np.arange(len(out)))]


def _unlike(unit: Floats, order: npt.NDArray[np.int64]) -> list[int]:
    """The first KEPT of ``order`` whose directions are apart."""
    kept: list[int] = []
    for at in order:
        if len(kept) == KEPT:
            break
        if not kept or float(np.max(unit[kept] @ unit[at])) < APART:
            kept.append(int(at))
    return kept


def refined(rows: Floats, found: Found, rounds: int = 2) -> Found:
    """The same candidate with its mean over all who carry it, not the first few."""
    rows = rows - rows.mean(0)
    for _ in range(rounds):
        inside = (found.scores > CARRIES)[:, None]
        if inside.sum() < 2:
            return found
        means = (inside.T.astype(np.float32) @ rows) / np.float32(inside.sum())
        found = _found(rows, means[0], _left_out(rows, means, inside)[:, 0])
    return found


def excess(rows: Floats, scores: Floats) -> float:
    """How much more of the upper tail there is than of the lower; copies count once."""
    return _weighed(rows, scores) - MIRROR * _weighed(rows, -scores)


def _found(rows: Floats, mean: Floats, scores: Floats) -> Found:
    return Found(mean / max(1e-6, float(np.linalg.norm(mean))), scores, excess(rows, scores))


def _candidates(
    rows: Floats, rng: np.random.Generator, size: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Means (s, d) of ``size`` rows each, and who made them (n, s)."""
    seeds = rng.permutation(len(rows))[:SEEDS]
    means = rows[seeds]
    inside: npt.NDArray[np.bool_] = np.zeros((len(rows), len(seeds)), np.bool_)
    columns = np.arange(len(seeds))
    for number in range(ROUNDS):
        like = rows @ means.T
        if number == 0:
            like[seeds, columns] = -np.inf
        top = np.argpartition(-like, size, axis=0)[:size]
        inside[:] = False
        inside[top, columns] = True
        means = (inside.T.astype(np.float32) @ rows) / np.float32(size)
    return means, inside


def _left_out(rows: Floats, means: Floats, inside: npt.NDArray[np.bool_]) -> Floats:
    """(n, s) projections in robust sd; a row that made a mean is scored without its part."""
    size = inside.sum(0).astype(np.float32)
    along = rows @ means.T
    own = (rows * rows).sum(1)[:, None]
    length = np.linalg.norm(means, axis=1)
    others = np.sqrt(np.maximum((size * length) ** 2 - 2 * size * along + own, 1e-9))
    scores = np.where(inside, (size * along - own) / others, along / np.maximum(length, 1e-6))
    middle = np.median(scores, axis=0)
    spread = 1.4826 * np.median(np.abs(scores - middle), axis=0)
    return np.asarray((scores - middle) / np.maximum(spread, 1e-6), np.float32)


def _tail(scores: Floats) -> Floats:
    return np.clip(scores - TAIL, 0, CAP)


def _weighed(rows: Floats, scores: Floats) -> float:
    at = np.flatnonzero(scores > TAIL)
    if not len(at):
        return 0.0
    at = at[np.argsort(-scores[at])][:512]
    unit = rows[at] / np.maximum(np.linalg.norm(rows[at], axis=1, keepdims=True), 1e-6)
    copies = ((unit @ unit.T) > ALIKE).sum(1)
    return float((_tail(scores[at]) / np.maximum(copies, 1)).sum())
