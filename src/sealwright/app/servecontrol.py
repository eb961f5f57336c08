"""The served model's own counter: a Unix socket for who runs it, one question a connection.

The kernel says whose the other end is; only the server's own uid is answered. The socket lies in
the state directory (0700). Questions and answers are one line of JSON each.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sealwright.core import localsocket
from sealwright.core.errors import BadInput, SealError, Unavailable

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

NAME = "serve.sock"
_MOST = 8 << 20
_WAIT_S = 10.0

Answer = Callable[["Question"], Awaitable[dict[str, Any]]]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``word`` is what is asked; the rest is what it is about."""

    word: str
    group: str = ""
    principal: str = ""
    reason: str = ""
    rung: str = ""
    span_s: int = 0


class Control:
    """Answers on the socket until closed. ``answer`` raises: SealError."""

    def __init__(self, workspace: Workspace, answer: Answer) -> None:
        self._folder = workspace.state_dir
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. Raises: Unavailable (another server has it)."""
        with _near(self._folder) as path:
            try:
                sock = localsocket.private(Path(path), 8)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                raise Unavailable(
                    "a model of this workspace is being served already",
                    hint="seal serve status",
                ) from error
        sock.setblocking(False)
        self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=1 << 16)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            (self._folder / NAME).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            said = await self._said(reader, writer.get_extra_info("socket"))
            writer.write(msgspec.json.encode(said) + b"\n")
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass
        finally:
            writer.close()

    async def _said(self, reader: asyncio.StreamReader, sock: socket.socket) -> dict[str, Any]:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", raw)[1] != os.getuid():
            return {"error": ["this server does not answer your account", "", ""]}
        async with asyncio.timeout(_WAIT_S):
            line = await reader.readline()
        try:
            return await self._answer(msgspec.json.decode(line, type=Question))
        except msgspec.DecodeError as error:
            return {"error": ["that was no question", str(error), ""]}
        except SealError as error:
            return {"error": [error.what, error.why, error.hint]}


def ask(workspace: Workspace, question: Question) -> dict[str, Any]:
    """What the running server says. Raises: Unavailable (nothing is served), BadInput."""
    with socket.socket(socket.AF_UNIX) as sock, _near(workspace.state_dir) as path:
        sock.settimeout(_WAIT_S)
        try:
            sock.connect(path)
        except OSError as error:
            raise Unavailable(
                "no model of this workspace is being served here", hint="seal serve MODEL"
            ) from error
        sock.sendall(msgspec.json.encode(question) + b"\n")
        data = bytearray()
        while not data.endswith(b"\n") and (part := sock.recv(1 << 16)):
            data += part
            if len(data) > _MOST:
                raise Unavailable("the server says too much")
    found: dict[str, Any] = msgspec.json.decode(bytes(data))
    if "error" in found:
        what, why, hint = found["error"]
        raise BadInput(what, why=why, hint=hint)
    return found


class _near:
    """A path to the socket that is short enough for one, however deep its folder lies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1

    def __enter__(self) -> str:
        self._fd = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{NAME}"

    def __exit__(self, *error: object) -> None:
        os.close(self._fd)
