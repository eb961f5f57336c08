"""The few tests that drift and novelty need, in numpy alone. p-values err towards 1."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
_FEWEST_EXPECTED = 5.0


def chi_square_tail(statistic: float, degrees: int) -> float:
    """P(chi-square with ``degrees`` >= ``statistic``), by the continued fraction or the series of
    the incomplete gamma function (Numerical Recipes 6.2)."""
    if degrees < 1 or statistic <= 0:
        return 1.0
    a, x = degrees / 2, statistic / 2
    scale = math.exp(min(0.0, -x + a * math.log(x) - math.lgamma(a)))
    if x < a + 1:
        term = total = 1 / a
        for step in range(1, 10_000):
            term *= x / (a + step)
            total += term
            if term < total * 1e-14:
                break
        return max(0.0, 1 - total * scale)
    b, c = x + 1 - a, 1e300
    d = h = 1 / b
    for step in range(1, 10_000):
        factor = -step * (step - a)
        b += 2
        d = 1 / (factor * d + b or 1e-300)
        c = b + factor / c or 1e-300
        h *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return min(1.0, scale * h)


def two_samples(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """p of one distribution behind two rows of counts; cells expected under 5 are pooled."""
    n, m = int(one.sum()), int(other.sum())
    if not n or not m:
        return 1.0
    both = (one + other).astype(np.float64)
    order = np.argsort(both)[::-1]
    one, other, both = one[order], other[order], both[order]
    least = both * min(n, m) / (n + m)
    full = int((least >= _FEWEST_EXPECTED).sum())
    cells = [(one[:full], other[:full])]
    if full < len(both):
        rest = (np.array([one[full:].sum()]), np.array([other[full:].sum()]))
        if (rest[0] + rest[1]).sum() * min(n, m) / (n + m) >= _FEWEST_EXPECTED:
            cells.append(rest)
    left = np.concatenate([pair[0] for pair in cells]).astype(np.float64)
    right = np.concatenate([pair[1] for pair in cells]).astype(np.float64)
    total = left + right
    if len(total) < 2:
        return 1.0
    n, m = int(left.sum()), int(right.sum())
    gap = left * math.sqrt(m / n) - right * math.sqrt(n / m) if n and m else total * 0
    return chi_square_tail(float((gap**2 / total).sum()), len(total) - 1)


def kolmogorov(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> tuple[float, float]:
    """(distance, p) of two histograms over the same ordered bins. Binning only lowers both."""
    n, m = int(one.sum()), int(other.sum())
    if not n or not m:
        return 0.0, 1.0
    distance = float(np.abs(np.cumsum(one) / n - np.cumsum(other) / m).max())
    scaled = distance * math.sqrt(n * m / (n + m))
    if scaled < 0.3:
        return distance, 1.0
    signs = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return distance, min(1.0, max(0.0, 2 * sum(signs)))


def population_stability(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """PSI, less what it is expected to be between samples of one distribution; at least 0."""
    n, m = int(one.sum()), int(other.sum())
    used = (one + other) > 0
    if not n or not m or used.sum() < 2:
        return 0.0
    p = (one[used] + 0.5) / (n + 0.5 * used.sum())
    q = (other[used] + 0.5) / (m + 0.5 * used.sum())
    found = float(((p - q) * np.log(p / q)).sum())
    return max(0.0, found - (int(used.sum()) - 1) * (1 / n + 1 / m))


def jensen_shannon(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """Distance from 0 (equal) to 1 (nothing in common), less the bias of small samples."""
    n, m = int(one.sum()), int(other.sum())
    if not n or not m:
        return 0.0
    p, q = one / n, other / m
    half = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log2(p / half), 0).sum()
        right = np.where(q > 0, q * np.log2(q / half), 0).sum()
    used = int(((one + other) > 0).sum())
    bias = (used - 1) * (1 / n + 1 / m) / (8 * math.log(2))
    return math.sqrt(max(0.0, float(left + right) / 2 - bias))


def false_discovery(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Benjamini-Hochberg adjusted p-values (1995). Where nothing differs, any at or below q has
    probability q."""
    count = len(p_values)
    if not count:
        return p_values
    order = np.argsort(p_values)
    ranked = p_values[order] * count / np.arange(1, count + 1)
    adjusted: npt.NDArray[np.float64] = np.empty(count, np.float64)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(ranked[::-1])[::-1])
    return adjusted


def poisson_tail(count: int, expected: float) -> float:
    """P(Poisson(expected) >= count)."""
    if count <= 0:
        return 1.0
    if expected <= 0:
        return 0.0
    return max(0.0, 1 - chi_square_tail(2 * expected, 2 * count))
