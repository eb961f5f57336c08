"""Bytes between a room and one granted host, each taken from the budget before it moves."""

from __future__ import annotations

import re
import selectors
import socket

from sealwright.train.egress import Budget, Denied
from sealwright.train.egress_http import Head
from sealwright.train.redact import Stream

_CHUNK = 1 << 16
_IDLE_S = 60.0
_SIZE = re.compile(rb"[0-9a-fA-F]{1,12}")


class Wire:
    """One connection's counters over its host's budget. ``begun``: an answer is on its way."""

    def __init__(self, budget: Budget | None) -> None:
        self._budget = budget
        self.up = 0
        self.down = 0
        self.begun = False

    def send_up(self, upstream: socket.socket, data: bytes) -> None:
        """Raises: Denied (egress.budget): nothing of ``data`` was sent."""
        self._take(len(data))
        self.up += len(data)
        upstream.sendall(data)

    def send_down(self, client: socket.socket, data: bytes) -> None:
        """Raises: Denied (egress.budget)."""
        self._take(len(data))
        self.begun = True
        self.down += len(data)
        client.sendall(data)

    def pour_down(
        self, upstream: socket.socket, client: socket.socket, masked: Stream | None
    ) -> None:
        """The answer until the upstream ends it. ``masked`` hides a secret it echoes."""
        while data := upstream.recv(_CHUNK):
            self.send_down(client, masked.feed(data) if masked else data)
        if masked:
            self.send_down(client, masked.end())

    def _take(self, count: int) -> None:
        if self._budget is not None and not self._budget.take(count):
            raise Denied("egress.budget")


def tunnel(client: socket.socket, upstream: socket.socket, early: bytes, wire: Wire) -> None:
    """Both ways until both have ended. Raises: Denied (egress.budget), OSError."""
    if early:
        wire.send_up(upstream, early)
    ends = {client: upstream, upstream: client}
    with selectors.DefaultSelector() as waiting:
        for end in ends:
            waiting.register(end, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(_IDLE_S)
            if not ready:
                return
            for key, _ in ready:
                source = client if key.fileobj is client else upstream
                data = source.recv(_CHUNK)
                if not data:
                    waiting.unregister(source)
                    ends[source].shutdown(socket.SHUT_WR)
                elif source is client:
                    wire.send_up(upstream, data)
                else:
                    wire.send_down(client, data)


def relay_body(
    client: socket.socket, upstream: socket.socket, head: Head, early: bytes, wire: Wire
) -> None:
    """Exactly the body the head announced; what follows it is never read."""
    source = _Source(client, early)
    if not head.chunked:
        left = head.length
        while left:
            data = source.some(min(left, _CHUNK))
            left -= len(data)
            wire.send_up(upstream, data)
        return
    while True:
        size_line = source.line()
        if not _SIZE.fullmatch(size_line):  # extensions too: two readers could differ
            raise Denied("egress.malformed", head.host, head.port)
        size = left = int(size_line, 16)
        wire.send_up(upstream, b"%x\r\n" % size)
        while left:
            data = source.some(min(left, _CHUNK))
            left -= len(data)
            wire.send_up(upstream, data)
        if source.line():  # a trailer, or a chunk longer than it said
            raise Denied("egress.malformed", head.host, head.port)
        wire.send_up(upstream, b"\r\n")
        if not size:
            return


class _Source:
    """The client's bytes, those that came with the head first."""

    def __init__(self, client: socket.socket, early: bytes) -> None:
        self._client = client
        self._buffer = early

    def some(self, most: int) -> bytes:
        data = self._buffer[:most] or self._client.recv(most)
        self._buffer = self._buffer[len(data) :] if self._buffer else b""
        if not data:
            raise Denied("egress.malformed")
        return data

    def line(self) -> bytes:
        data = b""
        while not data.endswith(b"\r\n"):
            if len(data) > 32:
                raise Denied("egress.malformed")
            data += self.some(1)
        return data[:-2]
