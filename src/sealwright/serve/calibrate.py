"""Thresholds from the deployment's own honest traffic.

Nothing is enforced before 50 honest principals were seen. Each channel gets an equal share of the
rate of false alarms (Bonferroni), by the tail of the honest principals' largest levels; then all
are moved together to the conformal bound (Vovk et al. 2005) on the largest level a principal
reaches in any channel. What is calibrated is a principal and all they ask, not a query.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from sealwright.core.errors import BadInput
from sealwright.serve.monitors.interface import Floats
from sealwright.serve.monitors.panel import Look
from sealwright.serve.monitors.surprise import Scale, levels

PRINCIPALS = 50
"""Honest principals below whom no monitor moves anybody up the ladder."""

RATE = 0.005
"""Share of honest principals that may ever be accused, over all channels."""

FROM_EACH = 40
"""Numbers a principal lends to the scales."""

SUSPECT_BITS = 10.0
"""Whose queries average more (1 in 1,000 of other people's, every time) teaches nothing."""

CEILING = 4.0
"""A level stops at so many thresholds: who was accused can come down again."""

MARGIN = 1.3
"""Above the conformal bound, since with few principals that is the largest level seen."""

FEWEST_BITS = 30.0
"""No threshold is lower: two odd queries are no attack."""

_TOP = 0.1
_ORDINARY = 0.95


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one channel is read. ``drift`` and ``threshold`` in bits."""

    name: str
    scale: Scale
    drift: float
    threshold: float


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was learnt of so many ``principals``; ``left_out`` were too strange to learn from."""

    channels: tuple[Channel, ...]
    principals: int
    left_out: tuple[str, ...] = ()

    @property
    def enforced(self) -> bool:
        """Enough honest principals to accuse anybody by."""
        return self.principals >= PRINCIPALS

    def bits(self, numbers: Floats) -> Floats:
        """(n, channels) of a panel's numbers."""
        sides = [one.scale.bits(numbers[:, at]) for at, one in enumerate(self.channels)]
        return np.stack(sides, axis=1)

    def levels(self, start: Floats, look: Look) -> Floats:
        """(n, channels) levels after each row, in thresholds: 1 accuses."""
        bounds = np.array([one.threshold for one in self.channels])
        steps = self.bits(look.numbers) - np.array([one.drift for one in self.channels])
        steps *= look.fresh[:, None]
        return levels(start * bounds, steps, CEILING * bounds) / bounds


def calibrated(names: Sequence[str], traces: dict[str, Look], rate: float = RATE) -> Calibration:
    """From every honest principal's numbers (n, channels), in the order they were asked.

    Raises: BadInput (nobody).
    """
    if not traces:
        raise BadInput("nobody to calibrate the monitors by", why="no principal has asked yet")
    odd = _suspects(len(names), traces)
    kept = {who: look for who, look in traces.items() if who not in odd}
    scales = _scales(len(names), list(kept.values()))
    drift = _drifts(scales, list(kept.values()))
    most = np.array([_largest(scales, drift, look) for look in kept.values()])
    bounds = np.array([_bound(most[:, at], rate / len(names)) for at in range(len(names))])
    bounds = bounds * (MARGIN * _conformal((most / bounds).max(axis=1), rate))
    bounds = np.maximum(bounds, FEWEST_BITS)
    channels = tuple(
        Channel(name, scales[at], float(drift[at]), float(bounds[at]))
        for at, name in enumerate(names)
    )
    return Calibration(channels, len(kept), odd)


def _suspects(width: int, traces: dict[str, Look]) -> tuple[str, ...]:
    """Whom the less strange 95 % find too strange, by name."""
    rough = _scales(width, list(traces.values()))
    by_mean = sorted(traces, key=lambda who: float(_means(rough, traces[who]).max()))
    ordinary = by_mean[: math.ceil(_ORDINARY * len(by_mean))]
    scales = _scales(width, [traces[who] for who in ordinary])
    return tuple(sorted(who for who in by_mean if _means(scales, traces[who]).max() > SUSPECT_BITS))


def _scales(width: int, traces: Sequence[Look]) -> list[Scale]:
    def some(look: Look, at: int) -> Floats:
        numbers = look.numbers[:, at]
        found = numbers[np.isfinite(numbers) & (look.fresh > 0)]
        return found[:: max(1, len(found) // FROM_EACH)]

    return [Scale.of(np.concatenate([some(look, at) for look in traces])) for at in range(width)]


def _bits(scales: Sequence[Scale], look: Look) -> Floats:
    sides = [scale.bits(look.numbers[:, at]) for at, scale in enumerate(scales)]
    return np.stack(sides, axis=1)


def _means(scales: Sequence[Scale], look: Look) -> Floats:
    """(channels,) bits a fresh row, drawn to 1.44 by 20 rows: what chance alone would show."""
    ordinary, weight = 1 / math.log(2), 20
    summed = (_bits(scales, look) * look.fresh[:, None]).sum(axis=0)
    return np.asarray((summed + weight * ordinary) / (look.fresh.sum() + weight))


def _drifts(scales: Sequence[Scale], traces: Sequence[Look]) -> Floats:
    """The mean of the strangest honest principal, and a tenth of a bit."""
    means = [_means(scales, look) for look in traces]
    return np.maximum(np.max(means, axis=0), 1 / math.log(2)) + 0.1


def _largest(scales: Sequence[Scale], drift: Floats, look: Look) -> Floats:
    steps = (_bits(scales, look) - drift) * look.fresh[:, None]
    most = levels(np.zeros(len(drift)), steps, np.full(len(drift), np.inf))
    return np.asarray(most.max(axis=0, initial=0.0))


def _bound(most: Floats, rate: float) -> float:
    """The level that a share ``rate`` exceeds, by an exponential tail over the largest tenth."""
    ordered = np.sort(most)
    top = max(2, math.ceil(_TOP * len(ordered)))
    if len(ordered) <= top:
        return max(FEWEST_BITS, 2 * float(ordered[-1]))
    start = float(ordered[-top - 1])
    slope = float((ordered[-top:] - start).mean())
    beyond = start + slope * max(0.0, math.log(top / len(ordered) / rate))
    return max(FEWEST_BITS, beyond)


def _conformal(worst: Floats, rate: float) -> float:
    """The conformal quantile; the largest seen where there are too few for it."""
    ordered = np.sort(worst)
    rank = math.ceil((len(ordered) + 1) * (1 - rate))
    return float(ordered[min(rank, len(ordered)) - 1])
