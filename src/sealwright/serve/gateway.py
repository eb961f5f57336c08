"""The guard before HTTP, and as an ASGI application: what comes is bounded before it is read.

Headers, body, the time either takes and how many are asked at once have limits; a request that
can be read in two ways is refused. Whatever happens inside ends in a reply of the protocol's own
form: a fault is a word, never a traceback.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import msgspec

from sealwright.core.clock import forward_ms
from sealwright.core.errors import Refused, SealError
from sealwright.serve.messages import Peer, Reply, Request
from sealwright.serve.refusals import OutOfService, refused, rule_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ONCE = frozenset(
    {
        *(b"authorization", b"content-length", b"content-type", b"content-encoding", b"host"),
        *(b"transfer-encoding", b"inference-header-content-length", b"seal-proof"),
    }
)
"""Headers of which a second one makes a request two requests."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one client may take. Bytes, seconds, and how many at once."""

    head_bytes: int = 16 << 10
    body_bytes: int = 8 << 20
    head_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 30.0
    requests: int = 64
    connections: int = 1_024


class Front(Protocol):
    """One protocol's routes: a request in, a reply out, also where the answer is no."""

    async def handle(self, request: Request) -> Reply:
        """The reply."""
        ...

    def refusal(self, error: SealError, rule: str, *, close: bool = False) -> Reply:
        """A refusal in the protocol's form."""
        ...


class Gone(Exception):
    """The client left."""


class Gateway:
    """What every request passes; itself an ASGI application. ``stopping`` refuses what comes."""

    def __init__(
        self,
        front: Front,
        limits: Limits,
        count: Callable[[str], None],
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.front = front
        self.limits = limits
        self.count = count
        self._now_ms = forward_ms()
        self._say = say
        self._busy = 0
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        self.began()
        try:
            reply = await self._reply(scope, receive)
            if reply.stream is not None:
                await send_stream(reply, reply.stream, receive, send, self.limits.body_s)
                return
        except Gone:
            return
        finally:
            self.ended()
        await send_reply(reply, send)

    def began(self) -> None:
        """The head of a request is there; :meth:`ended` says that it was answered, or is gone."""
        self._busy += 1

    def ended(self) -> None:
        """See :meth:`began`."""
        self._busy -= 1

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        try:
            headers = self.head(scope["headers"], scope.get("query_string", b""))
            body = await self._read(receive)
        except SealError as error:
            return self.refusal(error)
        path = scope.get("raw_path") or scope["path"].encode()
        return await self.answer(scope["method"], path, headers, body, peer_of(scope))

    def head(self, given: list[tuple[bytes, bytes]], query: bytes) -> dict[bytes, bytes]:
        """The headers of a request that may be read on. Raises: Refused, OutOfService."""
        if self.stopping:
            raise OutOfService("guard.stopping", "this server is stopping")
        if self._busy > self.limits.requests:
            raise OutOfService(
                "guard.busy",
                "too many requests at once",
                why=f"{self.limits.requests} are answered at a time",
            )
        headers = headers_of(given)
        _refuse_ambiguous(query, headers)
        length = headers.get(b"content-length", b"")
        if length and int(length) > self.limits.body_bytes:
            raise self.too_large()
        return headers

    def refusal(self, error: SealError) -> Reply:
        """What the client is told before anybody was known; counted."""
        rule = rule_of(error)
        self.count(rule)
        return self.front.refusal(error, rule, close=True)

    async def answer(
        self, method: str, path: bytes, headers: dict[bytes, bytes], body: bytes, peer: Peer
    ) -> Reply:
        """The reply to a whole request, always."""
        at_ms = self._now_ms()
        request = Request(method, path.decode("ascii", "replace"), headers, body, peer, at_ms)
        try:
            return await self.front.handle(request)
        except Exception as error:
            # what no link of the chain foresaw: said to the operator by its kind alone
            self._say(f"fault: {type(error).__name__}: {error}"[:300])
            self.count("guard.fault")
            fault = OutOfService("guard.fault", "something went wrong in the guard")
            return self.front.refusal(fault, "guard.fault", close=True)

    async def _read(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self.limits.body_s):
                return await self._body(receive)
        except TimeoutError as error:
            raise self.too_slow() from error

    async def _body(self, receive: Receive) -> bytes:
        parts, size = list[bytes](), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            size += len(part)
            if size > self.limits.body_bytes:
                raise self.too_large()
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def too_slow(self) -> Refused:
        """``guard.slow``."""
        return refused(
            "guard.slow", "the body took too long", f"{self.limits.body_s:g} s are given"
        )

    def too_large(self) -> Refused:
        """``guard.too-large``."""
        return refused(
            "guard.too-large",
            "the body is too large",
            f"{self.limits.body_bytes} bytes at most",
            "send several requests",
        )


def headers_of(given: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name. Raises: Refused (``guard.header``: one that must be there once is twice)."""
    out: dict[bytes, bytes] = {}
    for name, value in given:
        if name in out and name in ONCE:
            raise refused("guard.header", f"there are two headers {name.decode('latin-1')}")
        out.setdefault(name, value)
    return out


def _refuse_ambiguous(query: bytes, headers: dict[bytes, bytes]) -> None:
    if b"upgrade" in headers:
        raise refused("guard.upgrade", "no other protocol is spoken here")
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if coding is not None and (length is not None or coding.lower() != b"chunked"):
        raise refused("guard.header", "the length of the body can be read in two ways")
    if length is not None and not length.isdigit():
        raise refused("guard.header", "Content-Length is no number")
    if query:
        raise refused("guard.http", "nothing is asked by a query string here")


def peer_of(scope: Scope) -> Peer:
    """Where the request comes from, as far as ASGI says it."""
    client = scope.get("client")
    return Peer(client[0] if client else "")


async def send_reply(reply: Reply, send: Send) -> None:
    """A whole reply."""
    headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
    if reply.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def send_stream(
    reply: Reply,
    stream: AsyncGenerator[bytes, None],
    receive: Receive,
    send: Send,
    piece_s: float,
) -> None:
    """A reply whose body comes in pieces. A client that left, or does not read, ends it."""
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await send(
            {"type": "http.response.start", "status": reply.status, "headers": [*reply.headers]}
        )
        while not gone.done():
            following = asyncio.ensure_future(anext(stream, None))
            await asyncio.wait((following, gone), return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                following.cancel()
                await asyncio.wait((following,))
                break
            piece = following.result()
            if piece is None:
                await send({"type": "http.response.body", "body": b""})
                break
            async with asyncio.timeout(piece_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    except TimeoutError:
        raise Gone from None
    finally:
        gone.cancel()
        await stream.aclose()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
