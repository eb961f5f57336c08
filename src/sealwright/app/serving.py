"""``seal serve``: the guard, our worker behind it, HTTP before it; joined here and nowhere else."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from sealwright.app import accessing, gating, leasing, servingmodel
from sealwright.app.gating import WorkspaceGate
from sealwright.app.servingbase import Base, What, founded
from sealwright.app.servingbase import Where as Where
from sealwright.app.servingcover import Cover
from sealwright.app.servingladder import Climber, by_hand, drifted
from sealwright.app.servingmonitors import Monitors
from sealwright.app.servingsample import Shelf
from sealwright.app.servingwatch import Standing
from sealwright.core.amounts import size_bytes, span_s
from sealwright.core.digest import Digest
from sealwright.core.errors import MissingExtra, Refused, Unavailable
from sealwright.core.records import Artifact, Json
from sealwright.core.servesettings import ServeSettings
from sealwright.registry.aliases import refuse_unusable
from sealwright.registry.versions import Model
from sealwright.serve.gateway import Front, Gateway, Limits
from sealwright.serve.guard import Guard, Offer
from sealwright.serve.interface import Allowance
from sealwright.serve.monitors.drift import Shift
from sealwright.serve.oip_front import OipFront
from sealwright.serve.oip_mount import OipMount, Served
from sealwright.serve.tending import Tended

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

Say = Callable[[str], None]
STOP_S = 10
_INPUT_KEY, _MONITORS_LABEL = "serving", b"sealwright guard monitors v1"


class Ready(msgspec.Struct, frozen=True):
    """A server that answers: its address, and what it serves."""

    url: str
    ref: str
    digest: Digest
    profile: str
    lease_until: str
    recovered: int


def allowed(workspace: Workspace, model: Model, reason: str, *, external: bool) -> WorkspaceGate:
    """The present principal may deploy this model, and the gate ``serve`` lets it be asked.

    ``external``: by others than our own. Raises: GateDenied, Refused (``model.revoked``,
    ``model.blocked``).
    """
    refuse_unusable(model)
    subject = Artifact(model.ref, model.digest)
    accessing.require(workspace, "deploy", [subject], reason=reason, size_bytes=model.size_bytes)
    gate = WorkspaceGate(workspace, reason)
    settings = workspace.settings.serve
    budget = servingmodel.of_model(settings, model.name).budget_bits or settings.budget_bits
    offered: dict[str, Json] = {
        "external": external,
        "mbits": budget * 1000,
        "fidelity": "top1",
    }
    gate("serve", (subject,), offered)
    return gate


def leased(workspace: Workspace, model: Model, reason: str) -> leasing.Lease:
    """The lease on this host that serving goes on under; a new one where there is none."""
    found = leasing.live(workspace, workspace.history(), model.digest)
    if found is not None:
        return found
    span = workspace.settings.serve.lease
    return leasing.take(workspace, model, span, reason or "seal serve")


def run(
    workspace: Workspace, model: Model, where: Where, ready: Callable[[Ready], None], say: Say
) -> None:
    """Serve until a signal ends it, the model is withdrawn, or the lease ends. Blocks.

    Raises: MissingExtra, SealError.
    """
    lease = leasing.live(workspace, workspace.history(), model.digest)
    if lease is None:
        raise Refused(
            f"no lease lets {model.ref} be served on this host",
            hint=f"seal model lease {model.ref} --reason '...'",
            rule="guard.lease",
        )
    try:
        import uvloop
    except ImportError as error:
        raise MissingExtra("seal serve", "serve") from error
    serving = Serving(workspace, model, where, say)
    uvloop.run(
        serving.run(
            lambda url, recovered, served: ready(
                Ready(url, model.ref, model.digest, served.shape.profile, lease.until, recovered)
            )
        )
    )


class Serving:
    """One served model: its parts, made in order and let go in the opposite one."""

    def __init__(self, workspace: Workspace, model: Model, where: Where, say: Say) -> None:
        self._workspace = workspace
        self._model = model
        self._where = where
        self._say = say
        self._settings = workspace.settings.serve

    async def run(self, ready: Callable[[str, int, Served], None]) -> None:
        """Serve. Raises: SealError (it could not start)."""
        workspace, model, settings = self._workspace, self._model, self._settings
        policy = gating.policies_of(workspace).digest
        async with AsyncExitStack() as held:
            what = What(model.ref, model.digest, policy)
            base = await founded(workspace, what, self._where, held, self._say)
            tended, served = await self._worker()
            held.callback(tended.shut, "the server stopped")
            standing = Standing(workspace, model, base.callers, self._say)
            standing.journal = base.journal
            standing.changed = lambda why: tended.shut(why) if why else tended.revive()
            standing.keys = base.linker.organise
            await standing.look()
            held.callback(standing.stop)
            cover = Cover(workspace.state_dir / f"serve-{model.digest[:16]}.frame", self._say)
            monitors = await self._monitors(base, cover, standing) if settings.monitors else None
            mount = OipMount(served, tended.ask, monitors or cover)
            offer = offer_of(model, policy, served, settings)
            guard = Guard(
                offer, mount, base.callers, base.ledger, base.journal, standing, base.inputs
            )

            def told() -> dict[str, Any]:
                return {
                    "state": standing.state,
                    "lease_until": standing.until,
                    "worker_starts": tended.starts,
                    "coverage": cover.state,
                    "monitors": monitors.state if monitors else "off ([serve] monitors = false)",
                }

            base.desk.profile, base.desk.told = offer.profile, told

            def shown(url: str) -> None:
                base.desk.url = url
                ready(url, base.recovered, served)

            await answer(
                OipFront(guard, mount, standing, base.journal.count),
                self._where,
                settings,
                shown,
                [base.journal, standing, *([monitors] if monitors else [])],
                base.journal.count,
                self._say,
            )

    async def _monitors(self, base: Base, cover: Cover, standing: Standing) -> Monitors:
        """What watches behind the answers, and moves groups by what it hears."""
        workspace, ref, digest = self._workspace, self._model.ref, self._model.digest
        desk, journal = base.desk, base.journal
        hand = by_hand(workspace.history(), ref)
        climber = Climber(ref, digest, base.ledger, journal, standing.now_ms, desk.moving, hand)
        await climber.recall()
        desk.moved = climber.by_person

        async def told(shifts: Sequence[Shift]) -> None:
            who = workspace.principal.name
            await journal.event(drifted(ref, digest, who, shifts), again=True)

        key = workspace.kms.derive(_INPUT_KEY, _MONITORS_LABEL)
        shelf = Shelf(workspace.seal_dir / "serve", digest, key)
        monitors = Monitors(cover, shelf, climber, base.linker.group, told, self._say)
        base.linker.joined = monitors.joined
        await monitors.work()
        return monitors

    async def _worker(self) -> tuple[Tended, Served]:
        """The model in its worker, asked once to see what it answers."""
        open_ = servingmodel.opener(self._workspace, self._model)
        tended = Tended(open_, span_s(self._settings.answer_time), self._say)
        opened = await asyncio.to_thread(open_)
        try:
            found = await asyncio.to_thread(
                servingmodel.served, self._workspace, self._model, opened
            )
        except BaseException:
            opened.close()
            raise
        tended.adopt(opened)
        return tended, found


class Runs(Protocol):
    """What goes on beside the answering until it is cancelled."""

    async def run(self) -> None:
        """Go on."""
        ...


async def answer(
    front: Front,
    where: Where,
    settings: ServeSettings,
    ready: Callable[[str], None],
    beside: Sequence[Runs],
    count: Callable[[str], None],
    say: Say,
) -> None:
    """Listen and answer by ``front`` until a signal ends it. Raises: Unavailable."""
    from sealwright.serve.listener import server_of

    gateway = Gateway(front, limits_of(settings), count, say)
    server = server_of(gateway, STOP_S)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, server, gateway)
    listening = listen(where)
    tasks = [asyncio.create_task(one.run()) for one in beside]
    try:
        ready(url_of(where, listening))
        await server.serve(sockets=[listening])
    finally:
        for task in tasks:
            task.cancel()
        if where.path:
            Path(where.path).unlink(missing_ok=True)


def _stop(server: Any, gateway: Gateway) -> None:
    """What is being answered is answered; what comes from now on is refused."""
    gateway.stopping = True
    server.should_exit = True


def offer_of(model: Model, policy: Digest, served: Served, settings: ServeSettings) -> Offer:
    """What is on offer, and to whom how much of it."""
    own = servingmodel.of_model(settings, model.name)
    lifetime = (own.lifetime_bits or settings.lifetime_bits) * 1000
    external = Allowance(
        (own.budget_bits or settings.budget_bits) * 1000,
        lifetime,
        settings.cells,
        settings.rate_per_s,
        settings.burst,
    )
    rate = settings.internal_rate_per_s
    internal = Allowance(settings.internal_bits * 1000, lifetime, 0, rate, rate)
    return Offer(model.ref, model.digest, policy, served.shape.profile, external, internal)


def limits_of(settings: ServeSettings) -> Limits:
    """What one client may take."""
    return Limits(
        head_bytes=size_bytes(settings.head),
        body_bytes=size_bytes(settings.body),
        head_s=span_s(settings.head_time),
        body_s=span_s(settings.body_time),
        idle_s=span_s(settings.idle_time),
        requests=settings.requests,
        connections=settings.connections,
    )


def listen(where: Where) -> socket.socket:
    """A listening socket. Raises: Unavailable (the address is taken)."""
    try:
        if where.path:
            return _unix(Path(where.path))
        family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((where.host, where.port))
        sock.listen(256)
        return sock
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {where.path or f'{where.host}:{where.port}'}",
            why=error.strerror or str(error),
            hint="name another: seal serve MODEL --port PORT",
        ) from error


def _unix(path: Path) -> socket.socket:
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(path))
            raise OSError("somebody listens there")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    path.chmod(0o600)
    sock.listen(256)
    return sock


def url_of(where: Where, listening: socket.socket) -> str:
    """What a client is given."""
    if where.path:
        return f"unix:{where.path}"
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
