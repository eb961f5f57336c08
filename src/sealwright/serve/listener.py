"""The HTTP server under the gateway: uvicorn with httptools, and less patience than it has.

Imported when a server starts (extra ``serve``). What it adds to uvicorn's protocol: a limit on
the header and on the time it takes, one request at a time on a connection, no upgrades, an answer
to who half-closed, and whose a local connection is.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sealwright.serve.gateway import Gateway, Limits
from sealwright.serve.localpeer import uid_of
from sealwright.serve.messages import Peer, Reply
from sealwright.serve.refusals import refused

_LOOPBACK = ("127.", "::1", "::ffff:127.")


class _Owner:
    """Whose a local connection is, asked once: the kernel lists every socket for an answer."""

    def __init__(self, there: tuple[Any, ...], here: tuple[Any, ...]) -> None:
        self._ends = (there, here)
        self._uid: int | None = None

    def __call__(self) -> int:
        if self._uid is None:
            self._uid = uid_of(*self._ends)
        return self._uid


class Connection:
    """One connection's other end; looked up when somebody wants to know."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @cached_property
    def peer(self) -> Peer:
        """Its address, and its owner where somebody asks for them and the kernel says so."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return Peer("unix", loopback=True, uid=struct.unpack("3i", raw)[1])
        there = self._transport.get_extra_info("peername") or ("", 0)
        here = self._transport.get_extra_info("sockname") or ("", 0)
        if not there[0].startswith(_LOOPBACK):
            return Peer(there[0])
        return Peer(there[0], loopback=True, uid=_Owner(there, here))

    def __call__(self) -> Peer:
        """The same; a scope's state is copied, and this is not looked up before it is wanted."""
        return self.peer


class GuardedProtocol(HttpToolsProtocol):
    """One connection. ``gateway`` is set by :func:`protocol_of`."""

    gateway: Gateway

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it, and start the clock of its first header."""
        self._limits: Limits = self.gateway.limits
        self._fault = ""
        self._in_head, self._head_bytes = True, 0
        self._head_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self.app_state = {**self.app_state, "peer": Connection(transport)}
        if len(self.connections) > self._limits.connections:
            self._refuse("guard.busy", "too many connections at once")
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; what cannot be parsed, or in two ways, ends the connection."""
        self._unset_keepalive_if_required()
        if self._fault:
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("guard.upgrade", "no other protocol is spoken here")
        except httptools.HttpParserError:
            self._refuse(
                self._fault or "guard.http", _WORDS.get(self._fault, "this is not HTTP/1.1")
            )
        else:
            if self._in_head and self._head_bytes > self._limits.head_bytes:
                self._refuse("guard.headers", _WORDS["guard.headers"])

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._seen_bytes = 0
        if self._head_timer is None:
            self._await_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the path."""
        self._grown(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._grown(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The header is whole: one request at a time, and no other protocol."""
        self._in_head, self._head_bytes = False, 0
        self._head_came()
        if self.cycle is not None and not self.cycle.response_complete:
            # answered in turn it would have to be kept; unanswered, the client asks again
            self.cycle.keep_alive = False
            raise self._stop("guard.pipelined")
        if self.parser.should_upgrade():
            raise self._stop("guard.upgrade")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Answered: the next header may take as long as the first."""
        super().on_response_complete()
        self._in_head, self._head_bytes = True, 0

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Who half-closed after a whole request still gets their answer."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False
            return True
        return None

    def _grown(self, count: int) -> None:
        self._seen_bytes += count
        if self._seen_bytes > self._limits.head_bytes:
            raise self._stop("guard.headers")

    def _stop(self, rule: str) -> RuntimeError:
        self._fault = rule
        return RuntimeError(rule)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.head_s, self._too_slow)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        self._refuse("guard.slow", _WORDS["guard.slow"])

    def _refuse(self, rule: str, what: str) -> None:
        """Say why and close; while an answer is on its way nothing is said in between."""
        self._fault = rule
        self.gateway.count(rule)
        if self.cycle is not None and not self.cycle.response_complete:
            if rule != "guard.pipelined":
                self.transport.close()
            return
        if not self.transport.is_closing():
            reply = self.gateway.front.refusal(refused(rule, what), rule, close=True)
            self.transport.write(encoded(reply))
            self.transport.close()


_WORDS = {
    "guard.headers": "the header is too long",
    "guard.slow": "the header took too long",
    "guard.upgrade": "no other protocol is spoken here",
    "guard.pipelined": "one request at a time on a connection",
}


def encoded(reply: Reply) -> bytes:
    """A reply as HTTP/1.1 bytes, after which the connection closes."""
    lines = [b"HTTP/1.1 %d Refused" % reply.status]
    lines += [name + b": " + value for name, value in reply.headers]
    lines += [b"content-length: %d" % len(reply.body), b"connection: close", b"", reply.body]
    return b"\r\n".join(lines)


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
