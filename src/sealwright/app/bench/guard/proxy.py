"""The guard before another server: CPU it adds to a request, and what it adds to the slowest.

The same questions go to the server directly, through nginx, through a proxy of the guard's own
runtime that checks nothing, and through the guard, in turn, in one run, at a constant rate over
kept connections. CPU is the hop's own process's, from the kernel.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sealwright.app.bench import Ask, Row, measure
from sealwright.app.bench.guard.behind import WIDTH
from sealwright.core.errors import BadInput, Unavailable

CONNECTIONS = 8
RATE, BUSY = 300, 900
BARE = "a proxy in the same runtime that checks nothing"
_SETTINGS = """
[serve]
rate_per_s = 1000000
burst = 1000000
budget_bits = 8000000000
lifetime_bits = 8000000000
"""
_NGINX = """
daemon off; master_process off; pid {0}/nginx.pid; error_log stderr crit;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p;
  fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
  upstream behind {{ server {1}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{2};
    location / {{
      proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""


def rows(ask: Ask) -> list[Row]:
    """CPU and tail latency added by a hop."""
    with tempfile.TemporaryDirectory(prefix="seal-bench-") as made:
        folder = Path(made)
        with _process(
            [sys.executable, "-m", "sealwright.app.bench.guard.behind"], folder
        ) as server:
            return _measured(ask, folder, server.said.removeprefix("http://"))


def _measured(ask: Ask, folder: Path, server: str) -> list[Row]:
    key, words, env = _guard(folder, server)
    rounds, requests = (2, 200) if ask.quick else (6, 1_500)
    cpu: dict[str, list[float]] = {}
    slowest: dict[str, list[float]] = {}
    bare_words = [sys.executable, "-m", "sealwright.app.bench.guard.bareproxy", server]
    with (
        _process(words, folder / "house", env) as guard,
        _process(bare_words, folder) as bare,
        _nginx(folder, server) as nginx,
    ):
        url = json.loads(guard.said)["url"].removeprefix("http://")
        ways = {"directly": (server, 0), "guard": (url, guard.pid), BARE: (bare.said, bare.pid)}
        if nginx is not None:
            ways["nginx"] = (nginx.said, nginx.pid)
        for name, (address, _) in ways.items():
            asyncio.run(_asked(address, key, 100))
            ask.note(f"bench guard, proxy: {name} answers")
        for _ in range(rounds):
            for name, (address, pid) in ways.items():
                before = _cpu_s(pid) if pid else 0.0
                times = asyncio.run(_asked(address, key, requests))
                if pid:
                    cpu.setdefault(name, []).append((_cpu_s(pid) - before) / requests * 1e3)
                slowest.setdefault(name, []).append(float(np.percentile(times, 99)) * 1e3)
        busy = {name: _busy_ms(*ways[name], key, requests) for name in ways if name != "directly"}
    base = slowest["directly"]
    added = {
        name: statistics.median(one - other for one, other in zip(found, base, strict=True))
        for name, found in slowest.items()
        if name != "directly"
    }
    spent = {name: statistics.median(found) for name, found in cpu.items()}
    note = f"{WIDTH} numbers a question, {rounds} rounds of {requests:,} at {RATE} a second"
    return [
        measure(
            "CPU of the guard before another server, a request", spent.pop("guard"), "ms",
            target=0.25, better="lower", yardsticks=spent, note=note,
        ),
        measure(
            f"the same, at {BUSY} a second", busy.pop("guard"), "ms", yardsticks=busy,
            note="what is asked more often is found in the processor's caches",
        ),
        measure(
            "added to the slowest hundredth by the guard", added.pop("guard"), "ms",
            target=1.5, better="lower", yardsticks=added,
            note=f"directly {statistics.median(base):.3g} ms",
        ),
    ]  # fmt: skip


class _Running:
    """A process that says where it listens."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self.pid = process.pid
        self.said = said


@contextmanager
def _process(
    words: list[str], folder: Path, env: dict[str, str] | None = None, says: str = ""
) -> Iterator[_Running]:
    process = subprocess.Popen(
        words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield _Running(process, says or _first(process))
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _first(process: subprocess.Popen[str]) -> str:
    """A line, or a JSON object."""
    assert process.stdout is not None  # noqa: S101
    said = ""
    while not said or (said.startswith("{") and not said.endswith("\n}\n")):
        line = process.stdout.readline()
        if not line:
            raise Unavailable("a server of the bench did not start")
        said += line
    return said.strip()


def _guard(folder: Path, server: str) -> tuple[str, list[str], dict[str, str]]:
    """A key, the words that start the guard in a house of its own, its environment."""
    house = folder / "house"
    house.mkdir()
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "SEAL_PRINCIPAL": "bench"}
    seal = [sys.executable, "-m", "sealwright"]

    def run(*words: str) -> Any:
        done = subprocess.run(
            [*seal, *words, "--json"],
            cwd=house,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BadInput(f"seal {words[0]} failed in the bench", why=done.stdout[-300:])
        return json.loads(done.stdout)

    run("init")
    settings = house / "seal.toml"
    settings.write_text(settings.read_text("utf-8") + _SETTINGS, "utf-8")
    key = run("serve", "keys", "create", "bench", "--reason", "bench")["secret"]
    words = ["serve", "--json", "--port", "0", "--upstream", f"http://{server}"]
    return key, [*seal, *words, "--protocol", "oip", "--model", "toy"], env


@contextmanager
def _nginx(folder: Path, server: str) -> Iterator[_Running | None]:
    """nginx before the same server; None where it is not installed."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        yield None
        return
    port = _free()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder, server, port))
    with _process(
        [program, "-c", str(config), "-p", str(folder)], folder, says=f"127.0.0.1:{port}"
    ) as one:
        time.sleep(0.5)
        yield one


def _free() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _busy_ms(address: str, pid: int, key: str, requests: int) -> float:
    """CPU of a hop for a request, in milliseconds, where it is asked three times as often."""
    before = _cpu_s(pid)
    asyncio.run(_asked(address, key, 3 * requests, BUSY))
    return (_cpu_s(pid) - before) / (3 * requests) * 1e3


async def _asked(address: str, key: str, count: int, rate: int = RATE) -> list[float]:
    """Seconds of each of ``count`` requests, begun at a constant rate, from when each was due."""
    data = np.random.default_rng(1).standard_normal(WIDTH).round(4).tolist()
    tensor = {"name": "input", "shape": [1, WIDTH], "datatype": "FP64", "data": data}
    body = json.dumps({"inputs": [tensor]}).encode()
    head = (
        f"POST /v2/models/toy/infer HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    host, port = address.split(":")
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await asyncio.open_connection(host, int(port)))
    times: list[float] = []
    start = time.perf_counter() + 0.01

    async def one(at: int) -> None:
        due = start + at / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        reader, writer = await idle.get()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise Unavailable("a server of the bench refused", why=answer[:40].decode("latin-1"))
        lengths = [x for x in answer.lower().split(b"\r\n") if x.startswith(b"content-length:")]
        await reader.readexactly(int(lengths[0].split(b":")[1]))
        times.append(time.perf_counter() - due)
        idle.put_nowait((reader, writer))

    await asyncio.gather(*map(one, range(count)))
    while not idle.empty():
        idle.get_nowait()[1].close()
    return times
