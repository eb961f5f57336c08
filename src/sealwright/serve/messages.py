"""A request and a reply as the guard sees them, whatever carried them: HTTP, a proxy, ext_proc."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping

import msgspec

Headers = Mapping[bytes, bytes]
JSON = b"application/json"


class Peer(msgspec.Struct, frozen=True):
    """Where a connection comes from. ``uid``: whose it is, or who asks the kernel for that."""

    address: str
    loopback: bool = False
    uid: int | Callable[[], int] = -1

    def owner(self) -> int:
        """Whose it is; -1 where the kernel does not say."""
        return self.uid() if callable(self.uid) else self.uid


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request, whole. Header names are lower case and there once each."""

    method: str
    path: str
    headers: Headers
    body: bytes
    peer: Peer
    at_ms: int


class Reply(msgspec.Struct, frozen=True):
    """What goes back. ``close``: the connection ends with it.

    ``stream``: the body comes from there, piece by piece; whoever sends it closes it, also where
    the client left.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", JSON),)
    close: bool = False
    stream: AsyncGenerator[bytes, None] | None = None
