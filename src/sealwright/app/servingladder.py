"""The ladder of a served model: what was heard becomes a rung, a statement first, never silent.

The ledger keeps the rung, also over a restart; here is only what tells a rung that a person chose
from one of the machine's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sealwright.core.digest import Digest
from sealwright.core.predicates import GUARD_EVENT
from sealwright.evidence.history import History
from sealwright.serve import ladder
from sealwright.serve.evidence import Event
from sealwright.serve.interface import Balance, Ledger, Rung
from sealwright.serve.journal import Journal
from sealwright.serve.ladder import Change, Signal, Standing
from sealwright.serve.watcher import Heard

RULE, BY_HAND = "guard.ladder", "guard.hold"
_RUNGS = frozenset({"rung", "degrade", "block", "thaw"})
_RENEWED_MS = 60_000
"""A rung that goes on is told to the ledger again when it lasts so much longer."""


def by_hand(history: History, ref: str) -> frozenset[str]:
    """The groups whose rung a person chose last."""
    last = dict[str, str]()
    for entry in history.of_type(GUARD_EVENT):
        told: Any = entry.statement.predicate
        if told.get("what") in _RUNGS and told["model"] == ref:
            last[told["group"]] = told["rule"]
    return frozenset(group for group, rule in last.items() if rule == BY_HAND)


class Climber:
    """Moves the groups of one model. ``cleared`` is told who came down."""

    def __init__(
        self,
        ref: str,
        digest: Digest,
        ledger_: Ledger,
        journal: Journal,
        now_ms: Callable[[], int],
        moving: asyncio.Lock,
        hand: frozenset[str] = frozenset(),
    ) -> None:
        self._ref, self._digest = ref, digest
        self._ledger, self._journal = ledger_, journal
        self._now_ms, self._hand = now_ms, hand
        self._standings = dict[str, Standing]()
        self.moving = moving
        self.cleared: Callable[[str], None] = lambda _group: None

    async def recall(self) -> None:
        """Where the ledger says everybody stands.

        A rung of the machine's own that ends later than any it sets now was set by a clock that was
        ahead: it ends as one that was set now.
        """
        for balance in await self._ledger.balances(self._ref):
            if balance.rung == "observe":
                continue
            standing = self._told(balance)
            latest = self._now_ms() + ladder.HOLD_MS[balance.rung]
            if standing.by != "person" and latest < standing.until_ms < ladder.FOREVER_MS:
                await self._ledger.climb(self._ref, balance.group, balance.rung, latest)
                standing = Standing(balance.rung, latest, standing.by)
            self._standings[balance.group] = standing

    def benign(self, group: str) -> bool:
        """Whether nothing speaks against this group now."""
        return self._standings.get(group, Standing()).rung == "observe"

    def by_person(self, group: str, rung: Rung, until_ms: int) -> None:
        """Somebody moved it, and told the log and the ledger so."""
        self._standings[group] = Standing(rung, until_ms, "person")
        if rung == "observe":
            self.cleared(group)

    async def step(self, heard: Sequence[Heard], enforced: bool) -> None:
        """Move whom the signals move, and whose time is over. The caller holds ``moving``.

        Raises: Unavailable (the log or the ledger takes nothing: nobody is moved unsaid).
        """
        now = self._now_ms()
        signals = {one.group: one.signals for one in heard}
        over = {
            group
            for group, one in self._standings.items()
            if one.rung != "observe" and one.until_ms <= now
        }
        if not signals and not over:
            return
        balances = {one.group: one for one in await self._ledger.balances(self._ref)}
        for group in sorted(signals.keys() | over):
            if group not in balances:
                self._standings.pop(group, None)
                continue
            await self._one(balances[group], signals.get(group, ()), now, enforced)

    async def _one(
        self, balance: Balance, signals: Sequence[Signal], now: int, enforced: bool
    ) -> None:
        before = self._standing(balance, now)
        after, change = ladder.step(before, signals, balance, now, enforced)
        if change is not None:
            await self._journal.event(self._event(balance.group, change), again=True)
        late = after.until_ms > balance.rung_until_ms + _RENEWED_MS
        if change is not None or (after.rung != "observe" and late):
            await self._ledger.climb(self._ref, balance.group, after.rung, after.until_ms)
        self._standings[balance.group] = after
        if change is not None and change.cause == "decay":
            self.cleared(balance.group)

    def _standing(self, balance: Balance, now: int) -> Standing:
        """Ours, unless the ledger was told otherwise, or a person's time is over."""
        mine = self._standings.get(balance.group)
        if mine is None:
            return self._told(balance)
        over = mine.until_ms <= now
        if mine.by == "person" and over:
            return Standing()
        if mine.rung == balance.rung or (over and balance.rung == "observe"):
            return mine
        return self._told(balance)

    def _told(self, balance: Balance) -> Standing:
        hand = balance.group in self._hand
        return Standing(balance.rung, balance.rung_until_ms, "person" if hand else "signal")

    def _event(self, group: str, change: Change) -> Event:
        rung = change.after
        return Event(
            what=rung if rung in ("degrade", "block") else "rung",
            model=self._ref,
            model_digest=self._digest,
            principal=group,
            group=group,
            rung=rung,
            rule=RULE,
            why=f"{change.before} → {rung}, {change.cause}: {change.why}"[:300],
            until_ms=change.until_ms,
        )


def drifted(ref: str, digest: Digest, actor: str, shifts: Sequence[Any]) -> Event:
    """What the whole traffic is asked is not what it was calibrated on."""
    moved = ", ".join(f"{one.channel} by {one.effect_permille / 1000:.2f}" for one in shifts)
    return Event(
        what="drift",
        model=ref,
        model_digest=digest,
        principal=actor,
        group="",
        rung="observe",
        rule="guard.drift",
        why=f"of {shifts[0].rows} rows moved {moved}"[:300],
    )
