"""What the guard adds to an answer: CPU in the server's process, and time at a constant rate.

The model is a small matrix in the server's own process, so that the guard is what differs. On and
off take turns: off is the same HTTP server and the same protocol, without the chain. The ledger is
SQLite's, records are written and get signed roots in a real log. Latency counts from the moment a
request was due, so a server that falls behind is not flattered (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np

from sealwright.app.bench import Ask, Row, measure
from sealwright.app.bench.guard.overhead_server import KEY, WIDTH, Parts, made
from sealwright.serve.messages import Peer, Request

RATE = 1_000
PATIENCE_S = 5.0
"""A request without an answer for so long has failed."""
SATURATED_MS = 20.0
"""A median above this says that requests queue: the rate is more than the machine does."""
_PATH = "/v2/models/toy/infer"
_PEER = Peer("192.0.2.7")


def rows(ask: Ask) -> list[Row]:
    """CPU microseconds a request, and the 99th percentile at 1,000 requests a second."""
    body = request_body()
    found = asyncio.run(_cpu(body, 3 if ask.quick else 9, 300 if ask.quick else 2_000))
    out = [
        measure(
            "guard, CPU added per request: auth, rate, reserve, filter, settle, evidence",
            found["on"] - found["off"],
            "µs",
            target=50,
            better="lower",
            yardsticks={"server's work without it": found["off"], "with it": found["on"]},
            note="median of turns in one process; roots are signed and logged meanwhile",
        )
    ]
    out += asyncio.run(_latency(body, 1 if ask.quick else 5, 2 if ask.quick else 6))
    return out


def request_body() -> bytes:
    """One row of 64 numbers."""
    data = [round(0.01 * at, 2) for at in range(WIDTH)]
    one = {"name": "input", "shape": [1, WIDTH], "datatype": "FP64", "data": data}
    return json.dumps({"inputs": [one]}).encode()


async def _cpu(body: bytes, turns: int, count: int) -> dict[str, float]:
    spent: dict[str, list[float]] = {"on": [], "off": []}
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as held:
            parts = await made(Path(folder), held)
            await _work(parts, "on", body, count // 4)
            for turn in range(turns * 2):
                which = ("on", "off")[turn % 2]
                start = time.process_time()
                await _work(parts, which, body, count)
                spent[which].append((time.process_time() - start) / count * 1e6)
    return {which: statistics.median(values) for which, values in spent.items()}


async def _work(parts: Parts, which: str, body: bytes, count: int) -> None:
    front = parts.guarded if which == "on" else parts.bare
    headers = {b"authorization": f"Bearer {KEY}".encode()}
    for _ in range(count):
        request = Request("POST", _PATH, headers, body, _PEER, time.time_ns() // 1_000_000)
        reply = await front.handle(request)
        if reply.status != 200:
            raise RuntimeError(reply.body.decode())
    if which == "on":
        await parts.journal.flush()


async def _latency(body: bytes, turns: int, span_s: int) -> list[Row]:
    """Turns of on and off over HTTP, each server a process of its own."""
    found: dict[str, list[np.ndarray]] = {"on": [], "off": []}
    late = 0
    for _ in range(turns):
        for which in ("off", "on"):
            with tempfile.TemporaryDirectory() as folder:
                process = _started(which, folder)
                try:
                    port = int(process.stdout.readline() if process.stdout else b"0")
                    await constant_rate(port, body, RATE, 1)
                    times, behind = await constant_rate(port, body, RATE, span_s)
                    found[which].append(times)
                    late += behind
                finally:
                    process.kill()
                    process.communicate()
    load = os.getloadavg()[0]
    note = (
        f"median over {turns} turns of {span_s} s; load average {load:.1f} on {os.cpu_count()}"
        f" cores; {late} requests were sent over 1 ms late by the generator itself"
    )
    p99, p50 = ({which: _middle(each, at) for which, each in found.items()} for at in (99, 50))
    what = f"guard, p99 added at {RATE:,} requests a second"
    if not p50["off"] < SATURATED_MS:
        full = f"without the guard, too, this machine does not keep up with that rate; {note}"
        return [Row(what, None, "ms", "<= 0.2", None, {}, full)]
    return [
        measure(
            what,
            p99["on"] - p99["off"],
            "ms",
            target=0.2,
            better="lower",
            yardsticks={"p99 without it": p99["off"], "p99 with it": p99["on"]},
            note=note,
        ),
        measure(
            f"guard, median added at {RATE:,} requests a second",
            p50["on"] - p50["off"],
            "ms",
            yardsticks={"median without it": p50["off"], "median with it": p50["on"]},
        ),
    ]


def _middle(turns: list[np.ndarray], percentile: int) -> float:
    """The median over turns of one percentile; a request that failed took for ever."""
    each = [np.nan_to_num(one, nan=np.inf) for one in turns]
    return statistics.median(float(np.percentile(one, percentile)) for one in each)


def _started(which: str, folder: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "sealwright.app.bench.guard.overhead_server", which, folder],
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


async def constant_rate(port: int, body: bytes, rate: int, span_s: float) -> tuple[np.ndarray, int]:
    """Milliseconds from when each request was due to its whole answer, at a constant rate.

    As many connections as are needed; each has one request at a time. Also returns how many were
    sent more than a millisecond late by the generator.
    """
    head = (
        f"POST {_PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    message, idle = head.encode() + body, list[_Connection]()
    loop, count = asyncio.get_running_loop(), int(rate * span_s)
    times, late, tasks = np.zeros(count), 0, set[asyncio.Task[None]]()

    async def one(at: int, due: float) -> None:
        try:
            connection = idle.pop() if idle else await _Connection.opened(port)
            await connection.ask(message)
        except OSError:
            times[at] = np.nan
            return
        times[at] = (loop.time() - due) * 1e3
        idle.append(connection)

    start = loop.time() + 0.05
    for at in range(count):
        due = start + at / rate
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        late += loop.time() - due > 1e-3
        task = asyncio.create_task(one(at, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return times, late


class _Connection(asyncio.Protocol):
    """One keep-alive connection of the generator."""

    @classmethod
    async def opened(cls, port: int) -> _Connection:
        """Connect."""
        _, made_ = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return made_

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport
        self._seen = b""
        self._answered: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Until the body is as long as the header says."""
        self._seen += data
        head, blank, rest = self._seen.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) >= length and self._answered is not None:
            if not head.startswith(b"HTTP/1.1 200"):
                self._answered.set_exception(ConnectionAbortedError("it was refused"))
            else:
                self._answered.set_result(None)
            self._seen, self._answered = b"", None

    def connection_lost(self, error: Exception | None) -> None:
        """A server that hangs up has failed."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionResetError("the server hung up"))

    async def ask(self, message: bytes) -> None:
        """Send, and wait for the whole answer."""
        self._answered = answered = asyncio.get_running_loop().create_future()
        self._transport.write(message)  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE_S):
            await answered

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
