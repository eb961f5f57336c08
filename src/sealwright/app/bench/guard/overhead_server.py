"""The server that ``overhead`` measures: ``python -m … on|off FOLDER`` prints its port.

A softmax of a fixed matrix in this process behind the chain (``on``), or behind the protocol alone.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.core import clock
from sealwright.core.errors import Refused, SealError
from sealwright.evidence.recorder import SigningRecorder
from sealwright.serve import callers, oip, oip_reply
from sealwright.serve.callers import Callers, Door
from sealwright.serve.evidence import InputKey
from sealwright.serve.gateway import Front, Gateway, Limits
from sealwright.serve.guard import Guard, Offer
from sealwright.serve.interface import Allowance, Tensor
from sealwright.serve.journal import About, Covered, Journal
from sealwright.serve.messages import Reply, Request
from sealwright.serve.oip import InputSpec
from sealwright.serve.oip_front import OipFront
from sealwright.serve.oip_mount import OipMount, Served, Unwatched
from sealwright.serve.outputs import Shape
from sealwright.serve.refusals import rule_of
from sealwright.vault.signers import Ed25519Signer

WIDTH, CLASSES = 64, 10
KEY = "seal_" + "b" * 43
MODEL, DIGEST = "model:toy@1", "ab" * 32
_ORIGIN = "sealwright.local/bench"
_WEIGHTS = np.random.default_rng(7).standard_normal((WIDTH, CLASSES))


class Parts(msgspec.Struct, frozen=True):
    """Both fronts over one model, and the journal behind the guarded one."""

    guarded: Front
    bare: Front
    journal: Journal


class Bare:
    """The protocol alone: decode, ask, encode all scores. The rest is the guard's."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def handle(self, request: Request) -> Reply:
        """One infer request."""
        try:
            asked = oip.decode(request, self._served.input)
            scores, _ = await ask(asked.batch)
            whole = Tensor("probabilities", "FP32", scores.astype(np.float32))
            return oip_reply.answer("toy", "1", asked, (whole,))
        except SealError as error:
            return self.refusal(error, rule_of(error))

    def refusal(self, error: SealError, rule: str, *, close: bool = False) -> Reply:
        """The protocol's."""
        return oip_reply.refusal(error, rule, close=close)


class Fine:
    """A model that may be served."""

    def require(self) -> None:
        """Always."""


async def ask(batch: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The model."""
    margins = batch @ _WEIGHTS
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True), batch


async def made(folder: Path, held: AsyncExitStack) -> Parts:
    """Everything real but the model, in ``folder``."""
    served = Served(
        "toy",
        "1",
        InputSpec("input", "FP64", WIDTH, 100),
        Shape("multiclass", CLASSES, tuple(f"class {at}" for at in range(CLASSES))),
        "sealwright_bench",
    )
    log = SqliteLog.create(folder / "ledger.db", _ORIGIN, Ed25519Signer.generate())
    recorder = SigningRecorder(log, Ed25519Signer.generate())
    about = About(MODEL, DIGEST, DIGEST, "bench")
    journal = Journal(folder / "records", about, recorder, clock.now, Covered({}))
    ledger = MemoryLedger.open(folder / "budget.db")
    held.push_async_callback(ledger.close)
    held.push_async_callback(journal.close)
    held.callback(asyncio.create_task(journal.run()).cancel)
    known = callers.made(
        "bench",
        KEY,
        organisation="bench",
        internal=False,
        fidelity="top1",
        budget_bits=0,
        until="",
        honey=False,
        actor="bench",
        reason="bench",
        now=datetime.now(UTC),
    )
    who = Callers(Door(-2, "bench", loopback=False), _no_token)
    who.replace(callers.known_of({"bench": known}))
    most = Allowance(10**12, 10**13, 0, 1_000_000, 1_000_000)
    offer = Offer(MODEL, DIGEST, DIGEST, "multiclass", most, most)
    mount = OipMount(served, ask, Unwatched())
    guard = Guard(offer, mount, who, ledger, journal, Fine(), InputKey(b"k" * 32))
    return Parts(OipFront(guard, mount, Fine(), journal.count), Bare(served), journal)


def _no_token(token: str, proof: str) -> callers.Proof:
    raise Refused("no token here", rule="token.malformed")


async def serve(which: str, folder: Path) -> None:
    """Answer until killed."""
    from sealwright.serve.listener import server_of

    async with AsyncExitStack() as held:
        parts = await made(folder, held)
        front = parts.guarded if which == "on" else parts.bare
        gateway = Gateway(front, Limits(requests=8_192, connections=8_192), parts.journal.count)
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen(256)
        sys.stdout.write(f"{sock.getsockname()[1]}\n")
        sys.stdout.flush()
        await server_of(gateway, 1).serve(sockets=[sock])


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(sys.argv[1], Path(sys.argv[2])))
