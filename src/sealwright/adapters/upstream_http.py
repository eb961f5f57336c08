"""A server behind the guard, over HTTP/1.1: a pool of kept connections. Port: ``Upstream``.

TCP, TLS or a Unix socket. Nothing is followed elsewhere. A question is sent once: it is asked
again on another connection only where nothing of it was sent, or where asking twice does no harm.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import msgspec

from sealwright.adapters.upstream_wire import Connection, Limits, broken, head_of
from sealwright.core.errors import BadInput, Unavailable
from sealwright.serve.upstream import Got

_HERE = frozenset({"localhost", "::1"})
_NONE: Mapping[bytes, bytes] = {}
_MOST_HEADS = 64
"""Heads of questions that are remembered."""
_STOPPED = "it stopped in the middle of its answer"


class Address(msgspec.Struct, frozen=True):
    """Where a server listens. ``socket``: the path of a Unix socket."""

    host: str = ""
    port: int = 0
    tls: bool = False
    socket: str = ""

    @property
    def authority(self) -> str:
        """What the Host header says."""
        if self.socket:
            return "localhost"
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{name}:{self.port}"

    @property
    def here(self) -> bool:
        """Whether what is sent stays on this machine."""
        return bool(self.socket) or self.host in _HERE or self.host.startswith("127.")

    def __str__(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"unix:{self.socket}" if self.socket else f"{scheme}://{self.authority}"


def parse_address(text: str) -> Address:
    """Read ``http://host:port``, ``https://host`` or ``unix:/path``. Raises: BadInput."""
    if text.startswith("unix:/"):
        return Address(socket=text.removeprefix("unix:"))
    parts = urlsplit(text)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if parts.scheme not in ("http", "https") or not parts.hostname or not port or not bare:
        raise BadInput(
            f"{text!r} is not where a server can be",
            hint="write http://HOST:PORT, https://HOST or unix:/path/of/socket",
        )
    return Address(parts.hostname, port, parts.scheme == "https")


class _Places:
    """As many as there may be; who finds none waits in line."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._line: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Whether there was one."""
        if self._left == 0:
            return False
        self._left -= 1
        return True

    async def wait(self) -> None:
        """Until it is one's turn."""
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it came too late for who gave up
                self.give()
            raise

    def give(self) -> None:
        """One back: to who waits longest."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._left += 1


class HttpUpstream:
    """One server. ``own``: headers that the guard adds, such as its own credentials."""

    def __init__(
        self,
        address: Address,
        limits: Limits | None = None,
        own: Mapping[bytes, bytes] = _NONE,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._limits = limits or Limits()
        self._own = dict(own)
        self._context = context or (ssl.create_default_context() if address.tls else None)
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._free = _Places(self._limits.connections)
        self._heads: dict[tuple[object, ...], bytes] = {}
        self._slow = f"it took longer than {self._limits.head_s:g} s"

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = _NONE
    ) -> Got:
        """See ``serve.upstream``."""
        connection = await self._asked(method, path, body, headers, whole=True)
        got = Got(connection.status, connection.headers, connection.body())
        self._let_go(connection)
        return got

    async def open(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = _NONE
    ) -> Streamed:
        """See ``serve.upstream``."""
        connection = await self._asked(method, path, body, headers, whole=False)
        connection.expect(0, "")
        return Streamed(self, connection, self._limits)

    async def close(self) -> None:
        """See ``serve.upstream``."""
        for connection in list(self._all):
            connection.close()
        self._idle.clear()

    async def _asked(
        self, method: str, path: str, body: bytes, headers: Mapping[bytes, bytes], *, whole: bool
    ) -> Connection:
        """A connection on which the head of the answer is there, or the whole answer."""
        question = self._head(method, path, body, headers) + body
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.head_s
        if not self._free.take():
            await self._turn(until)
        again = method == "GET"
        while True:
            kept = self._kept(loop.time()) if self._idle else None
            try:
                connection = kept or await self._connect()
            except BaseException:
                self._free.give()
                raise
            try:
                await connection.ask(question, until, self._slow, whole=whole)
            except Unavailable:
                answered = connection.answered
                self._drop(connection)
                if kept is not None and again and not answered and loop.time() < until:
                    continue  # it was closed while it lay idle; nothing but a GET is asked twice
                self._free.give()
                raise
            except BaseException:
                self._drop(connection)
                self._free.give()
                raise
            return connection

    async def _turn(self, until: float) -> None:
        """Wait for one of as many places as there may be connections."""
        try:
            async with asyncio.timeout_at(until):
                await self._free.wait()
        except TimeoutError as error:
            raise broken(self._slow) from error

    def _head(self, method: str, path: str, body: bytes, headers: Mapping[bytes, bytes]) -> bytes:
        key = (method, path, *headers.items())
        known = self._heads.get(key)
        if known is None:
            known = head_of(method, path, self._address.authority, {**self._own, **headers})
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            self._heads[key] = known
        if body or method == "POST":
            return known + b"content-length: %d\r\n\r\n" % len(body)
        return known + b"\r\n"

    def _kept(self, now: float) -> Connection | None:
        """The connection used last that is still good."""
        oldest = now - self._limits.keep_s
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since >= oldest:
                return connection
            self._drop(connection)
        return None

    async def _connect(self) -> Connection:
        loop, address = asyncio.get_running_loop(), self._address
        try:
            async with asyncio.timeout(self._limits.connect_s):
                if address.socket:
                    _, made = await loop.create_unix_connection(self._new, address.socket)
                else:
                    _, made = await loop.create_connection(
                        self._new,
                        address.host,
                        address.port,
                        ssl=self._context,
                        server_hostname=address.host if self._context else None,
                    )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            raise Unavailable(
                f"the server at {address} cannot be reached",
                why=str(error) or f"no connection within {self._limits.connect_s:g} s",
                hint="start it, or say where it is with --upstream",
            ) from error
        self._all.add(made)
        return made

    def _new(self) -> Connection:
        return Connection(self._limits)

    def _let_go(self, connection: Connection) -> None:
        """Keep the connection for the next question where its answer was whole."""
        if connection.rested(asyncio.get_running_loop().time()):
            self._idle.append(connection)
        else:
            self._drop(connection)
        self._free.give()

    def _drop(self, connection: Connection) -> None:
        self._all.discard(connection)
        connection.close()


class Streamed:
    """See ``serve.upstream.Stream``."""

    def __init__(self, pool: HttpUpstream, connection: Connection, limits: Limits) -> None:
        self.status = connection.status
        self.headers: Mapping[bytes, bytes] = connection.headers
        self._pool = pool
        self._connection: Connection | None = connection
        self._limits = limits

    async def pieces(self) -> AsyncIterator[bytes]:
        """See ``serve.upstream.Stream``."""
        end = asyncio.get_running_loop().time() + self._limits.total_s
        while self._connection is not None:
            connection, now = self._connection, asyncio.get_running_loop().time()
            connection.expect(min(now + self._limits.piece_s, end), _STOPPED)
            try:
                piece = await connection.piece()
            except Unavailable:
                self.close()
                raise
            connection.expect(0, "")
            if not piece:
                self.close()
                return
            yield piece

    def close(self) -> None:
        """See ``serve.upstream.Stream``."""
        if self._connection is not None:
            self._pool._let_go(self._connection)
            self._connection = None
