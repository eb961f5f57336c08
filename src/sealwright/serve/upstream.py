"""The port of a server behind the guard: what is asked of it, and how its answer comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import msgspec


class Got(msgspec.Struct, frozen=True):
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


class Stream(Protocol):
    """An answer whose body comes in pieces."""

    status: int
    headers: Mapping[bytes, bytes]

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises: Unavailable (it hung, died or was framed wrongly)."""
        ...

    def close(self) -> None:
        """Let go; what has not come yet is not wanted."""
        ...


class Upstream(Protocol):
    """One server. It is never followed elsewhere, and answers without an end are none."""

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = {}
    ) -> Got:
        """Raises: Unavailable (unreachable, hung, died, framed wrongly, too large)."""
        ...

    async def open(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[bytes, bytes] = {}
    ) -> Stream:
        """As :meth:`ask`, for an answer that streams; the head has come."""
        ...

    async def close(self) -> None:
        """End every connection."""
        ...
