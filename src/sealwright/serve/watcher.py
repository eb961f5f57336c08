"""Watching behind the answers: rows are put by at once and looked at later, group by group.

It answers ``oip_mount.Observer``. What it hears goes to :func:`~sealwright.serve.ladder.step`; it
moves nobody itself. Before it is calibrated it only remembers, so that it can be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.serve.calibrate import Calibration, calibrated
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Answer, Caller
from sealwright.serve.ladder import Signal
from sealwright.serve.monitors.interface import Floats, Sight
from sealwright.serve.monitors.panel import Look, Memory, Panel

WAITING = 10_000
"""Rows put by, at most; beyond them the oldest are not looked at, and that is counted."""

TRACED = 1_500
"""Rows of a principal that calibrate."""

FEWEST = 50
"""Rows below which a principal calibrates nothing."""

PRINCIPALS = 2_000


class Heard(msgspec.Struct, frozen=True):
    """What the monitors say of a group after some rows: each channel's level, and how many bits
    beyond the ordinary the rows had, at most one channel's each."""

    group: str
    rows: int
    signals: tuple[Signal, ...]
    anomaly_mbits: int


class Watcher:
    """One model's. ``group`` says which link group a principal is in now."""

    def __init__(
        self,
        frame: Frame,
        panel: Panel,
        calibration: Calibration | None = None,
        group: Callable[[str], str] = lambda principal: principal,
    ) -> None:
        self._frame, self._panel, self._group = frame, panel, group
        self.calibration = calibration
        self.missed = 0
        self._waiting = deque[tuple[str, Sight]]()
        self._held = 0
        self._memories = dict[str, Memory]()
        self._levels = dict[str, Floats]()
        self._traces = dict[str, list[Look]]()

    def cells(self, features: npt.NDArray[Any]) -> Sequence[int]:
        """The cells that rows of features (n, d) touch."""
        return self._frame.cells(features)

    def behind(self, caller: Caller, inputs: npt.NDArray[Any], answer: Answer) -> None:
        """Put rows by; our own people are not watched."""
        if caller.internal or not len(answer.features):
            return
        sight = Sight(inputs, answer.features, answer.scores)
        self._waiting.append((caller.principal, sight))
        self._held += len(sight)
        while self._held > WAITING and len(self._waiting) > 1:
            _, oldest = self._waiting.popleft()
            self._held -= len(oldest)
            self.missed += len(oldest)

    def work(self) -> tuple[Heard, ...]:
        """Look at everything that waits, in order; one answer for each group that asked."""
        heard = dict[str, Heard]()
        while self._waiting:
            principal, sight = self._waiting.popleft()
            self._held -= len(sight)
            one = self._look(principal, sight)
            before = heard.get(one.group)
            more = before.anomaly_mbits if before else 0
            rows = one.rows + (before.rows if before else 0)
            heard[one.group] = Heard(one.group, rows, one.signals, one.anomaly_mbits + more)
        return tuple(heard.values())

    def _look(self, principal: str, sight: Sight) -> Heard:
        group = self._group(principal)
        memory = self._memories.get(group) or self._panel.blank()
        look, self._memories[group] = self._panel.look(sight, memory)
        self._trace(principal, look)
        if self.calibration is None:
            return Heard(group, len(sight), (), 0)
        known = self.calibration.channels
        start = self._levels.get(group, np.zeros(len(known)))
        after = self.calibration.levels(start, look)[-1]
        self._levels[group] = after
        signals = tuple(
            Signal(one.name, round(1000 * level))
            for one, level in zip(known, after.tolist(), strict=True)
        )
        drift = np.array([one.drift for one in known])
        beyond = (self.calibration.bits(look.numbers) - drift) * look.fresh[:, None]
        bits = float(np.maximum(beyond, 0).max(axis=1).sum())
        return Heard(group, len(sight), signals, round(1000 * bits))

    def _trace(self, principal: str, look: Look) -> None:
        if principal not in self._traces and len(self._traces) >= PRINCIPALS:
            return
        kept = self._traces.setdefault(principal, [])
        if sum(len(one.fresh) for one in kept) < TRACED:
            kept.append(look)

    def calibrate(self, honest: Callable[[str], bool] = lambda principal: True) -> Calibration:
        """From everybody with 50 rows or more whom ``honest`` lets in; levels begin anew.

        Raises: BadInput (nobody).
        """
        traces = {
            who: Look(
                np.concatenate([one.numbers for one in looks]),
                np.concatenate([one.fresh for one in looks]),
            )
            for who, looks in self._traces.items()
            if honest(who)
        }
        enough = {who: look for who, look in traces.items() if len(look.fresh) >= FEWEST}
        self.calibration = calibrated(self._panel.channels, enough)
        self._levels.clear()
        return self.calibration

    def join(self, one: str, other: str) -> None:
        """``other`` is ``one`` from now on: the higher levels, half of each memory."""
        if (memory := self._memories.pop(other, None)) is not None:
            held = self._memories.get(one)
            self._memories[one] = held.joined(memory) if held else memory
        if (level := self._levels.pop(other, None)) is not None:
            self._levels[one] = np.maximum(level, self._levels.get(one, level))

    def clear(self, group: str) -> None:
        """After an appeal: the levels begin at nothing."""
        self._levels.pop(group, None)
