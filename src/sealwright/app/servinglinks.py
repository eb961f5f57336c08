"""Who is counted together: keys of one organisation, and whom somebody placed, by statement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.predicates import GUARD_EVENT
from sealwright.evidence.history import History
from sealwright.serve.callers import Known
from sealwright.serve.evidence import Event
from sealwright.serve.interface import Ledger
from sealwright.serve.journal import Journal

LINK, PREFIX = "link", "organisation:"


class Link(msgspec.Struct, frozen=True):
    """A caller and the group they are counted in. Their own name: they are in none."""

    principal: str
    group: str
    why: str


def links_of(history: History) -> dict[str, Link]:
    """The last word of the log on each caller."""
    out: dict[str, Link] = {}
    for entry in history.of_type(GUARD_EVENT):
        told: Any = entry.statement.predicate
        if told.get("what") == LINK:
            out[told["principal"]] = Link(told["principal"], told["group"], told["why"])
    return out


class Linker:
    """Links of one served model, kept in the log and in the ledger alike."""

    def __init__(self, ref: str, digest: Digest, ledger: Ledger, journal: Journal) -> None:
        self._ref = ref
        self._digest = digest
        self._ledger = ledger
        self._journal = journal
        self.known: dict[str, Link] = {}

    async def recall(self, history: History) -> None:
        """What the log says, put into the ledger again: it may be a new one."""
        self.known = links_of(history)
        for link in self.known.values():
            await self._ledger.place(link.principal, link.group)

    async def organise(self, keys: Iterable[Known]) -> None:
        """Keys of one organisation share its budget, whoever made how many of them."""
        for one in keys:
            caller = one.caller
            if caller.organisation and caller.principal not in self.known:
                group = PREFIX + caller.organisation
                await self.place(caller.principal, group, f"a key of {caller.organisation}")

    async def place(self, principal: str, group: str, why: str) -> int:
        """Count ``principal`` in ``group``; the log has it first. Returns the log index."""
        index = await self._journal.event(
            Event(
                what=LINK,
                model=self._ref,
                model_digest=self._digest,
                principal=principal,
                group=group,
                rung="observe",
                rule="guard.link",
                why=why[:300],
            ),
            again=True,
        )
        await self._ledger.place(principal, group)
        self.known[principal] = Link(principal, group, why)
        return index
