"""The chain before a scripted server, in one process: real parts, HTTP behind, ASGI before."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.adapters.upstream_http import Address, HttpUpstream
from sealwright.adapters.upstream_wire import Limits as WireLimits
from sealwright.core.errors import SealError
from sealwright.serve.callers import Callers, Door, Known, ServingKey, digest_of, mark_of, new_key
from sealwright.serve.egress import Egress
from sealwright.serve.evidence import Event, InputKey, Record
from sealwright.serve.gateway import Gateway, Limits
from sealwright.serve.guard import Guard, Offer
from sealwright.serve.interface import Allowance, Caller
from sealwright.serve.messages import Peer
from sealwright.serve.openai_ask import Limits as TextLimits
from sealwright.serve.openai_front import OpenAiFront
from sealwright.serve.openai_mount import OpenAiMount, Text

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}


class Script:
    """A server that answers with the same bytes, ``after_s`` between pieces, and closes."""

    def __init__(self, *pieces: bytes, after_s: float = 0, ends: bool = True) -> None:
        self.pieces = pieces
        self.after_s = after_s
        self.ends = ends
        self.seen: list[tuple[bytes, Any]] = []
        self.hung_up = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")]
            body = await reader.readexactly(int(length[0].split(b":")[1]))
            self.seen.append((head, json.loads(body)))
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(self.after_s)
            if not self.ends:
                await reader.read()
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            self.hung_up.set()
            writer.close()


def whole(body: Any, status: int = 200, media: str = "application/json") -> bytes:
    """A plain answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {media}\r\ncontent-length: {len(data)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + data


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"


def event(body: Any) -> bytes:
    return chunk(
        b"data: " + (body if isinstance(body, bytes) else json.dumps(body).encode()) + b"\n\n"
    )


def delta(text: str, ended: str | None = None, index: int = 0) -> bytes:
    said = {"index": index, "delta": {"content": text}, "finish_reason": ended}
    return event({"choices": [said]})


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.events: list[Event] = []
        self.counts: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        self.records.append(record)

    async def event(self, event: Event) -> None:
        self.events.append(event)

    def count(self, rule: str) -> None:
        self.counts[rule] += 1


class Always:
    def require(self) -> None:
        """Always."""


class House:
    """A gateway to ask, what it kept, and its ledger."""

    def __init__(self, gateway: Gateway, kept: Kept, ledger: MemoryLedger, keys: dict) -> None:
        self.gateway = gateway
        self.kept = kept
        self.ledger = ledger
        self.keys = keys

    async def ask(
        self,
        body: Any,
        path: str = "/v1/chat/completions",
        key: str = "acme",
        hang_up_after: int = -1,
        method: str = "POST",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body; ``hang_up_after`` so many pieces the client leaves."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = [(b"authorization", f"Bearer {self.keys[key]}".encode()), *headers]
        try:
            known = self.gateway.head(given, b"")
        except SealError as error:
            reply = self.gateway.refusal(error)
        else:
            peer = Peer("192.0.2.1")
            reply = await self.gateway.answer(method, path.encode(), known, data, peer)
        told = {a.decode(): b.decode() for a, b in reply.headers}
        if reply.stream is None:
            return reply.status, told, reply.body
        out = list[bytes]()
        if hang_up_after:
            async for piece in reply.stream:
                out.append(piece)
                if len(out) == hang_up_after:
                    break
        await reply.stream.aclose()
        return reply.status, told, b"".join(out)

    async def spent_bits(self, principal: str = "key:acme") -> float:
        """What somebody is charged."""
        for balance in await self.ledger.balances("upstream:toy"):
            if principal in balance.members:
                return balance.spent_mbits / 1000
        return 0


def known(name: str, fidelity: str, key: str) -> Known:
    record = ServingKey(
        name, digest_of(key), "", False, fidelity, 0, "", mark_of(key, honey=False),  # type: ignore[arg-type]
        "create", "ada", "", "2026-01-01T00:00:00Z",
    )  # fmt: skip
    return Known(record, Caller(f"key:{name}", "key", fidelity=fidelity), 0)  # type: ignore[arg-type]


@asynccontextmanager
async def house(
    folder: Path,
    script: Any,
    egress: Egress | None = None,
    budget_bits: int = 10_000_000,
    limits: TextLimits | None = None,
) -> AsyncIterator[House]:
    """The chain before ``script``."""
    listening = await asyncio.start_server(script, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    wire = WireLimits(connect_s=1, head_s=1, piece_s=0.5, total_s=5)
    upstream = HttpUpstream(Address("127.0.0.1", port), wire, {b"authorization": b"Bearer own"})
    keys = {name: new_key() for name in ("acme", "grantee")}
    callers = Callers(Door(0, "ada", False), lambda *_: 1 / 0)  # type: ignore[arg-type, return-value]
    callers.replace(
        {
            digest_of(keys["acme"]): known("acme", "top1", keys["acme"]),
            digest_of(keys["grantee"]): known("grantee", "full", keys["grantee"]),
        }
    )
    ledger, kept = MemoryLedger.open(folder / "budget.db"), Kept()
    mount = OpenAiMount(
        Text("toy", "org/toy", limits or TextLimits(tokens=200)), upstream, egress or Egress()
    )
    allowance = Allowance(
        budget_bits * 1000, budget_bits * 100_000, rate_per_s=10_000, burst=10_000
    )
    offer = Offer("upstream:toy", "0" * 64, "1" * 64, "text", allowance, allowance)
    guard = Guard(offer, mount, callers, ledger, kept, Always(), InputKey(b"k" * 32))
    front = OpenAiFront(guard, mount, Always(), kept.count)
    gateway = Gateway(front, Limits(body_s=2), kept.count)
    try:
        yield House(gateway, kept, ledger, keys)
    finally:
        await upstream.close()
        await ledger.close()
        listening.close()
        await asyncio.sleep(0.01)
