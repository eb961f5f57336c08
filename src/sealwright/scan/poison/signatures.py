"""Spectral signatures: rows of a class that stand out together in what a network learnt.

Each class is centred, kept in its leading directions and whitened by a covariance that the
farthest rows do not enter; quantum entropy then weighs the directions in which the whole class is
still longer than it should be. Sources: Tran 2018; SPECTRE (Hayase 2021).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FEWEST = 40
"""Rows of a class that is scored."""
KEPT = 32
"""Leading directions, and at least four rows for each."""
TRIMMED, ROUNDS = 0.1, 3
"""The farthest part, left out of the covariance, and how often that is done."""
SHARPNESS = 4.0
"""Of the weights: 0 is the length of a row, without bound it is the longest direction alone."""

Floats: TypeAlias = npt.NDArray[np.float64]


def scored(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """(nets, n, d) features → (n,) robust standard deviations within the class, over the nets."""
    out = np.zeros(len(labels))
    for code in np.unique(labels):
        at = np.flatnonzero(labels == code)
        if len(at) >= FEWEST:
            out[at] = np.mean([_standard(_apart(net[at].astype(float))) for net in features], 0)
    return out


def _apart(rows: Floats) -> Floats:
    """(n,) how far each row is, along what is too long in all of them."""
    rows = rows - np.median(rows, 0)
    _, _, directions = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    kept = rows @ directions[: min(KEPT, len(rows) // 4)].T
    middle, matrix = _robust(kept)
    white = (kept - middle) @ matrix
    values, vectors = np.linalg.eigh(white.T @ white / len(white))
    excess = values - 1
    weights = np.exp(SHARPNESS * (excess - excess.max()) / max(1e-9, float(excess.max())))
    along = white @ vectors
    return np.asarray((along**2 * weights).sum(1) / weights.sum())


def _robust(rows: Floats) -> tuple[Floats, Floats]:
    """The middle of most rows, and what makes their covariance one."""
    kept: npt.NDArray[np.bool_] = np.ones(len(rows), np.bool_)
    middle, matrix = rows.mean(0), np.eye(rows.shape[1])
    for _ in range(ROUNDS):
        middle = rows[kept].mean(0)
        values, vectors = np.linalg.eigh(np.cov(rows[kept].T))
        floor = 1e-6 * max(1e-12, float(values.max()))
        matrix = (vectors / np.sqrt(np.maximum(values, floor))) @ vectors.T
        length = (((rows - middle) @ matrix) ** 2).sum(1)
        kept = length <= np.quantile(length, 1 - TRIMMED)
    return middle, matrix


def _standard(values: Floats) -> Floats:
    middle = np.median(values)
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return np.asarray((values - middle) / max(spread, 1e-9))
