"""What a running server answers to who runs it: status, budget, links, thaw."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sealwright.app.servecontrol import Question
from sealwright.app.servinglinks import Linker
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.serve.evidence import Event
from sealwright.serve.interface import RUNGS, Balance, Ledger, Rung
from sealwright.serve.journal import Journal
from sealwright.serve.pace import CALLERS
from sealwright.serve.paces import FEWEST, Paces

MOST_SUGGESTED = 100


class Desk:
    """Answers questions that came over the control socket.

    ``url``, ``profile`` and ``told`` (what only the mount knows) are set once there are such.
    Whoever else moves groups shares ``moving``, and sets ``moved`` to be told of a person's word.
    """

    def __init__(
        self,
        ref: str,
        digest: Digest,
        since: str,
        ledger: Ledger,
        journal: Journal,
        linker: Linker,
        now_ms: Callable[[], int],
    ) -> None:
        self._ref = ref
        self._digest = digest
        self._since = since
        self._ledger = ledger
        self._journal = journal
        self._linker = linker
        self.now_ms = now_ms
        self.url = ""
        self.profile = ""
        self.told: Callable[[], dict[str, Any]] = lambda: {"state": "starting"}
        self.paces: Paces | None = None
        self.moving = asyncio.Lock()
        self.moved: Callable[[str, Rung, int], None] = lambda _group, _rung, _until_ms: None

    async def answer(self, question: Question) -> dict[str, Any]:
        """Raises: BadInput, OutOfService."""
        words: dict[str, Callable[[Question], Awaitable[dict[str, Any]]]] = {
            "status": self._status,
            "budget": self._budget,
            "links": self._links,
            "place": self._place,
            "thaw": self._thaw,
            "hold": self._hold,
        }
        if question.word not in words:
            raise BadInput(f"no question {question.word[:20]!r}")
        return await words[question.word](question)

    async def _status(self, question: Question) -> dict[str, Any]:
        return {
            "ref": self._ref,
            "url": self.url,
            "pid": os.getpid(),
            "since": self._since,
            "profile": self.profile,
            "verdicts": self._journal.verdicts,
            "unnamed": self._journal.turned_away,
            **self.told(),
        }

    async def _budget(self, question: Question) -> dict[str, Any]:
        found = await self._ledger.balances(self._ref)
        left = min((one.model_left_mbits for one in found), default=0)
        return {
            "ref": self._ref,
            "groups": [_balance(one) for one in found],
            "model_left_bits": left // 1000,
            **({} if self.paces is None else _paced(self.paces, found)),
        }

    async def _links(self, question: Question) -> dict[str, Any]:
        why = self._linker.known
        groups: dict[str, list[str]] = {}
        for link in why.values():
            if link.group != link.principal:
                groups.setdefault(link.group, []).append(link.principal)
        return {
            "ref": self._ref,
            "links": [
                {
                    "group": group,
                    "members": sorted(members),
                    "why": "; ".join(sorted({why[one].why for one in members})),
                }
                for group, members in sorted(groups.items())
            ],
            "suggested": [
                {"members": [link.one, link.other], "score": link.score, "why": link.why}
                for link in self._linker.suggested[:MOST_SUGGESTED]
                if self._linker.group(link.one) != self._linker.group(link.other)
            ],
        }

    async def _place(self, question: Question) -> dict[str, Any]:
        _reasoned(question)
        await self._linker.place(question.principal, question.group, question.reason)
        return await self._links(question)

    async def _thaw(self, question: Question) -> dict[str, Any]:
        """An appeal that was granted."""
        return await self._moved(question, "thaw", "observe", 0)

    async def _hold(self, question: Question) -> dict[str, Any]:
        """A rung that a person chose, for a time."""
        if question.rung not in RUNGS or not 0 < question.span_s <= 366 * 86_400:
            raise BadInput("a rung and a time are wanted", why=f"rungs: {', '.join(RUNGS)}")
        until_ms = self.now_ms() + question.span_s * 1000
        what = question.rung if question.rung in ("degrade", "block") else "rung"
        return await self._moved(question, what, question.rung, until_ms)

    async def _moved(
        self, question: Question, what: str, rung: Rung, until_ms: int
    ) -> dict[str, Any]:
        """The statement first, then the rung."""
        _reasoned(question)
        async with self.moving:
            return await self._moved_now(question, what, rung, until_ms)

    async def _moved_now(
        self, question: Question, what: str, rung: Rung, until_ms: int
    ) -> dict[str, Any]:
        found = {one.group: one for one in await self._ledger.balances(self._ref)}
        if question.group not in found:
            raise BadInput(f"there is no group {question.group!r}", hint="seal serve budget")
        index = await self._journal.event(
            Event(
                what=what,
                model=self._ref,
                model_digest=self._digest,
                principal=question.group,
                group=question.group,
                rung=rung,
                rule=f"guard.{'thaw' if what == 'thaw' else 'hold'}",
                why=question.reason[:300],
                until_ms=until_ms,
            ),
            again=True,
        )
        after = await self._ledger.climb(self._ref, question.group, rung, until_ms)
        self.moved(question.group, rung, until_ms)
        return {**_balance(after), "entry": index}


def _paced(paces: Paces, found: Sequence[Balance]) -> dict[str, Any]:
    """What pace would leave callers like those alone against whom nothing speaks."""
    honest = {who for one in found if one.rung == "observe" for who in one.members}
    callers = len(paces.heard(honest.__contains__))
    pace = paces.told(honest.__contains__) if callers >= CALLERS else []
    wanted = [CALLERS, FEWEST]
    return {
        "pace": [list(knot) for knot in pace],
        "pace_callers": callers,
        "pace_wanted": wanted,
    }


def _reasoned(question: Question) -> None:
    if not question.reason.strip():
        raise BadInput("say why, for the log", hint='add --reason "…"')


def _balance(one: Balance) -> dict[str, Any]:
    return {
        "group": one.group,
        "members": list(one.members),
        "spent_bits": -(-one.spent_mbits // 1000),
        "left_bits": one.left_mbits // 1000,
        "cells": one.cells,
        "anomaly_bits": one.anomaly_mbits // 1000,
        "rung": one.rung,
        "rung_until_ms": one.rung_until_ms,
    }
