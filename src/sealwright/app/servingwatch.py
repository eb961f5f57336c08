"""Whether what is served may still be: what the log says of it, and its lease, twice a second.

A server's model of which nobody says which it is cannot be withdrawn; keys end all the same.
Only entries that are new are read, and everything is judged anew where one of them could matter:
a revocation, a containment, a key, a lease, the trust root. What cannot be read stops serving.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sealwright.app import containing, leasing
from sealwright.app.servingsource import Subject
from sealwright.core import clock, refs
from sealwright.core.clock import stamp
from sealwright.core.errors import SealError
from sealwright.core.predicates import (
    CONTAINMENT,
    LEASE,
    POLICY_ACTIVATION,
    RELEASE,
    REVOCATION,
    SERVING_KEY,
    TRUST,
)
from sealwright.evidence.history import History, verified_entry
from sealwright.registry.versions import Models
from sealwright.serve.callers import Callers, Known, keys_of, known_of
from sealwright.serve.refusals import OutOfService, refused

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace
    from sealwright.serve.journal import Journal

EVERY_S = 0.5
_TELLING = frozenset(
    {REVOCATION, CONTAINMENT, RELEASE, SERVING_KEY, LEASE, TRUST, POLICY_ACTIVATION}
)


class Standing:
    """The port ``serve.guard.Standing``. ``changed`` is told why serving may not go on, or "" when
    it may again; ``keys`` which keys there are, when they change."""

    def __init__(
        self,
        workspace: Workspace,
        subject: Subject,
        callers: Callers,
        journal: Journal,
        say: Callable[[str], None],
    ) -> None:
        self._workspace = workspace
        self._subject = subject
        self._callers = callers
        self._journal = journal
        self._say = say
        self._seen = 0
        self._until_ms = 0
        self._withdrawn = "nothing was looked at yet"
        self._stopped = False
        self.now_ms = clock.forward_ms()
        self.keys: Callable[[Iterable[Known]], Awaitable[None]] | None = None
        self._known: tuple[Known, ...] = ()
        self._told: tuple[Known, ...] = ()
        self.changed: Callable[[str], None] = lambda _why: None
        self._over = ""

    def require(self) -> None:
        """Raises: Refused (``guard.withdrawn``, ``guard.lease``), OutOfService."""
        if self._stopped:
            raise OutOfService("guard.stopping", "this server is stopping")
        if self._withdrawn:
            raise refused(
                "guard.withdrawn",
                f"{self._subject.ref} is not served any more",
                self._withdrawn,
                f"seal lineage {self._subject.ref}" if self._subject.model else "seal log verify",
            )
        if self._subject.leased and self._expired():
            raise refused(
                "guard.lease",
                f"the lease of {self._subject.ref} on this host has ended",
                hint=f"seal model lease {self._subject.ref} --reason '...'",
            )
        self._journal.require()

    def told(self) -> dict[str, str]:
        """How it stands, for who runs it."""
        said = {"state": self.state}
        return {**said, "lease_until": self.until} if self._subject.leased else said

    @property
    def state(self) -> str:
        """In words."""
        return f"not served: {self._over}" if self._over else "served"

    @property
    def until(self) -> str:
        """When the lease ends."""
        return stamp(datetime.fromtimestamp(self._until_ms / 1000, UTC))

    def stop(self) -> None:
        """Refuse everything from now on."""
        self._stopped = True

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Read what the log gained; end serving where it may not go on."""
        try:
            await asyncio.to_thread(self._look)
        except (SealError, OSError) as error:
            self._withdrawn = f"the log cannot be read: {error}"
            self._seen = 0
        if self.keys is not None and self._known != self._told:
            await self.keys(self._known)
            self._told = self._known
        over = self._withdrawn or ("its lease ended" if self._expired() else "")
        if over != self._over:
            self._over = over
            self._say(f"{self._subject.ref} is {f'not served: {over}' if over else 'served again'}")
            self.changed(over)

    def _expired(self) -> bool:
        return self._subject.leased and self.now_ms() >= self._until_ms

    def _look(self) -> None:
        workspace = self._workspace
        size = workspace.log.size()
        if size == self._seen:
            return
        if self._seen and not self._telling(size):
            self._seen = size
            return
        self._judge()
        self._seen = size

    def _telling(self, size: int) -> bool:
        trust = self._workspace.trust
        return any(
            verified_entry(entry, trust).statement.predicate_type in _TELLING
            for entry in self._workspace.log.entries(self._seen, size)
        )

    def _judge(self) -> None:
        workspace = self._workspace
        history = workspace.history()
        known = known_of(keys_of(history.of_type(SERVING_KEY)))
        self._known = tuple(known.values())
        self._callers.replace(known)
        self._withdrawn = self._why(history)
        if self._subject.leased:
            lease = leasing.live(workspace, history, self._subject.digest)
            self._until_ms = lease.until_ms() if lease else 0

    def _why(self, history: History) -> str:
        """Why it is withdrawn; empty where it is not."""
        if self._subject.model is None:
            return ""
        model = Models(history).resolve(refs.parse(self._subject.model.ref, "model"))
        if model.status != "active":
            names = ", ".join(artifact.name for artifact in model.blocked_by)
            return f"it was made from {names}, which was revoked" if names else "it was revoked"
        held = containing.holds(self._workspace, history)
        digests = [model.digest, *(one.digest for one in model.inputs)]
        if held.frozen(digests, self._workspace.clock()):
            return "it, or what it was made from, is frozen by a containment"
        return ""
