"""The monitors of a served model, looked through once a second behind the answers.

They are made of the first traffic of outside callers, calibrated by the honest among them, and
move nobody before that. What they learnt is kept: a restart goes on with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.app.servingcover import Cover
from sealwright.app.servinghealth import PAST_KEPT, PAST_LOST, Health
from sealwright.app.servingladder import Climber
from sealwright.app.servingsample import ROWS, Learnt, Sample, Shelf
from sealwright.core.digest import Digest, of_bytes
from sealwright.serve.arrays import packed, unpacked
from sealwright.serve.calibrate import METHOD, PRINCIPALS
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Answer, Caller, Fidelity
from sealwright.serve.linking import Link
from sealwright.serve.monitors.drift import Shift
from sealwright.serve.monitors.interface import Sight
from sealwright.serve.monitors.panel import Panel
from sealwright.serve.pasts import NOWHERE, Changed, Kind, Measure, Pasts, Piece
from sealwright.serve.sketches import Sketches
from sealwright.serve.watcher import TAUGHT, Heard, Watcher

EVERY_S = 1.0
LINKED_EVERY = 60
"""Rounds between two comparisons of everybody with everybody."""
CALIBRATED_AT = (PRINCIPALS, 100, TAUGHT)
"""Honest principals at whom thresholds are set, and set anew."""

Say = Callable[[str], None]
Drifted = Callable[[tuple[Shift, ...]], Any]
Acquaint = Callable[[tuple[Link, ...]], Awaitable[None]]


class Monitors:
    """The observer (``serve.oip_mount.Observer``) of a model that is watched."""

    def __init__(
        self,
        cover: Cover,
        shelf: Shelf,
        climber: Climber,
        group: Callable[[str], str],
        drifted: Drifted,
        say: Say,
        acquaint: Acquaint | None = None,
        secret: bytes = b"",
        pasts: Pasts = NOWHERE,
    ) -> None:
        """``acquaint`` is told who shares rare queries; ``secret`` (32 bytes) draws the frames.

        ``pasts`` is where what is heard of callers outlives this process.
        """
        self._cover, self._shelf, self._climber = cover, shelf, climber
        self.cells = cover.cells
        self._acquaint, self._secret = acquaint, secret
        self._sketches: Sketches | None = None
        self._rounds = 0
        self._group, self._drifted, self._say = group, drifted, say
        self._looking, self._pasts = threading.Lock(), pasts
        self._changed = Changed("sample")
        self._sampled = self._unseen = 0
        self._made_by: Digest = ""
        self._levelled, self._sketched = Measure(), Measure()
        self._remembering = Health(say, PAST_LOST, PAST_KEPT)
        self._sample = Sample()
        self._watcher: Watcher | None = None
        self._joined = list[tuple[str, str]]()
        self._tried = self._heard = 0
        self._health = Health(say, "monitors", "monitors: they watch again")
        climber.cleared = self._clear
        self._learnt = shelf.read()
        kept = self._learnt.calibration if self._learnt else None
        self._odd = set(kept.left_out if kept else ())
        for piece in pasts.read("sample") if self._learnt is None else ():
            self._sample.recall(piece.body)

    @property
    def state(self) -> str:
        """In words."""
        if self._health.broken:
            return f"not watching: {self._health.broken}"
        if self._watcher is None:
            seen = f"{len(self._sample)} of {ROWS} rows of {self._sample.principals} callers"
            return f"not yet: {seen} were seen to make them of"
        known = self._watcher.calibration
        count = self._watcher.missed
        missed = f"; {count:,} rows were not looked at" if count else ""
        if known is None or not known.enforced:
            heard = f"{self._heard} of {PRINCIPALS} callers asked enough"
            return f"learning, nobody is moved: {heard}{missed}"
        return f"on, calibrated by {known.principals} callers{missed}"

    def behind(
        self, caller: Caller, inputs: npt.NDArray[Any], answer: Answer, fidelity: Fidelity
    ) -> None:
        """See ``serve.oip_mount.Observer``. Our own people are not watched."""
        if caller.internal or not answer.features.size:
            return
        if self._watcher is not None:
            self._watcher.behind(caller, inputs, answer)
        else:
            self._sample.add(caller.principal, Sight(inputs, answer.features, answer.scores))

    def joined(self, principal: str, group: str) -> None:
        """Who was alone is counted in ``group`` from now on."""
        self._joined.append((group, principal))

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.work()

    async def close(self) -> None:
        """Look through the last, and write what changed."""
        await self.work()
        await asyncio.to_thread(self._last)

    async def work(self) -> None:
        """Look through what was answered since; move whom it moves, each by a statement."""
        with self._health.round():
            async with self._climber.moving:
                heard = await asyncio.to_thread(self._look)
                enforced = self._watcher is not None and _enforced(self._watcher)
                await self._climber.step(heard, enforced)
            for shifts in self._watcher.shifts() if self._watcher else ():
                await self._drifted(shifts)
            await self._linked()

    async def _linked(self) -> None:
        """Once in a while: who shares with whom."""
        self._rounds += 1
        if self._sketches is None or self._acquaint is None or self._rounds % LINKED_EVERY:
            return
        await self._acquaint(await asyncio.to_thread(self._sketches.links))

    def _look(self) -> tuple[Heard, ...]:
        with self._looking:  # a round that was cancelled may still be at it
            heard = self._heard_since()
            self._remember()
            return heard

    def _last(self) -> None:
        with self._looking:
            self._remember(all_of=True)

    def _remember(self, *, all_of: bool = False) -> None:
        """Before anybody is moved by it. Where it cannot be written that is said, and goes on."""
        with self._remembering.round():
            if len(self._sample) != self._sampled:
                self._sampled = len(self._sample)
                self._changed.mark("sample")
            self._changed.write(
                self._pasts,
                lambda kind, name: Piece(kind, name, "", self._sample.piece()),
                all_of=all_of,
            )
            watcher = self._watcher
            if watcher is None:
                return
            made = {kind: self._measured(kind) for kind in watcher.changed.kinds}
            gone = watcher.changed.write(
                self._pasts,
                lambda kind, name: Piece(kind, name, made[kind], watcher.piece(kind, name)),
                all_of=all_of,
            )
            for kind, name in gone:
                watcher.forget(kind, name)

    def _measured(self, kind: Kind) -> Digest:
        """What a kind of piece is measured by: of anything else it means nothing."""
        if kind == "level":
            known = self._watcher.calibration if self._watcher else None
            return self._levelled(self._made_by, known)
        if kind == "sketch":
            return self._sketched(self._made_by, self._cover.frame, self._secret)
        return self._made_by

    def _recall(self, watcher: Watcher) -> None:
        """What an earlier server heard of callers."""
        for kind in watcher.changed.kinds:
            for piece in self._pasts.read(kind, self._measured(kind)):
                watcher.recall(kind, piece.name, piece.body)
        watcher.regroup()

    def _heard_since(self) -> tuple[Heard, ...]:
        if self._watcher is None:
            self._made()
        watcher = self._watcher
        if watcher is None:
            return ()
        joined, self._joined = self._joined, []
        for one, other in joined:
            watcher.join(one, other)
        heard = watcher.work()
        for who in list(watcher.failed)[self._unseen :]:
            self._say(f"monitors: rows of {who} cannot be looked at: {watcher.failed[who]}")
        self._unseen = len(watcher.failed)
        self._calibrate(watcher)
        return heard

    def _made(self) -> None:
        """The watcher, once there is enough to make it of."""
        frame: Frame | None = self._cover.frame
        if frame is None or (self._learnt is None and len(self._sample) < ROWS):
            return
        fresh = self._learnt is None
        learnt = self._learnt or self._sample.learnt()
        if fresh:
            self._sample = Sample()
            self._changed.mark("sample")
        reference = learnt.sight()
        panel = Panel(reference, reference.take(np.array(learnt.near)))
        if learnt.calibration and not learnt.calibration.fits(panel.channels):
            learnt = msgspec.structs.replace(learnt, calibration=None)
            self._say("monitors: they have changed since they were calibrated, and learn anew")
        usual = unpacked(learnt.usual) if learnt.calibration else None
        if self._acquaint is not None:
            self._sketches = Sketches(reference.features, frame, self._secret)
        self._watcher = Watcher(
            frame, panel, learnt.calibration, self._group, usual, self._sketches
        )
        self._learnt = learnt
        self._made_by = of_bytes(f"{learnt.digest} {METHOD} {' '.join(panel.channels)}".encode())
        if fresh:
            self._keep(learnt)
        self._recall(self._watcher)

    def _calibrate(self, watcher: Watcher) -> None:
        now = watcher.calibration.principals if watcher.calibration else 0
        wanted = next((count for count in CALIBRATED_AT if count > now), 0)
        heard = self._heard = watcher.heard_enough(self._honest) if wanted else 0
        if not wanted or heard < wanted or heard <= self._tried or self._learnt is None:
            return
        found = watcher.calibrate(self._honest)
        self._tried = found.principals
        self._odd |= set(found.left_out)
        usual = packed(watcher.usual)
        self._learnt = msgspec.structs.replace(self._learnt, calibration=found, usual=usual)
        self._keep(self._learnt)
        odd = f"; too strange to learn from: {', '.join(found.left_out)}" if found.left_out else ""
        self._say(f"monitors: calibrated by {found.principals} callers{odd}")

    def _honest(self, principal: str) -> bool:
        """Nothing speaks against them, nor did when thresholds were set before."""
        return principal not in self._odd and self._climber.benign(self._group(principal))

    def _keep(self, learnt: Learnt) -> None:
        if not self._shelf.write(learnt):
            self._say("monitors: what they learnt is too large to be kept over a restart")

    def _clear(self, group: str) -> None:
        if self._watcher is not None:
            self._watcher.clear(group)


def _enforced(watcher: Watcher) -> bool:
    return watcher.calibration is not None and watcher.calibration.enforced
