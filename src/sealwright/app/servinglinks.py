"""Who is counted together: keys of one organisation, and whom somebody placed, by statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.predicates import GUARD_EVENT
from sealwright.evidence.history import History
from sealwright.serve import linking
from sealwright.serve.callers import Known
from sealwright.serve.evidence import Event
from sealwright.serve.interface import Caller, Ledger
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
        self.suggested: tuple[linking.Link, ...] = ()
        """What callers' questions say of them, strongest first; nobody is placed by it alone."""
        self.enforced = False
        """Whether a pair whose links score enough is placed."""
        self._callers: tuple[Caller, ...] = ()
        self.joined: Callable[[str, str], None] = lambda _principal, _group: None
        """Told who, alone until then, is counted in which group."""

    def group(self, principal: str) -> str:
        """Where a caller is counted now: by themselves, unless somebody placed them."""
        found = self.known.get(principal)
        return found.group if found else principal

    async def recall(self, history: History) -> None:
        """What the log says, put into the ledger again: it may be a new one."""
        self.known = links_of(history)
        for link in self.known.values():
            await self._ledger.place(link.principal, link.group)

    async def organise(self, keys: Iterable[Known]) -> None:
        """Callers whom what is known of them makes one share a budget; a person's word stays.

        An organisation's budget is its own from its first key on.
        """
        callers = self._callers = tuple(one.caller for one in keys)
        named = {one.principal: one for one in callers}
        for found in linking.groups(named, linking.by_identity(callers)):
            name = self._name(found, named)
            shared = "; ".join(sorted({f"{one.why} ({one.score})" for one in found.links}))
            for principal in found.members if name else ():
                if principal not in self.known:
                    own = named[principal].organisation
                    await self.place(principal, name, f"a key of {own}" if own else shared)

    async def acquainted(self, links: tuple[linking.Link, ...]) -> None:
        """Whom their questions link. Where links are enforced, those with enough are placed.

        Only who was in no group until now is: neither an organisation's key nor whom a person
        placed, or took back, is moved by what they ask.
        """
        self.suggested = links
        if not self.enforced:
            return
        every = [
            link
            for link in (*links, *linking.by_identity(self._callers))
            if not (self._apart(link.one) or self._apart(link.other))
        ]
        asked = {name for link in every for name in (link.one, link.other)}
        for found in linking.groups(asked, every):
            said = [link for link in found.links if link in links]
            placed = {group for one in found.members if (group := self.group(one)) != one}
            free = [one for one in found.members if one not in self.known]
            if not said or len(placed) > 1 or len(free) + len(placed) < 2:
                continue
            name = placed.pop() if placed else found.name
            why = "; ".join(
                f"{link.one} and {link.other}: {link.why} ({link.score})" for link in said
            )
            for principal in free:
                await self.place(principal, name, why)

    def _apart(self, principal: str) -> bool:
        """Whether somebody said that they are in no group: theirs has nobody else."""
        found = self.known.get(principal)
        others = (one for one in self.known.values() if one.principal != principal)
        return bool(found and found.group == principal) and not any(
            one.group == principal for one in others
        )

    def _name(self, found: linking.Group, callers: dict[str, Caller]) -> str:
        """What a group is called; nothing where it is somebody alone."""
        members = found.members
        placed = next((group for one in members if (group := self.group(one)) != one), "")
        own = next((own for one in members if (own := callers[one].organisation)), "")
        if placed and len(members) > 1:
            return placed
        return PREFIX + own if own else found.name if len(members) > 1 else ""

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
        before = self.group(principal)
        await self._ledger.place(principal, group)
        self.known[principal] = Link(principal, group, why)
        if before == principal != group:
            self.joined(principal, group)
        return index
