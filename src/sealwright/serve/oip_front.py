"""Every route of the Open Inference Protocol v2 in one place: from a request to a reply, always."""

from __future__ import annotations

from collections.abc import Callable

from sealwright.core.errors import SealError
from sealwright.serve import oip_reply
from sealwright.serve.guard import Guard, Standing
from sealwright.serve.messages import Reply, Request
from sealwright.serve.oip_mount import OipMount
from sealwright.serve.refusals import UNNAMED, rule_of
from sealwright.serve.routes import OIP, Match, Table

Count = Callable[[str], None]


class OipFront:
    """One guarded model over REST. ``count`` takes the rule of a refusal without a name to it."""

    def __init__(self, guard: Guard, mount: OipMount, standing: Standing, count: Count) -> None:
        self._guard = guard
        self._mount = mount
        self._standing = standing
        self._count = count
        self._routes = Table(OIP)

    async def handle(self, request: Request) -> Reply:
        """Never raises on purpose: a refusal is a reply in the protocol's error form."""
        try:
            match = self._routes.match(request.method, request.path)
            if match.name == "infer":
                return await self._guard.answer(request, match)
            return await self._told(request, match)
        except SealError as error:
            rule = rule_of(error)
            if rule in UNNAMED:
                self._count(rule)
            return self.refusal(error, rule)

    def refusal(self, error: SealError, rule: str, *, close: bool = False) -> Reply:
        """A refusal in this protocol's form."""
        return oip_reply.refusal(error, rule, close=close)

    async def _told(self, request: Request, match: Match) -> Reply:
        if match.name == "live":
            return oip_reply.said({"live": True})
        if match.name == "ready":
            self._standing.require()
            return oip_reply.said({"ready": True})
        admitted = await self._guard.admit(request)
        if match.name == "server":
            return oip_reply.server()
        self._mount.require_model(match)
        self._standing.require()
        if match.name == "model-ready":
            served = self._mount.served
            return oip_reply.said({"name": served.name, "ready": True})
        return oip_reply.said(self._mount.metadata(admitted.caller.fidelity))
