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

METHOD = 2
PRINCIPALS = 50
"""Honest principals below whom no monitor moves anybody up the ladder."""

RATE = 0.005
"""Share of honest principals that may ever be accused, over all channels."""

FROM_EACH = 40
"""Numbers a principal lends to the scales."""

SUSPECT_BITS = 10.0
"""Whose queries average more (1 in 1,000 of other people's, every time) teaches nothing."""

ORDINARY_BITS = 5.0
"""What one in 32 honest queries shows adds to no level: a few very odd ones among ordinary ones
count for more than many that are a little odd. Chosen on calibration users alone."""

CEILING = 4.0
"""A level stops at so many thresholds: who was accused can come down again."""

MARGIN = 1.3
"""Above the conformal bound, since with few principals that is the largest level seen."""

FEWEST_BITS = 30.0
"""No threshold is lower: two odd queries are no attack."""

_SLACK_BITS = 0.03
_TOP = 0.1
_ORDINARY = 0.95


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one channel is read. ``drift`` and ``threshold`` in bits."""

    name: str
    scale: Scale
    drift: float
    threshold: float


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was learnt of so many ``principals``; ``left_out`` were too strange to learn from.

    ``method``: of another one than :data:`METHOD`, levels would mean something else.
    """

    channels: tuple[Channel, ...]
    principals: int
    left_out: tuple[str, ...] = ()
    method: int = 1

    def fits(self, names: Sequence[str]) -> bool:
        """Whether it was made in this way, of channels of these names."""
        return self.method == METHOD and tuple(one.name for one in self.channels) == tuple(names)

    @property
    def enforced(self) -> bool:
        """Enough honest principals to accuse anybody by."""
        return self.principals >= PRINCIPALS

    def bits(self, numbers: Floats) -> Floats:
        """(n, channels) of a panel's numbers, above the ordinary."""
        return _above([one.scale for one in self.channels], numbers)

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
    return Calibration(channels, len(kept), odd, METHOD)


def _suspects(width: int, traces: dict[str, Look]) -> tuple[str, ...]:
    """Whom the less strange 95 % find too strange, by name."""
    rough = _scales(width, list(traces.values()))
    by_mean = sorted(traces, key=lambda who: _strangeness(rough, traces[who]))
    ordinary = by_mean[: math.ceil(_ORDINARY * len(by_mean))]
    scales = _scales(width, [traces[who] for who in ordinary])
    odd = (who for who in by_mean if _strangeness(scales, traces[who]) > SUSPECT_BITS)
    return tuple(sorted(odd))


def _scales(width: int, traces: Sequence[Look]) -> list[Scale]:
    def some(look: Look, at: int) -> Floats:
        numbers = look.numbers[:, at]
        found = numbers[np.isfinite(numbers) & (look.fresh > 0)]
        return found[:: max(1, len(found) // FROM_EACH)]

    return [Scale.of(np.concatenate([some(look, at) for look in traces])) for at in range(width)]


def _bits(scales: Sequence[Scale], numbers: Floats) -> Floats:
    return np.stack([scale.bits(numbers[:, at]) for at, scale in enumerate(scales)], axis=1)


def _above(scales: Sequence[Scale], numbers: Floats) -> Floats:
    return np.maximum(_bits(scales, numbers) - ORDINARY_BITS, 0.0)


def _means(bits: Floats, fresh: Floats, chance: float) -> Floats:
    """(channels,) a fresh row, drawn by 20 rows to what chance alone would show."""
    weight = 20
    summed = (bits * fresh[:, None]).sum(axis=0)
    return np.asarray((summed + weight * chance) / (fresh.sum() + weight))


def _strangeness(scales: Sequence[Scale], look: Look) -> float:
    """The mean bits of a principal's strangest channel."""
    bits = _bits(scales, look.numbers)
    return float(_means(bits, look.fresh, 1 / math.log(2)).max())


def _drifts(scales: Sequence[Scale], traces: Sequence[Look]) -> Floats:
    """The mean above the ordinary of the strangest honest principal, and a little more."""
    chance = 2**-ORDINARY_BITS / math.log(2)
    means = [_means(_above(scales, look.numbers), look.fresh, chance) for look in traces]
    return np.maximum(np.max(means, axis=0), chance) + _SLACK_BITS


def _largest(scales: Sequence[Scale], drift: Floats, look: Look) -> Floats:
    steps = (_above(scales, look.numbers) - drift) * look.fresh[:, None]
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
