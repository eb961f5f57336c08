"""Steps of walks are charged behind the answer, and what callers touch is remembered for a pace.

A step is found up to a second after it was answered, and its cells are touched then, whatever the
cap: from there on the group has less room, or none.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.app.servingcover import Cover
from sealwright.app.servinghealth import PAST_KEPT, PAST_LOST, Health
from sealwright.core.digest import Digest
from sealwright.core.errors import Refused
from sealwright.serve.arrays import Array, packed, unpacked
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Allowance, Answer, Ask, Balance, Caller, Fidelity, Ledger
from sealwright.serve.oip_mount import Observer
from sealwright.serve.paces import Paces
from sealwright.serve.pasts import NOWHERE, Changed, Kind, Measure, Pasts, Piece
from sealwright.serve.walks import Past, Ruler, Walks

EVERY_S = 1.0
REFERENCE = 500
"""Rows of traffic from which it is learnt which columns are numbers."""

WAITING = 10_000
"""Rows put by, at most; beyond them the oldest are not looked at, and that is counted."""

GROUPS = 500
"""Of whom the last rows are remembered; beyond them who asked longest ago is forgotten."""

_RATE = 1_000_000
_Row = tuple[str, npt.NDArray[Any], Answer, Sequence[int]]


class Walking:
    """An observer (``serve.oip_mount.Observer``) that charges, beside the one that watches.

    ``group`` says whom a principal is counted with. Where nothing caps cells no walk is looked
    for: ``charging``.
    """

    def __init__(
        self,
        inner: Observer,
        cover: Cover,
        ledger: Ledger,
        ref: str,
        group: Callable[[str], str],
        now_ms: Callable[[], int],
        say: Callable[[str], None],
        row_mbits: int,
        *,
        charging: bool,
        pasts: Pasts = NOWHERE,
    ) -> None:
        """``pasts`` is where what is remembered of callers outlives this process."""
        self._charging, self._pasts_kept = charging, pasts
        self._inner, self._cover, self._ledger, self._ref = inner, cover, ledger, ref
        self._group, self._now_ms = group, now_ms
        self._lock = threading.Lock()
        self._waiting = deque[_Row]()
        self._held = self.missed = self.steps = 0
        self._walks: Walks | None = None
        self._first = list[npt.NDArray[Any]]()
        self._pasts: OrderedDict[str, Past] = OrderedDict()
        self._due = dict[str, set[int]]()
        self._health = Health(say, "walks are not charged", "walks are charged again")
        self._remembering = Health(say, PAST_LOST, PAST_KEPT)
        self._say, self._unseen = say, False
        self._looking = threading.Lock()
        self._joined = list[tuple[str, str]]()
        self._changed = Changed("due", "walk", "pace", "unruled", "ruler")
        self._framed, self._ruled = Measure(), Measure()
        self.paces = Paces(row_mbits)
        self._touched: tuple[npt.NDArray[Any] | None, Sequence[int]] = (None, ())
        self._recall()

    @property
    def state(self) -> str:
        """In words."""
        if self._health.broken:
            return f"walks are not charged: {self._health.broken}"
        if not self._charging:
            return ""
        missed = f"; {self.missed:,} rows were not looked at" if self.missed else ""
        if self._walks is None:
            return f"walks are not looked for yet{missed}"
        return f"{self.steps:,} steps of walks charged{missed}"

    def cells(self, features: npt.NDArray[Any]) -> Sequence[int]:
        """See ``serve.oip_mount.Observer``."""
        cells = self._inner.cells(features)
        self._touched = features, cells
        return cells

    def behind(
        self, caller: Caller, inputs: npt.NDArray[Any], answer: Answer, fidelity: Fidelity
    ) -> None:
        """See ``serve.oip_mount.Observer``. Our own people are not charged for steps."""
        self._inner.behind(caller, inputs, answer, fidelity)
        if caller.internal or not len(answer.features):
            return
        features, cells = self._touched
        self._touched = (None, ())
        known = cells if features is answer.features else ()
        with self._lock:
            self._waiting.append((caller.principal, inputs, answer, known))
            self._held += len(inputs)
            while self._held > WAITING and len(self._waiting) > 1:
                lost = len(self._waiting.popleft()[1])
                self._held -= lost
                self.missed += lost

    async def run(self) -> None:
        """Look and charge until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.work()

    async def close(self) -> None:
        """Look through the last, charge it, and write what changed."""
        await self.work()
        await asyncio.to_thread(self._last)

    async def work(self) -> None:
        """Look through what was answered since, and charge what it owes."""
        with self._health.round():
            await asyncio.to_thread(self._look)
            await self._charge()

    def joined(self, principal: str, group: str) -> None:
        """Who was alone is counted in ``group`` from now on."""
        self._joined.append((principal, group))

    def _look(self) -> None:
        with self._looking:  # a round that was cancelled may still be at it
            self._look_since()
            self._remember()

    def _last(self) -> None:
        with self._looking:
            self._remember(all_of=True)

    def _look_since(self) -> None:
        joined, self._joined = self._joined, []
        for principal, joins in joined:
            self._join(principal, joins)
        with self._lock:
            waiting, self._waiting, self._held = self._waiting, deque(), 0
        frame = self._cover.frame
        for row in waiting:
            try:
                self._one(row, frame)
            except Exception as error:  # hostile rows: they hide nobody else's
                self.missed += len(row[1])
                if not self._unseen:
                    self._say(f"walks: rows of {row[0]} cannot be looked at: {error!r:.200}")
                self._unseen = True

    def _one(self, row: _Row, frame: Frame | None) -> None:
        principal, inputs, answer, known = row
        scores = np.asarray(answer.scores).reshape(len(inputs), -1)
        steps = self._steps(principal, inputs, scores.argmax(1))
        if frame is not None:
            # an answer of before there was a frame was given without its cells
            cells = known or frame.cells(answer.features)
            touched = [(cell, *more) for cell, more in zip(cells, steps, strict=True)]
            self.paces.add(principal, touched)
            self._changed.mark("pace", principal)

    def _steps(
        self, principal: str, inputs: npt.NDArray[Any], labels: npt.NDArray[np.int64]
    ) -> Sequence[tuple[int, ...]]:
        """The cells of each row that is a step; they are due from then on."""
        walks = (self._walks or self._made(inputs)) if self._charging else None
        if walks is None:
            return [()] * len(labels)
        group = self._group(principal)
        past = self._pasts.pop(group, None) or walks.blank()
        steps, self._pasts[group] = walks.look(inputs, labels, past)
        self._changed.mark("walk", group)
        if len(self._pasts) > GROUPS:
            self._changed.mark("walk", self._pasts.popitem(last=False)[0])
        due = [cell for step in steps for cell in step]
        if due:
            self._due.setdefault(principal, set()).update(due)
            self._changed.mark("due", principal)
            self.steps += sum(bool(step) for step in steps)
        return steps

    def _made(self, inputs: npt.NDArray[Any]) -> Walks | None:
        self._first.append(inputs)
        self._changed.mark("unruled")
        if sum(len(one) for one in self._first) < REFERENCE:
            return None
        same = [one for one in self._first if one.shape[1:] == self._first[-1].shape[1:]]
        self._walks, self._first = Walks(np.concatenate(same)), []
        self._changed.mark("ruler")
        return self._walks

    def _join(self, principal: str, group: str) -> None:
        """The last half of each past."""
        past = self._pasts.pop(principal, None)
        if past is None:
            return
        held = self._pasts.get(group)
        self._pasts[group] = held.joined(past) if held else past
        self._changed.mark("walk", principal)
        self._changed.mark("walk", group)

    def _remember(self, *, all_of: bool = False) -> None:
        """Before anybody is charged. Where it cannot be written that is said, and goes on."""
        with self._remembering.round():
            for kind, name in self._changed.write(self._pasts_kept, self._piece, all_of=all_of):
                if kind == "pace":
                    self.paces.forget(name)
                elif kind == "walk":
                    self._pasts.pop(name, None)

    def _piece(self, kind: Kind, name: str) -> Piece:
        body = b""
        if kind == "pace":
            body = self.paces.piece(name)
        elif kind == "walk" and (past := self._pasts.get(name)) is not None:
            body = msgspec.msgpack.encode([packed(one) for one in past])
        elif kind == "due" and (due := self._due.get(name)):
            body = msgspec.msgpack.encode(sorted(due))
        elif kind == "unruled" and self._first:
            body = msgspec.msgpack.encode([packed(one) for one in self._first])
        elif kind == "ruler" and self._walks is not None:
            body = msgspec.msgpack.encode(self._walks.ruler)
        return Piece(kind, name, self._measured(kind), body)

    def _measured(self, kind: Kind) -> Digest:
        """What a kind of piece is measured by: of anything else it means nothing."""
        if kind == "pace":
            return self._framed(self._cover.frame)
        if kind == "walk" and self._walks is not None:
            return self._ruled(self._walks.ruler)
        return ""

    def _recall(self) -> None:
        """What an earlier server remembered of callers."""
        kept = self._pasts_kept
        for piece in kept.read("ruler"):
            self._walks = Walks(msgspec.msgpack.decode(piece.body, type=Ruler))
        for piece in kept.read("unruled") if self._walks is None else ():
            parts = msgspec.msgpack.decode(piece.body, type=list[Array])
            self._first = [unpacked(one) for one in parts]
        for piece in kept.read("walk", self._measured("walk")):
            parts = msgspec.msgpack.decode(piece.body, type=list[Array])
            self._pasts[piece.name] = Past(*map(unpacked, parts))
        for piece in kept.read("due"):
            self._due[piece.name] = set(msgspec.msgpack.decode(piece.body, type=list[int]))
        for piece in kept.read("pace", self._measured("pace")):
            self.paces.recall(piece.name, piece.body)
        for name in list(self._pasts):
            if (group := self._group(name)) != name:
                self._join(name, group)

    async def _charge(self) -> None:
        """Raises: Unavailable (it stays due)."""
        if not self._due:
            return
        balances = await self._ledger.balances(self._ref)
        for principal in list(self._due):
            ask = Ask(self._ref, principal, 0, self._now_ms())
            try:
                held = await self._ledger.reserve(ask, _uncapped(principal, balances))
                await self._ledger.settle(held, 0, sorted(self._due[principal]))
            except Refused:
                pass  # blocked: there is nothing to take from them
            del self._due[principal]
            self._changed.mark("due", principal)


def _uncapped(principal: str, balances: Sequence[Balance]) -> Allowance:
    """As much as its group has, so that nothing else changes, and no cap on cells."""
    spent = sum(one.spent_mbits for one in balances)
    for one in balances:
        if principal in one.members:
            mine = one.spent_mbits + one.left_mbits
            return Allowance(mine, spent + one.model_left_mbits, 0, _RATE, _RATE)
    return Allowance(0, spent, 0, _RATE, _RATE)
