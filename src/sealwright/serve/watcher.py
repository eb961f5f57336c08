"""Watching behind the answers: rows are put by at once and looked at later, group by group.

It answers ``oip_mount.Observer``. What it hears goes to :func:`~sealwright.serve.ladder.step`; it
moves nobody itself. Before it is calibrated it only remembers, so that it can be.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.serve.arrays import Array, packed, unpacked
from sealwright.serve.calibrate import Calibration, calibrated
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Answer, Caller
from sealwright.serve.ladder import Signal
from sealwright.serve.monitors import drift
from sealwright.serve.monitors.interface import Floats, Sight
from sealwright.serve.monitors.panel import Look, Memory, Panel
from sealwright.serve.pasts import Changed, Kind
from sealwright.serve.sketches import Sketches

WAITING = 10_000
"""Rows put by, at most; beyond them the oldest are not looked at, and that is counted."""

UNSEEN = 100
"""Callers of whom it is told that their rows cannot be looked at."""

TRACED = 1_500
"""Rows of a principal that calibrate."""

FEWEST = 50
"""Rows below which a principal calibrates nothing."""

PRINCIPALS = 2_000

TAUGHT = 200
"""Honest principals after whom nothing more is learnt: a conformal bound of 0.5 % needs them."""


class Heard(msgspec.Struct, frozen=True):
    """What the monitors say of a group after some rows: each channel's level, and how many bits
    beyond the ordinary the rows had, at most one channel's each."""

    group: str
    rows: int
    signals: tuple[Signal, ...]
    anomaly_mbits: int


class Watcher:
    """One model's. ``group`` says which link group a principal is in now.

    ``usual`` (m, channels) are the numbers that a calibration was made of: drift is judged by them.
    :meth:`behind` may be called while :meth:`work` runs in another thread; nothing else may.
    """

    def __init__(
        self,
        frame: Frame,
        panel: Panel,
        calibration: Calibration | None = None,
        group: Callable[[str], str] = lambda principal: principal,
        usual: Floats | None = None,
        sketches: Sketches | None = None,
    ) -> None:
        self._frame, self._panel, self._group = frame, panel, group
        self.calibration = calibration
        self._sketches = sketches
        self.usual = np.zeros((0, len(panel.channels))) if usual is None else usual
        self.missed = 0
        self.failed = dict[str, str]()
        """Whose rows could not be looked at, and why; of the first hundred."""
        self._lock = threading.Lock()
        self._shifts = list[tuple[drift.Shift, ...]]()
        # A channel about a group's own past moves with how long the group has been there.
        self._plain = [*range(len(panel.monitors)), panel.channels.index("margin")]
        self._traffic = self._fresh_traffic()
        self._waiting = deque[tuple[str, Sight]]()
        self._held = 0
        self._memories = dict[str, Memory]()
        self._levels = dict[str, Floats]()
        self._traces = dict[str, list[Look]]()
        self.changed = Changed("level", "memory", "trace", "sketch")

    def cells(self, features: npt.NDArray[Any]) -> Sequence[int]:
        """The cells that rows of features (n, d) touch."""
        return self._frame.cells(features)

    def behind(self, caller: Caller, inputs: npt.NDArray[Any], answer: Answer) -> None:
        """Put rows by; our own people are not watched."""
        if caller.internal or not len(answer.features):
            return
        sight = Sight(inputs, answer.features, answer.scores)
        with self._lock:
            self._waiting.append((caller.principal, sight))
            self._held += len(sight)
            while self._held > WAITING and len(self._waiting) > 1:
                _, oldest = self._waiting.popleft()
                self._held -= len(oldest)
                self.missed += len(oldest)

    def work(self) -> tuple[Heard, ...]:
        """Look at everything that waits, in order; one answer for each group that asked."""
        heard = dict[str, Heard]()
        with self._lock:
            waiting, self._waiting, self._held = self._waiting, deque(), 0
        for principal, sight in waiting:
            try:
                one = self._look(principal, sight)
            except Exception as error:  # hostile rows: they hide nobody else's
                self.missed += len(sight)
                if len(self.failed) < UNSEEN:
                    self.failed.setdefault(principal, f"{type(error).__name__}: {error}"[:200])
                continue
            before = heard.get(one.group)
            more = before.anomaly_mbits if before else 0
            rows = one.rows + (before.rows if before else 0)
            heard[one.group] = Heard(one.group, rows, one.signals, one.anomaly_mbits + more)
        return tuple(heard.values())

    def _look(self, principal: str, sight: Sight) -> Heard:
        group = self._group(principal)
        memory = self._memories.get(group) or self._panel.blank()
        look, self._memories[group] = self._panel.look(sight, memory)
        self.changed.mark("memory", group)
        self._trace(principal, look)
        if self._sketches is not None:
            self._sketches.add(principal, sight.features)
            self.changed.mark("sketch", principal)
        if self._traffic is not None:
            moved = self._traffic.add(principal, look.numbers[:, self._plain])
            if moved:
                self._shifts.append(moved)
        if self.calibration is None:
            return Heard(group, len(sight), (), 0)
        known = self.calibration.channels
        start = self._levels.get(group, np.zeros(len(known)))
        after = self.calibration.levels(start, look)[-1]
        self._levels[group] = after
        self.changed.mark("level", group)
        signals = tuple(
            Signal(one.name, round(1000 * level))
            for one, level in zip(known, after.tolist(), strict=True)
        )
        drift = np.array([one.drift for one in known])
        beyond = (self.calibration.bits(look.numbers) - drift) * look.fresh[:, None]
        bits = float(np.maximum(beyond, 0).max(axis=1).sum())
        return Heard(group, len(sight), signals, round(1000 * bits))

    def shifts(self) -> tuple[tuple[drift.Shift, ...], ...]:
        """The windows of the whole traffic that drifted, since this was asked last."""
        told, self._shifts = tuple(self._shifts), []
        return told

    def _fresh_traffic(self) -> drift.Traffic | None:
        if not len(self.usual):
            return None
        names = [self._panel.channels[at] for at in self._plain]
        return drift.Traffic(names, self.usual[:, self._plain])

    def _trace(self, principal: str, look: Look) -> None:
        if self.calibration is not None and self.calibration.principals >= TAUGHT:
            return
        if principal not in self._traces and len(self._traces) >= PRINCIPALS:
            return
        kept = self._traces.setdefault(principal, [])
        if sum(len(one.fresh) for one in kept) < TRACED:
            kept.append(look)
            self.changed.mark("trace", principal)

    def heard_enough(self, honest: Callable[[str], bool] = lambda principal: True) -> int:
        """How many whom ``honest`` lets in asked 50 rows or more."""
        return sum(
            sum(len(one.fresh) for one in looks) >= FEWEST and honest(who)
            for who, looks in self._traces.items()
        )

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
        kept = [look for who, look in enough.items() if who not in self.calibration.left_out]
        self.usual = np.concatenate([look.numbers[: drift.FROM_EACH] for look in kept])
        self._traffic = self._fresh_traffic()
        if self.calibration.principals >= TAUGHT:
            for who in self._traces:
                self.changed.mark("trace", who)
            self._traces.clear()
        return self.calibration

    def join(self, one: str, other: str) -> None:
        """``other`` is ``one`` from now on: the higher levels, half of each memory."""
        if (memory := self._memories.pop(other, None)) is not None:
            held = self._memories.get(one)
            self._memories[one] = held.joined(memory) if held else memory
            self.changed.mark("memory", one)
            self.changed.mark("memory", other)
        if (level := self._levels.pop(other, None)) is not None:
            self._levels[one] = np.maximum(level, self._levels.get(one, level))
            self.changed.mark("level", one)
            self.changed.mark("level", other)

    def clear(self, group: str) -> None:
        """After an appeal: the levels begin at nothing."""
        if self._levels.pop(group, None) is not None:
            self.changed.mark("level", group)

    def piece(self, kind: Kind, name: str) -> bytes:
        """What is remembered of one, as :meth:`recall` takes it; empty where there is nothing."""
        if kind == "sketch" and self._sketches is not None:
            return self._sketches.piece(name)
        parts: tuple[Floats, ...] = ()
        if kind == "level" and (level := self._levels.get(name)) is not None:
            parts = (level,)
        elif kind == "memory" and (memory := self._memories.get(name)) is not None:
            parts = (memory.points, memory.pixels, memory.numbers)
        elif kind == "trace" and (looks := self._traces.get(name)):
            parts = tuple(np.concatenate(side) for side in zip(*looks, strict=True))
        return msgspec.msgpack.encode([packed(one) for one in parts]) if parts else b""

    def recall(self, kind: Kind, name: str, body: bytes) -> None:
        """What an earlier watcher, made of the same, remembered of one."""
        if kind == "sketch":
            if self._sketches is not None:
                self._sketches.recall(name, body)
            return
        parts = [unpacked(one) for one in msgspec.msgpack.decode(body, type=list[Array])]
        if kind == "level":
            (self._levels[name],) = parts
        elif kind == "memory":
            self._memories[name] = Memory(*parts)
        elif self.calibration is None or self.calibration.principals < TAUGHT:
            self._traces[name] = [Look(*parts)]

    def regroup(self) -> None:
        """Who was counted in another group while nobody looked."""
        for name in [*self._memories, *(self._levels.keys() - self._memories.keys())]:
            if (group := self._group(name)) != name:
                self.join(group, name)

    def forget(self, kind: Kind, name: str) -> None:
        """Who has not come for long."""
        if kind == "sketch" and self._sketches is not None:
            self._sketches.forget(name)
        held: dict[Kind, dict[str, Any]] = {
            "level": self._levels,
            "memory": self._memories,
            "trace": self._traces,
        }
        held.get(kind, {}).pop(name, None)
