"""One connection to Redis that many requests share: sent in turn, answered in turn.

The client library opens it (address, TLS, password, database) and reads replies; its own retries
are off. A call that timed out is never sent again; one on a line that had broken is, once, and may
then have been charged twice: too much, never too little.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from sealwright.core.errors import BadInput, MissingExtra
from sealwright.serve.bounds import unavailable

Word = bytes | str | int


class ScriptUnknown(Exception):
    """NOSCRIPT."""


class RedisLine:
    """A line to one server, opened on first use and anew after it broke."""

    def __init__(self, url: str, password: str | None, timeout_s: float) -> None:
        self._pool = _pool(url, password, timeout_s)
        self._timeout_s = timeout_s
        self._opening = asyncio.Lock()
        self._connection: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: deque[asyncio.Future[Any]] = deque()

    async def call(self, *words: Word) -> Any:
        """One command and its reply, texts as bytes. Raises: ScriptUnknown, Unavailable."""
        import redis

        sent = packed(words)
        while True:
            used = connection = self._connection
            try:
                async with asyncio.timeout(self._timeout_s):
                    if connection is None:
                        connection = await self._open()
                    return await self._sent(connection, sent)
            except redis.exceptions.NoScriptError as error:
                raise ScriptUnknown from error
            except (redis.ConnectionError, OSError) as error:
                await self._broken(connection, error)
                # a line that had broken while nobody looked is no reason to refuse: what
                # was taken on it, if anything, stays charged
                if used is None or isinstance(error, TimeoutError):
                    raise _lost(error) from error
            except redis.RedisError as error:
                raise _lost(error) from error

    async def close(self) -> None:
        """Let go."""
        await self._broken(self._connection, TimeoutError("closed"))
        await self._pool.disconnect()

    async def _sent(self, connection: Any, sent: bytes) -> Any:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(reply)
        # written before the first suspension: replies come in the order of calls
        try:
            await connection.send_packed_command((sent,), check_health=False)
        except BaseException:
            # nobody will ask for it any more; its place in the row stays
            if not reply.cancel():
                reply.exception()
            raise
        return await reply

    async def _open(self) -> Any:
        async with self._opening:
            if self._connection is None:
                connection = self._pool.make_connection()
                try:
                    await connection.connect()
                except BaseException:
                    await connection.disconnect(nowait=True)
                    raise
                self._waiting = deque()
                self._connection = connection
                self._reader = asyncio.ensure_future(self._read(connection, self._waiting))
            return self._connection

    async def _read(self, connection: Any, waiting: deque[asyncio.Future[Any]]) -> None:
        import redis

        while True:
            try:
                reply = await connection.read_response(
                    disable_decoding=True, disconnect_on_error=False
                )
            except redis.ResponseError as error:
                reply = error
            except (redis.RedisError, OSError) as error:
                self._drop(connection, waiting, error)
                return
            if not waiting:
                self._drop(connection, waiting, ConnectionError("a reply to nothing"))
                return
            asked = waiting.popleft()
            if asked.done():
                continue
            if isinstance(reply, Exception):
                asked.set_exception(reply)
            else:
                asked.set_result(reply)

    def _drop(self, connection: Any, waiting: deque[asyncio.Future[Any]], error: Exception) -> None:
        if self._connection is connection:
            self._connection = self._reader = None
        connection._close()
        while waiting:
            asked = waiting.popleft()
            if not asked.done():
                late = isinstance(error, TimeoutError)
                asked.set_exception(error if late else ConnectionError(str(error)))

    async def _broken(self, connection: Any, error: Exception) -> None:
        reader, waiting = self._reader, self._waiting
        if connection is None or connection is not self._connection:
            return
        self._drop(connection, waiting, error)
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])
        await connection.disconnect(nowait=True)


def packed(words: tuple[Word, ...]) -> bytes:
    """A command in RESP."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if type(word) is bytes else str(word).encode()
        out.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(out)


def _pool(url: str, password: str | None, timeout_s: float) -> Any:
    try:
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise MissingExtra("a leakage ledger in Redis", "redis") from error
    options: dict[str, Any] = {"password": password} if password else {}
    try:
        return ConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=timeout_s,
            socket_timeout=None,
            **options,
        )
    except ValueError as error:
        raise BadInput(
            "the address of Redis cannot be read",
            why=str(error),
            hint='[serve] ledger = "redis://HOST:6379/0 + postgresql://…"',
        ) from error


def _lost(error: BaseException) -> Exception:
    kind, said = type(error).__name__, str(error).split("\n")[0][:120]
    hint = "start Redis, or mend [serve] ledger in seal.toml"
    if kind == "OutOfMemoryError" or said.startswith("MISCONF"):
        hint = "give Redis more memory or disk (maxmemory, dir)"
    elif kind == "ReadOnlyError" or said.startswith("MOVED"):
        hint = "name the one primary server in [serve] ledger; a cluster is not supported"
    elif "auth" in f"{kind} {said}".lower() or kind == "NoPermissionError":
        hint = "set SEAL_REDIS_PASSWORD, and allow EVALSHA, SCRIPT, INFO, SCAN and UNLINK"
    return unavailable("Redis is out of reach or refuses", f"{kind}: {said}".strip(": "), hint)
