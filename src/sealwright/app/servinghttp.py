"""The server's address: listening, answering until a signal, and what one client may take."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from sealwright.app.servingbase import Where
from sealwright.core import localsocket
from sealwright.core.amounts import size_bytes, span_s
from sealwright.core.errors import Unavailable
from sealwright.core.servesettings import ServeSettings
from sealwright.serve.gateway import Front, Gateway, Limits

Say = Callable[[str], None]
STOP_S = 10
BACKLOG = 256


class Runs(Protocol):
    """What goes on beside the answering until it is cancelled."""

    async def run(self) -> None:
        """Go on."""
        ...


async def answer(
    front: Front,
    where: Where,
    settings: ServeSettings,
    ready: Callable[[str], None],
    beside: Sequence[Runs],
    count: Callable[[str], None],
    say: Say,
) -> None:
    """Listen and answer by ``front`` until a signal ends it. Raises: Unavailable."""
    from sealwright.serve.listener import server_of

    gateway = Gateway(front, limits_of(settings), count, say)
    server = server_of(gateway, STOP_S)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, server, gateway)
    listening = listen(where)
    tasks = [asyncio.create_task(one.run()) for one in beside]
    try:
        ready(url_of(where, listening))
        await server.serve(sockets=[listening])
    finally:
        for task in tasks:
            task.cancel()
        if where.path:
            Path(where.path).unlink(missing_ok=True)


def _stop(server: Any, gateway: Gateway) -> None:
    """What is being answered is answered; what comes from now on is refused."""
    gateway.stopping = True
    server.should_exit = True


def limits_of(settings: ServeSettings) -> Limits:
    """What one client may take."""
    return Limits(
        head_bytes=size_bytes(settings.head),
        body_bytes=size_bytes(settings.body),
        head_s=span_s(settings.head_time),
        body_s=span_s(settings.body_time),
        idle_s=span_s(settings.idle_time),
        requests=settings.requests,
        connections=settings.connections,
    )


def listen(where: Where) -> socket.socket:
    """A listening socket. Raises: Unavailable (the address is taken)."""
    try:
        if where.path:
            return localsocket.private(Path(where.path), BACKLOG)
        family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((where.host, where.port))
        sock.listen(BACKLOG)
        return sock
    except OSError as error:
        other = "--socket PATH" if where.path else "--port PORT"
        raise Unavailable(
            f"cannot listen on {where.path or f'{where.host}:{where.port}'}",
            why=error.strerror or str(error),
            hint=f"name another: seal serve MODEL {other}",
        ) from error


def url_of(where: Where, listening: socket.socket) -> str:
    """What a client is given."""
    if where.path:
        return f"unix:{where.path}"
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
