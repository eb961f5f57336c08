"""One HTTP/1.1 connection to a server behind the guard; RFC 9112 read strictly.

An answer has exactly one length: Content-Length once, or ``chunked`` alone. One that ends where
the connection does cannot be told from one cut short, and is refused, as are folded headers, bare
line feeds, upgrades, bytes that nobody asked for, and heads or framing without bounds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from sealwright.core.errors import MissingExtra, Unavailable
from sealwright.serve.heads import Head, body_at
from sealwright.serve.heads import head_of as head_met

MOST_INTERIM = 4
_PAUSE, _RESUME = 1 << 18, 1 << 16


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes and seconds of one answer, and how many connections. ``keep_s``: idle, at most."""

    head_bytes: int = 32 << 10
    body_bytes: int = 16 << 20
    framing_bytes: int = 64 << 10
    connect_s: float = 3.0
    head_s: float = 60.0
    piece_s: float = 30.0
    total_s: float = 600.0
    keep_s: float = 3.0
    connections: int = 64


def broken(why: str) -> Unavailable:
    """An answer that cannot be relied on."""
    return Unavailable(
        "the server behind the guard gave no answer", why=why, hint="look at its own log"
    )


class Connection(asyncio.Protocol):
    """One connection: a question at a time, the head of its answer, then the pieces of its body."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._make = _parser()
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()
        self._parser: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._until, self._late = 0.0, ""
        self._tick_s = min(limits.head_s, limits.piece_s)
        self._waiter: asyncio.Future[None] | None = None
        self._can_write: asyncio.Event | None = None
        self.closed = False
        self.idle_since = 0.0
        self._asked = self._whole = False
        self._pieces: deque[bytes] = deque()
        self._await()
        self._begin()

    def _await(self) -> None:
        """Nothing of an answer came yet."""
        self._error: Unavailable | None = None
        self.answered = False  # a byte of the answer came
        self.head_done = self.done = False
        self._pieces.clear()
        self._held = 0
        self._paused = False

    def _begin(self) -> None:
        """Nothing of an answer is read yet."""
        self._met: Head | None = None  # of the answer before, where that came whole
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._head_bytes = self._chunks = self._body = self._interim = self._fed = 0
        self._keep = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asked and not self.done:
            self._fail("it closed the connection before its answer was whole")
        self._wake()
        self._parser = None  # it knows this protocol

    def eof_received(self) -> bool:
        """See asyncio: half a connection is none."""
        return False

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if not self._asked or self.done:
            self._fail("it sent something that nobody asked for")
            return
        self.answered = True
        if self._met is not None and self._again(self._met, data):
            return
        try:
            self._feed(data)
        except Unavailable as error:
            self._fail(error.why)
            return
        except Exception as error:  # httptools' own, and what its callbacks raised inside
            cause = error.__context__ if isinstance(error.__context__, Unavailable) else None
            self._fail(cause.why if cause else f"its answer is not HTTP/1.1: {error}")
            return
        if self._held > _PAUSE and not (self._paused or self._whole):
            self._paused = True
            self._transport.pause_reading()
        if self.done or not self._whole:
            self._wake()
        if self.done and self._fed == len(data):
            self._met = head_met(data, self._body)

    def _again(self, met: Head, data: bytes) -> bool:
        """Whether this is a whole answer with that head, as the last one had. Anything else is
        parsed."""
        at = body_at(met, data)
        size = len(data) - at
        if at < 0 or size > self._limits.body_bytes:
            self._begin()
            return False
        length = b"%d" % size
        if self.headers[b"content-length"] != length:
            self.headers = {**self.headers, b"content-length": length}
        self._pieces.append(data[at:])
        self._held = size
        self.head_done = self.done = True
        self._wake()
        return True

    def pause_writing(self) -> None:
        """See asyncio."""
        self._can_write = asyncio.Event()

    def resume_writing(self) -> None:
        """See asyncio."""
        if self._can_write is not None:
            self._can_write.set()
            self._can_write = None

    # httptools

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self.done:
            raise broken("it sent a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self._limits.head_bytes:
            raise broken("the head of its answer is too long")
        if self.head_done:
            return
        key = name.lower()
        if key in self.headers and key in _ONCE:
            raise broken(f"it has two headers {key.decode('latin-1')}")
        self.headers.setdefault(key, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        told = self.headers.get
        self._keep = self._parser.get_http_version() == "1.1" and (
            told(b"connection", b"").lower() != b"close"
        )
        length, coding = told(b"content-length"), told(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            raise broken("its Transfer-Encoding is not chunked alone")
        if coding is None and length is None and self.status not in (204, 304):
            raise broken("its answer has no length")
        if length is not None and (not length.isdigit() or int(length) > self._limits.body_bytes):
            raise broken("its answer is too large")
        if told(b"content-encoding", b"identity").lower() != b"identity":
            raise broken("it compressed its answer, which nobody asked for")
        self.head_done = True

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._chunks += 1

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        size = len(data)
        self._body += size
        if self._whole and self._body > self._limits.body_bytes:
            raise broken("its answer is too large")
        self._pieces.append(data)
        self._held += size

    def on_message_complete(self) -> None:
        """The answer is whole; one of 1xx only says that there will be one."""
        if 100 <= self.status < 200:
            self._interim += 1
            if self._interim > MOST_INTERIM or self.status == 101:
                raise broken("it would speak another protocol")
            self.headers = {}
            return
        self.done = True

    # what the pool does

    def expect(self, until: float, why: str) -> None:
        """What is waited for next is late at ``until`` by the loop's clock; then the answer fails
        with ``why``. 0: nothing is waited for. One clock ticks for all: no span is shorter than a
        tick, but for the last of a stream."""
        self._until, self._late = until, why
        if until and (self._timer is None or until < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            now = self._loop.time()
            self._timer = self._loop.call_at(min(until, now + self._tick_s), self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._until and self._loop.time() >= self._until:
            self._fail(self._late)
        elif self._until:
            self.expect(self._until, self._late)

    async def ask(self, question: bytes, until: float, why: str, *, whole: bool) -> None:
        """Send it, and wait until the head of the answer is there, or the whole answer; ``until``
        and ``why`` as of :meth:`expect`.

        Raises: Unavailable.
        """
        self.expect(until, why)
        self._await()
        if self._met is None:
            self._begin()
        if self._parser is None:
            self._parser = self._make(self)
        self._asked, self._whole = True, whole
        self._transport.write(question)
        if self._can_write is not None:
            await self._can_write.wait()
        while not (self.done if whole else self.head_done):
            await self._more()
        if self._error is not None and (whole or not self._pieces):
            raise self._error

    async def piece(self) -> bytes:
        """The next piece of the body, nothing at its end. Raises: Unavailable."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.done:
                return b""
            await self._more()
        found = self._pieces.popleft()
        self._held -= len(found)
        if self._paused and self._held < _RESUME:
            self._paused = False
            self._transport.resume_reading()
        return found

    def body(self) -> bytes:
        """The body of an answer that is whole."""
        pieces = self._pieces
        return pieces.popleft() if len(pieces) == 1 else b"".join(pieces)

    def rested(self, now: float) -> bool:
        """Whether it is idle from ``now`` on, and another question may be asked on it."""
        self._until, self.idle_since = 0.0, now
        return self.done and self._keep and not self.closed and self._error is None

    def close(self) -> None:
        """End it."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def _feed(self, data: bytes) -> None:
        limits = self._limits
        if not self.head_done:
            # a head without an end is not collected: no line of it is longer than the limit
            long = len(data) > limits.head_bytes and b"\r\n\r\n" not in data[: limits.head_bytes]
            if long or self._fed > limits.head_bytes:
                raise broken("the head of its answer is too long")
        self._fed += len(data)
        self._parser.feed_data(data)
        framing = self._fed - self._body - self._head_bytes
        if framing > limits.framing_bytes + 32 * self._chunks:
            raise broken("its answer is framed without bounds")

    def _fail(self, why: str) -> None:
        if self._error is None:
            self._error = broken(why)
        self.close()
        self._wake()

    def _more(self) -> asyncio.Future[None]:
        """What is done once more has come, or nothing will."""
        if self._error is not None:
            raise self._error
        if self.closed:
            raise broken("it closed the connection")
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


_ONCE = frozenset({b"content-length", b"transfer-encoding", b"content-type", b"content-encoding"})


def _parser() -> Any:
    try:
        import httptools
    except ImportError as error:
        raise MissingExtra("the guard before another server", "serve") from error
    return httptools.HttpResponseParser


def head_of(method: str, path: str, host: str, headers: Mapping[bytes, bytes]) -> bytes:
    """The head of a question, but for its length. Names and values are the guard's own, never a
    caller's. Raises: Unavailable."""
    lines = [f"{method} {path} HTTP/1.1\r\nhost: {host}\r\naccept-encoding: identity\r\n".encode()]
    for name, value in headers.items():
        if _unsafe(name) or _unsafe(value):
            raise Unavailable("a header for the server behind holds a line break")
        lines.append(name + b": " + value + b"\r\n")
    return b"".join(lines)


def _unsafe(text: bytes) -> bool:
    return b"\r" in text or b"\n" in text or b"\0" in text
