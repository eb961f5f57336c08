"""All monitors of one model, and the small state each group has with them.

A monitor speaks twice: absolutely, and against the group's own running median. The first catches
who asks nothing but strange things, the second who mixes them into an ordinary stream.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.serve.monitors import own
from sealwright.serve.monitors.combination import Combination
from sealwright.serve.monitors.fluency import Fluency, Order, Spelling
from sealwright.serve.monitors.interface import Floats, Monitor, Sight
from sealwright.serve.monitors.novelty import Likeness, Novelty, Whitened
from sealwright.serve.monitors.own import PIXELS, REMEMBERED, WINDOW
from sealwright.serve.monitors.roughness import Roughness, grey, is_pictures


class Memory(msgspec.Struct, frozen=True):
    """What a group asked last: whitened ``points`` (m, k), ``pixels`` (m, p) of its pictures, the
    monitors' ``numbers`` (w, c)."""

    points: Floats
    pixels: Floats
    numbers: Floats

    def joined(self, other: Memory) -> Memory:
        """Of two groups that are one: the last half of each."""
        half, part = REMEMBERED // 2, WINDOW // 2
        return Memory(
            np.concatenate([self.points[-half:], other.points[-half:]]),
            np.concatenate([self.pixels[-half:], other.pixels[-half:]]),
            np.concatenate([self.numbers[-part:], other.numbers[-part:]]),
        )


class Look(NamedTuple):
    """``numbers`` (n, channels), NaN where none can be told; ``fresh`` (n,) from 0, a row that the
    group has asked before, to 1, one as far from its past as rows of honest traffic are apart."""

    numbers: Floats
    fresh: Floats


class Panel:
    """The monitors that fit a model's inputs, made of reference rows."""

    def __init__(self, reference: Sight, near: Sight | None = None) -> None:
        """``near``: the rows that distances are measured to, few from each principal."""
        near = reference if near is None else near
        self.space = Whitened(near.features)
        self.monitors: dict[str, Monitor] = {"novelty": Novelty(self.space, near.features)}
        self.monitors |= _of_inputs(reference.inputs, near.inputs)
        self._typical = float(np.median(self.monitors["novelty"].look(near)))
        self.pictures = is_pictures(reference.inputs)
        seen = grey(reference.inputs) if self.pictures else np.zeros(1)
        self._low, self._high = float(seen.min()), float(seen.max())
        names = list(self.monitors)
        steps = ("step", "straight") if self.pictures else ()
        habits = tuple(f"own-{name}" for name in names)
        self.channels: tuple[str, ...] = (*names, *habits, "past", "margin", *steps)

    def blank(self) -> Memory:
        """Of a group that never asked."""
        width = len(self.space.basis), PIXELS, len(self.monitors)
        points, pixels, numbers = (np.zeros((0, one)) for one in width)
        return Memory(points, pixels, numbers)

    def look(self, sight: Sight, memory: Memory) -> tuple[Look, Memory]:
        """What the monitors say, and what is remembered then."""
        points = self.space.points(sight.features)
        numbers = np.stack([one.look(sight) for one in self.monitors.values()], axis=1)
        apart = own.distance(memory.points, points)
        fresh = np.nan_to_num(np.clip(np.exp(apart - self._typical), 0, 1), nan=1.0)
        sides = [numbers, own.habit(memory.numbers, numbers), apart[:, None]]
        sides.append(margin(sight.scores)[:, None])
        seen = memory.pixels
        if self.pictures:
            pixels = own.pixels(sight.inputs, self._low, self._high)
            seen = seen if len(seen) else np.zeros((0, pixels.shape[1]))
            sides.append(own.evenness(seen, pixels)[:, None])
            sides.append(own.straightness(seen, pixels)[:, None])
            seen = np.concatenate([seen, pixels])[-REMEMBERED:]
        points = np.concatenate([memory.points, points])[-REMEMBERED:]
        after = Memory(points, seen, np.concatenate([memory.numbers, numbers])[-WINDOW:])
        return Look(np.concatenate(sides, axis=1), fresh), after


def _of_inputs(inputs: npt.NDArray[Any], near: npt.NDArray[Any]) -> dict[str, Monitor]:
    if inputs.ndim == 1:
        fluency = Fluency(inputs)
        return {"fluency": fluency, "order": Order(fluency), "spelling": Spelling(inputs)}
    if is_pictures(inputs):
        return {"roughness": Roughness(inputs), "likeness": Likeness(near)}
    return {"combination": Combination(inputs)}


def margin(scores: npt.NDArray[Any]) -> Floats:
    """(n,): how near a row is to another answer; NaN where there is one value only."""
    rows = np.asarray(scores, np.float64)
    if rows.ndim != 2 or rows.shape[1] < 2:
        return np.full(len(rows), np.nan)
    top = np.partition(rows, -2, axis=1)
    return np.asarray(-np.log(np.maximum(top[:, -1] - top[:, -2], 0) + 1e-4))
