"""Every route of OpenAI's protocol in one place: from a request to a reply, always.

A streamed answer begins to leave once the most it could tell is reserved; what did leave is
settled and recorded when it ends, however it ends: a client that hangs up has been told all the
same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from sealwright.core.errors import Refused, SealError
from sealwright.serve import openai_shape, sse
from sealwright.serve.guard import Guard, Pending, Standing
from sealwright.serve.messages import JSON, Reply, Request
from sealwright.serve.openai_ask import Asked, BadParameter
from sealwright.serve.openai_mount import Flow, OpenAiMount, told
from sealwright.serve.refusals import (
    UNNAMED,
    OutOfService,
    out_of_service,
    rule_of,
    status_of,
    words,
)
from sealwright.serve.routes import Match, Route, Table

ROUTES: tuple[Route, ...] = (
    Route("live", "GET", "/v2/health/live"),
    Route("ready", "GET", "/v2/health/ready"),
    Route("models", "GET", "/v1/models"),
    Route("model", "GET", "/v1/models/{model}"),
    Route("chat", "POST", "/v1/chat/completions"),
    Route("completion", "POST", "/v1/completions"),
    Route("embedding", "POST", "/v1/embeddings"),
)
"""OpenAI's protocol without files, fine-tuning, assistants, images and sound."""

Count = Callable[[str], None]


class OpenAiFront:
    """One guarded model. ``count`` takes rules without a name to them: refusals, findings."""

    def __init__(self, guard: Guard, mount: OpenAiMount, standing: Standing, count: Count) -> None:
        self._guard = guard
        self._mount = mount
        self._standing = standing
        self._count = count
        self._routes = Table(ROUTES)

    async def handle(self, request: Request) -> Reply:
        """Never raises on purpose: a refusal is a reply in OpenAI's error form."""
        try:
            match = self._routes.match(request.method, request.path)
            if match.name in ("chat", "completion", "embedding"):
                return await self._answer(request, match)
            return await self._told(request, match)
        except SealError as error:
            rule = rule_of(error)
            if rule in UNNAMED:
                self._count(rule)
            return self.refusal(error, rule)

    def refusal(self, error: SealError, rule: str, *, close: bool = False) -> Reply:
        """A refusal in OpenAI's form."""
        status = status_of(rule)
        headers = [(b"content-type", JSON), (b"seal-rule", rule.encode("ascii", "replace"))]
        if status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="sealwright"'))
        if status in (429, 503):
            headers.append((b"retry-after", b"1"))
        return Reply(status, _error(error, rule), tuple(headers), close)

    async def _answer(self, request: Request, match: Match) -> Reply:
        pending = await self._guard.before(request, match)
        asked: Asked = pending.question.body
        try:
            if asked.stream:
                flow = await self._mount.open(pending.question, pending.fidelity)
            else:
                found = await self._mount.ask(pending.question, pending.fidelity)
        except BaseException as error:
            await self._guard.failed(pending, error)
            raise
        if asked.stream:
            headers = (
                (b"content-type", sse.MEDIA_TYPE),
                (b"cache-control", b"no-store"),
                (b"seal-profile", f"text/{pending.fidelity}".encode()),
                (b"seal-left-bits", b"%d" % (pending.reservation.balance.left_mbits // 1000)),
            )
            flowing = self._flowing(pending, flow)
            await anext(flowing)  # begun: closing it now ends it, also where nobody ever reads it
            return Reply(200, b"", headers, stream=flowing)
        reply = await self._guard.after(pending, found)
        self._report(dict(reply.headers).get(b"seal-egress", b"").decode())
        return reply

    async def _flowing(self, pending: Pending, flow: Flow) -> AsyncGenerator[bytes, None]:
        """Nothing, then what leaves, piece by piece; settled and recorded before its end leaves,
        or where the client left."""
        try:
            yield b""
            try:
                async for piece in flow.stream.pieces():
                    out = b"".join(map(flow.text.take, flow.events.feed(piece)))
                    if out:
                        flow.left.append(out)
                        yield out
                    if flow.text.cut or flow.text.done:
                        break
                else:
                    flow.events.close()
                out = flow.text.close()
            except SealError as error:
                flow.broken, out = self._broken(error)
            flow.left.append(out)
            try:
                await self._ended(pending, flow)
            except SealError as error:
                _, out = self._broken(error)
            yield out
        finally:
            flow.stream.close()
            if not pending.settled:
                await self._ended(pending, flow)

    async def _ended(self, pending: Pending, flow: Flow) -> None:
        self._report(told(flow.text.found).decode())
        await asyncio.shield(self._guard.after(pending, flow))

    def _broken(self, error: SealError) -> tuple[str, bytes]:
        """The rule by which a stream ends early, and what says so in it."""
        if not isinstance(error, Refused | OutOfService):
            error = out_of_service("guard.upstream", error)
        rule = rule_of(error)
        self._count(rule)
        return rule, sse.written(_error(error, rule))

    def _report(self, findings: str) -> None:
        """Rule ids and counts of what was taken out, for the next batch of records."""
        for each in filter(None, findings.split(", ")):
            rule, _, count = each.partition("=")
            for _ in range(int(count)):
                self._count(rule)

    async def _told(self, request: Request, match: Match) -> Reply:
        if match.name == "live":
            return Reply(200, b'{"live":true}')
        if match.name == "ready":
            self._standing.require()
            return Reply(200, b'{"ready":true}')
        await self._guard.admit(request)
        self._standing.require()
        name = self._mount.text.name
        shown = {"id": name, "object": "model", "created": 0, "owned_by": "sealwright"}
        if match.name == "model":
            self._mount.require_model(match.model)
            return Reply(200, openai_shape.encode(shown))
        return Reply(200, openai_shape.encode({"object": "list", "data": [shown]}))


def _error(error: SealError, rule: str) -> bytes:
    param, code = (
        (error.param, error.code) if isinstance(error, BadParameter) else ("", _CODES.get(rule, ""))
    )
    return openai_shape.error(status_of(rule), words(error, rule), rule, param, code)


_CODES = {
    "guard.model": "model_not_found",
    "guard.rate": "rate_limit_exceeded",
    "guard.budget": "insufficient_quota",
    "guard.model-budget": "insufficient_quota",
    "guard.unknown-caller": "invalid_api_key",
}
"""OpenAI's own words, where it has one."""

__all__ = ["ROUTES", "OpenAiFront"]
