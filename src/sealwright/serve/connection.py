"""Where a connection comes from: its address, and on this machine whose it is."""

from __future__ import annotations

import asyncio
import socket
import struct
from functools import cached_property
from typing import Any

from sealwright.serve.localpeer import uid_of
from sealwright.serve.messages import Peer

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
