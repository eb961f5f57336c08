"""What every served model stands on, ours or another server's: ledger, journal, callers, links.

Made in order and let go in the opposite one by the stack that is handed in.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from sealwright.app.budgeting import open_budget
from sealwright.app.servecontrol import Control
from sealwright.app.servingdesk import Desk
from sealwright.app.servinglinks import Linker
from sealwright.core import clock
from sealwright.core.amounts import span_s
from sealwright.core.digest import Digest
from sealwright.core.predicates import GUARD_BATCH
from sealwright.evidence.history import History
from sealwright.serve.callers import Callers, Door, Proof, VerifyToken
from sealwright.serve.evidence import InputKey
from sealwright.serve.interface import Ledger
from sealwright.serve.journal import About, Covered, Journal
from sealwright.vault import private

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

Say = Callable[[str], None]
_INPUT_KEY, _INPUT_LABEL = "serving", b"sealwright guard input v1"


class Where(msgspec.Struct, frozen=True):
    """Where to listen: a host and port (0: any that is free), or a Unix socket.

    ``external``: others than our own are let in.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    path: str = ""
    external: bool = True

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return bool(self.path) or self.host in ("127.0.0.1", "::1", "localhost")


class What(msgspec.Struct, frozen=True):
    """What is asked, as records and budgets call it, and the policy set in force."""

    ref: str
    digest: Digest
    policy: Digest


class Base(msgspec.Struct, frozen=True):
    """The parts. ``recovered``: how many records of a killed server got a root just now.

    ``now_ms`` is the ledger's kind of clock: rungs end by it, and nobody sets it.
    """

    ledger: Ledger
    journal: Journal
    callers: Callers
    linker: Linker
    inputs: InputKey
    desk: Desk
    recovered: int
    now_ms: Callable[[], int]


async def founded(
    workspace: Workspace, what: What, where: Where, held: AsyncExitStack, say: Say
) -> Base:
    """Open all of it. Raises: Unavailable (a server runs already, or the ledger is held)."""
    history = workspace.history()
    folder = workspace.seal_dir / "serve"
    private.make_dir(folder)
    ledger = await open_budget(workspace.settings.serve.ledger, folder, workspace.origin)
    held.push_async_callback(ledger.close)
    covered = covered_of(history)
    journal = Journal(
        folder / "records",
        About(what.ref, what.digest, what.policy, workspace.principal.name),
        workspace.recorder,
        workspace.clock,
        covered,
        span_s(workspace.settings.serve.batch),
        say,
    )
    held.push_async_callback(journal.close)
    recovered = await asyncio.to_thread(journal.recover, covered)
    linker = Linker(what.ref, what.digest, ledger, journal)
    await linker.recall(history)
    now_us = clock.steady_us()
    since = clock.stamp(workspace.clock())
    desk = Desk(what.ref, what.digest, since, ledger, journal, linker, lambda: now_us() // 1000)
    control = Control(workspace, desk.answer)
    await control.open()
    held.push_async_callback(control.close)
    door, verify, inputs = doors(workspace, where)
    callers = Callers(door, verify)
    return Base(ledger, journal, callers, linker, inputs, desk, recovered, desk.now_ms)


def doors(workspace: Workspace, where: Where) -> tuple[Door, VerifyToken, InputKey]:
    """Who is let in without a key, how a token is held to be good, and the key of inputs."""

    def verify(token: str, proof: str) -> Proof:
        claims = workspace.tokens.verify(token, proof, workspace.clock()).claims
        return Proof(claims.sub, claims.iss, claims.kind)

    door = Door(os.getuid(), workspace.principal.name, where.loopback, where.external)
    return door, verify, input_key(workspace)


def input_key(workspace: Workspace) -> InputKey:
    """What gives inputs their digests in records."""
    workspace.kms.create(_INPUT_KEY)
    return InputKey(workspace.kms.derive(_INPUT_KEY, _INPUT_LABEL))


def covered_of(history: History) -> Covered:
    """How far the log has roots over each file of records."""
    files: dict[str, int] = {}
    newest = ""
    for entry in history.of_type(GUARD_BATCH):
        told: Any = entry.statement.predicate
        name = str(told["file"])
        files[name] = max(files.get(name, 0), int(told["first"]) + int(told["count"]))
        newest = entry.statement.subjects[0].digest
    return Covered(files, newest)
