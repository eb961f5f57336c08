"""What every HTTP request passes before the guard: its head is judged before its body is read.

How many are asked at once has a limit; a request that can be read in two ways is refused. Whatever
happens inside ends in a reply of the protocol's own form: a fault is a word, never a traceback.
What a connection may take, and how long, the listener holds to (``serve/listener.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from sealwright.core.clock import forward_ms
from sealwright.core.errors import Refused, SealError
from sealwright.serve.messages import Peer, Reply, Request
from sealwright.serve.refusals import OutOfService, refused, rule_of

ONCE = frozenset(
    {
        *(b"authorization", b"content-length", b"content-type", b"content-encoding", b"host"),
        *(b"transfer-encoding", b"inference-header-content-length", b"seal-proof"),
    }
)
"""Headers of which a second one makes a request two requests."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one client may take. Bytes, seconds, and how many at once."""

    head_bytes: int = 16 << 10
    body_bytes: int = 8 << 20
    head_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 30.0
    requests: int = 64
    connections: int = 1_024


class Front(Protocol):
    """One protocol's routes: a request in, a reply out, also where the answer is no."""

    async def handle(self, request: Request) -> Reply:
        """The reply."""
        ...

    def refusal(self, error: SealError, rule: str, *, close: bool = False) -> Reply:
        """A refusal in the protocol's form."""
        ...


class Gateway:
    """What every request passes. ``stopping`` refuses what comes."""

    def __init__(
        self,
        front: Front,
        limits: Limits,
        count: Callable[[str], None],
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.front = front
        self.limits = limits
        self.count = count
        self._now_ms = forward_ms()
        self._say = say
        self._busy = 0
        self.stopping = False

    def began(self) -> None:
        """The head of a request is there; :meth:`ended` says that it was answered, or is gone."""
        self._busy += 1

    def ended(self) -> None:
        """See :meth:`began`."""
        self._busy -= 1

    @property
    def has_room(self) -> bool:
        """Whether a request that comes now may be read: :meth:`head` says why not."""
        return not self.stopping and self._busy < self.limits.requests

    def head(self, given: list[tuple[bytes, bytes]], query: bytes) -> dict[bytes, bytes]:
        """The headers of a request that may be read on. Raises: Refused, OutOfService."""
        if self.stopping:
            raise OutOfService("guard.stopping", "this server is stopping")
        if self._busy > self.limits.requests:
            raise OutOfService(
                "guard.busy",
                "too many requests at once",
                why=f"{self.limits.requests} are answered at a time",
            )
        headers = headers_of(given)
        _refuse_ambiguous(query, headers)
        length = headers.get(b"content-length", b"")
        if length and int(length) > self.limits.body_bytes:
            raise self.too_large()
        return headers

    def refusal(self, error: SealError) -> Reply:
        """What the client is told before anybody was known; counted."""
        rule = rule_of(error)
        self.count(rule)
        return self.front.refusal(error, rule, close=True)

    async def answer(
        self, method: str, path: bytes, headers: dict[bytes, bytes], body: bytes, peer: Peer
    ) -> Reply:
        """The reply to a whole request, always."""
        at_ms = self._now_ms()
        request = Request(method, path.decode("ascii", "replace"), headers, body, peer, at_ms)
        try:
            return await self.front.handle(request)
        except Exception as error:
            # what no link of the chain foresaw: said to the operator by its kind alone
            self._say(f"fault: {type(error).__name__}: {error}"[:300])
            self.count("guard.fault")
            fault = OutOfService("guard.fault", "something went wrong in the guard")
            return self.front.refusal(fault, "guard.fault", close=True)

    def too_slow(self) -> Refused:
        """``guard.slow``."""
        return refused(
            "guard.slow", "the body took too long", f"{self.limits.body_s:g} s are given"
        )

    def too_large(self) -> Refused:
        """``guard.too-large``."""
        return refused(
            "guard.too-large",
            "the body is too large",
            f"{self.limits.body_bytes} bytes at most",
            "send several requests",
        )


def headers_of(given: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name. Raises: Refused (``guard.header``: one that must be there once is twice)."""
    out = dict(given)
    if len(out) == len(given):
        return out
    out.clear()
    for name, value in given:
        if name in out and name in ONCE:
            raise refused("guard.header", f"there are two headers {name.decode('latin-1')}")
        out.setdefault(name, value)
    return out


def _refuse_ambiguous(query: bytes, headers: dict[bytes, bytes]) -> None:
    if b"upgrade" in headers:
        raise refused("guard.upgrade", "no other protocol is spoken here")
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if coding is not None and (length is not None or coding.lower() != b"chunked"):
        raise refused("guard.header", "the length of the body can be read in two ways")
    if length is not None and not length.isdigit():
        raise refused("guard.header", "Content-Length is no number")
    if query:
        raise refused("guard.http", "nothing is asked by a query string here")
