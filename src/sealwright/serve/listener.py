"""The HTTP server under the gateway: uvicorn's server over a protocol of our own, on httptools.

Imported when a server starts (extra ``serve``). A connection has one request at a time, no
upgrades, a limit on the header, on the body and on the time that each takes; who half-closed gets
their answer. Nothing is pipelined: a second request before the answer is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httptools
import uvicorn

from sealwright.core.errors import SealError
from sealwright.serve.connection import Connection
from sealwright.serve.gateway import Gateway
from sealwright.serve.heads import Head, body_at
from sealwright.serve.heads import head_of as head_met
from sealwright.serve.httpwire import CHUNKED, CLOSE, LAST_CHUNK, encoded, head_of
from sealwright.serve.messages import Reply
from sealwright.serve.refusals import refused, rule_of


class GuardedProtocol(asyncio.Protocol):
    """One connection. ``gateway`` is set by :func:`protocol_of`; the rest is uvicorn's to give."""

    gateway: Gateway

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        self._loop = _loop or asyncio.get_running_loop()
        self._shared = server_state
        self._limits = limits = self.gateway.limits
        self._tick_s = min(limits.head_s, limits.body_s, limits.idle_s)
        self._parser: Any = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._transport: Any = None
        self._error: SealError | None = None
        self._gone = asyncio.Event()
        self._can_write: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0  # the loop's time at which what is waited for is late; 0: nothing is
        self._head_bytes = 0
        self._in_head, self._idle = True, False
        self._busy, self._reading = False, False
        self._keep = True
        self._next: asyncio.Future[bool] | None = None  # what waits for the next request
        self._begin()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and start the clock of its first header."""
        self._transport = transport
        self._connection = Connection(cast("asyncio.Transport", transport))
        self._shared.connections.add(self)
        if len(self._shared.connections) > self._limits.connections:
            self._refuse(refused("guard.busy", "too many connections at once"))
        else:
            self._wait(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Who is being answered is told nothing more, and is charged all the same."""
        self._shared.connections.discard(self)
        self._until = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._gone.set()
        self.resume_writing()
        if self._reading:
            self._done()
        self._woken(False)
        self._parser = None  # it knows this protocol

    def data_received(self, data: bytes) -> None:
        """Parse; what cannot be parsed, or in two ways, ends the connection."""
        if self._error is not None:
            return
        fresh = self._in_head and not self._head_bytes
        if fresh and self._met is not None and self._again(self._met, data):
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(refused("guard.upgrade", _WORDS["guard.upgrade"]))
        except httptools.HttpParserError:
            self._refuse(self._error or refused("guard.http", "this is not HTTP/1.1"))
        else:
            if self._in_head and self._head_bytes > self._limits.head_bytes:
                self._refuse(refused("guard.headers", _WORDS["guard.headers"]))
            elif fresh and self._busy and not self._reading:
                self._meet(data)

    def eof_received(self) -> bool | None:
        """Who half-closed after a whole request still gets their answer."""
        self._keep = False
        return self._busy and not self._reading

    def pause_writing(self) -> None:
        """The client does not read."""
        self._can_write = asyncio.Event()

    def resume_writing(self) -> None:
        """It does again, or is gone."""
        if self._can_write is not None:
            self._can_write.set()
            self._can_write = None

    def shutdown(self) -> None:
        """Close once what is being answered is answered (uvicorn calls it)."""
        self._keep = False
        if not self._busy:
            self._transport.close()

    # httptools

    def on_message_begin(self) -> None:
        """A request begins, one at a time."""
        if self._busy:
            # answered in turn it would have to be kept; unanswered, the client asks again
            self._keep = False
            raise self._stop("guard.pipelined")
        self._in_head, self._idle = True, False
        self._begin()
        self._wait(self._limits.head_s)

    def on_url(self, url: bytes) -> None:
        """A part of the path."""
        self._seen_bytes += len(url)
        if self._seen_bytes > self._limits.head_bytes:
            raise self._stop("guard.headers")
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a trailer, which comes after the body, is dropped."""
        self._seen_bytes += len(name) + len(value) + 4
        if self._seen_bytes > self._limits.head_bytes:
            raise self._stop("guard.headers")
        if self._in_head:
            self._given.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The header is whole: what may not be read on is refused before its body comes."""
        self._in_head, self._head_bytes = False, 0
        if self._parser.should_upgrade():
            raise self._stop("guard.upgrade")
        self._method = self._parser.get_method().decode("ascii")
        self._plain = self._parser.get_http_version() != "1.1"
        self._keep = not self._plain and self._parser.should_keep_alive()
        self._path, _, query = self._url.partition(b"?")
        if not self._path.startswith(b"/"):
            parsed = httptools.parse_url(self._url)
            self._path, query = parsed.path or b"/", parsed.query or b""
        self._busy = self._reading = True
        self.gateway.began()
        try:
            self._headers = self.gateway.head(self._given, query)
        except SealError as error:
            self._error = error
            raise
        self._wait(self._limits.body_s)
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._size += len(data)
        if self._size > self._limits.body_bytes:
            self._error = self.gateway.too_large()
            raise self._error
        self._parts.append(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._reading, self._until = False, 0.0
        if self._woken(True):
            return
        task = self._loop.create_task(self._serve())
        self._shared.tasks.add(task)
        task.add_done_callback(self._shared.tasks.discard)

    # one request

    def _begin(self) -> None:
        self._seen_bytes = self._size = 0
        self._met: Head | None = None  # of the request before, where that came whole
        self._url = b""
        self._given: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    def _meet(self, data: bytes) -> None:
        """A whole request: its head may come again."""
        plain = len(data) - self._size < self._limits.head_bytes and b"expect" not in self._headers
        self._met = head_met(data, self._size) if plain else None

    def _again(self, met: Head, data: bytes) -> bool:
        """Whether this is a whole request with that head, as the last one was, and may be answered.
        Anything else is parsed."""
        at = body_at(met, data)
        size = len(data) - at
        if at < 0 or size > self._limits.body_bytes or not self.gateway.has_room:
            return False
        length = b"%d" % size
        if self._headers[b"content-length"] != length:
            self._headers = {**self._headers, b"content-length": length}
        self._in_head = self._idle = False
        self._busy, self._size, self._parts = True, size, [data[at:]]
        self.gateway.began()
        self.on_message_complete()
        return True

    async def _serve(self) -> None:
        """One request after another, while the connection goes on: a task for each costs more."""
        going_on = True
        while going_on:
            parts, whole = self._parts, False
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            try:
                reply = await self.gateway.answer(
                    self._method, self._path, self._headers, body, self._connection.peer
                )
                if reply.stream is not None:
                    whole = await self._streamed(reply, reply.stream)
                else:
                    if self._can_write is not None:
                        await self._writable()
                    self._write(reply)
                    whole = True
            finally:
                self._answered(whole)
            if self._gone.is_set():
                return
            self._next = self._loop.create_future()
            going_on = await self._next

    def _woken(self, going_on: bool) -> bool:
        """Whether there was a task that waits for the next request."""
        waiting, self._next = self._next, None
        if waiting is None or waiting.done():
            return False
        waiting.set_result(going_on)
        return True

    def _answered(self, whole: bool) -> None:
        """After the reply comes the next request, or the end."""
        self._done()
        if not whole:
            self._transport.abort()
        elif not self._keep or self._error is not None:
            self._transport.close()
        elif not self._transport.is_closing():
            self._in_head, self._idle, self._head_bytes = True, True, 0
            self._wait(self._limits.idle_s)

    def _done(self) -> None:
        self._busy = self._reading = False
        self.gateway.ended()
        self._shared.total_requests += 1

    async def _writable(self) -> None:
        """Wait while the client does not read what it was told before, but not for ever."""
        if self._can_write is not None:
            self._wait(self._limits.body_s)
            await self._can_write.wait()
            self._until = 0.0

    def _write(self, reply: Reply) -> None:
        self._keep = self._keep and not reply.close
        if not self._transport.is_closing():
            length = (b"content-length", b"%d" % len(reply.body))
            head = self._head((*reply.headers, length), reply.status)
            self._transport.write(head if self._method == "HEAD" else head + reply.body)

    def _head(self, headers: tuple[tuple[bytes, bytes], ...], status: int) -> bytes:
        closing = () if self._keep else (CLOSE,)
        return head_of(status, (*self._shared.default_headers, *headers, *closing))

    async def _streamed(self, reply: Reply, stream: AsyncGenerator[bytes, None]) -> bool:
        """Whether all of it was written. A client that left, or does not read, ends it."""
        coding = () if self._plain else (CHUNKED,)
        waiting = self._head((*reply.headers, *coding), reply.status)
        gone = self._loop.create_task(self._gone.wait())
        try:
            while True:
                await self._writable()
                if self._transport.is_closing():
                    return False
                self._transport.write(waiting)
                following = asyncio.ensure_future(anext(stream, None))
                await asyncio.wait((following, gone), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.wait((following,))
                    return False
                piece = following.result()
                if piece is None:
                    self._transport.write(b"" if self._plain else LAST_CHUNK)
                    return True
                waiting = (
                    piece if self._plain or not piece else b"%x\r\n%s\r\n" % (len(piece), piece)
                )
        finally:
            gone.cancel()
            await stream.aclose()

    # what is late, too long, or not to be read

    def _stop(self, rule: str) -> SealError:
        self._error = refused(rule, _WORDS[rule])
        return self._error

    def _wait(self, span_s: float) -> None:
        """What comes next is late after ``span_s``. One clock ticks for all that a connection
        waits for: no span is shorter than a tick."""
        self._until = self._loop.time() + span_s
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        left_s = self._until - self._loop.time()
        if not self._until:
            return
        if left_s > 0:
            self._timer = self._loop.call_later(min(left_s, self._tick_s), self._tick)
        elif self._reading:
            self._refuse(self.gateway.too_slow())
        elif self._busy or self._idle:
            self._transport.abort()
        else:
            self._refuse(refused("guard.slow", _WORDS["guard.slow"]))

    def _refuse(self, error: SealError) -> None:
        """Say why and close; while an answer is on its way nothing is said in between."""
        reply = self.gateway.refusal(error)
        self._error = error
        if self._busy and not self._reading:
            if rule_of(error) != "guard.pipelined":
                self._transport.close()
            return
        if self._reading:
            self._done()
        if not self._transport.is_closing():
            self._transport.write(encoded(reply))
        self._transport.close()


_WORDS = {
    "guard.headers": "the header is too long",
    "guard.slow": "the header took too long",
    "guard.upgrade": "no other protocol is spoken here",
    "guard.pipelined": "one request at a time on a connection",
}


def protocol_of(gateway: Gateway) -> type[GuardedProtocol]:
    """The protocol class of one gateway."""
    return cast("type[GuardedProtocol]", type("Protocol", (GuardedProtocol,), {"gateway": gateway}))


class Server(uvicorn.Server):
    """uvicorn's server, told to stop by us: a signal is the command's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def server_of(gateway: Gateway, stop_s: int) -> Server:
    """A server that answers by ``gateway``, and gives open requests ``stop_s`` to end."""
    config = uvicorn.Config(
        cast("Any", gateway),
        http=protocol_of(gateway),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(gateway.limits.idle_s),
        timeout_graceful_shutdown=stop_s,
        backlog=256,
    )
    return Server(config)
