"""A proxy in the guard's own runtime that checks nothing: the floor under the guard's CPU.

``python -m sealwright.app.bench.guard.bareproxy HOST:PORT`` prints where it listens. uvloop,
httptools and kept connections, as the guard; a question goes on as it came, an answer too.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import Any

import httptools

_QUESTION = b"%s %s HTTP/1.1\r\nhost: behind\r\ncontent-length: %d\r\n\r\n%s"
_ANSWER = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


class Message(asyncio.Protocol):
    """One connection: the bytes of a body, collected until its message is whole."""

    parser: Any

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self.transport = transport
        self.parts: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.parts.append(data)

    def taken(self) -> bytes:
        """The body; the next one begins."""
        body = b"".join(self.parts)
        self.parts = []
        return body


class Behind(Message):
    """A kept connection to the server; ``front`` is who asks."""

    front: Front

    def __init__(self, idle: deque[Behind]) -> None:
        self._idle = idle
        self.parser = httptools.HttpResponseParser(self)

    def ask(self, front: Front, question: bytes) -> None:
        """Send it on."""
        self.front = front
        self.transport.write(question)

    def on_message_complete(self) -> None:
        """Send the answer back."""
        status, body = self.parser.get_status_code(), self.taken()
        self.parser = httptools.HttpResponseParser(self)
        self._idle.append(self)
        self.front.transport.write(_ANSWER % (status, len(body), body))


class Front(Message):
    """A client's connection."""

    def __init__(self, host: str, port: int, idle: deque[Behind]) -> None:
        self._where, self._idle = (host, port), idle
        self._url = b""
        self._opening: asyncio.Task[None] | None = None
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        """A part of the path."""
        self._url += url

    def on_message_complete(self) -> None:
        """Ask on a kept connection, or on a new one."""
        body, url, self._url = self.taken(), self._url, b""
        question = _QUESTION % (self.parser.get_method(), url, len(body), body)
        if self._idle:
            self._idle.pop().ask(self, question)
        else:
            self._opening = asyncio.get_running_loop().create_task(self._opened(question))

    async def _opened(self, question: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: Behind(self._idle), *self._where)
        made.ask(self, question)


async def listen(host: str, port: int) -> None:
    """Answer until killed; prints the address."""
    idle: deque[Behind] = deque()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Front(host, port, idle), "127.0.0.1", 0)
    sys.stdout.write(f"127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    _host, _, _port = sys.argv[1].partition(":")
    uvloop.run(listen(_host, int(_port)))
