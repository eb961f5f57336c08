"""``seal serve``: the guard, what answers behind it, HTTP before it; joined here alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from sealwright.app import gating, servinghttp
from sealwright.app.servingbase import What, founded
from sealwright.app.servingbase import Where as Where
from sealwright.app.servinggate import offer_of
from sealwright.app.servingobserved import observed
from sealwright.app.servingsource import Source, Subject, Tensors, Texts
from sealwright.app.servingwatch import Standing
from sealwright.core.digest import Digest
from sealwright.core.errors import MissingExtra
from sealwright.serve.evidence import Event
from sealwright.serve.gateway import Front
from sealwright.serve.guard import Guard
from sealwright.serve.oip_front import OipFront
from sealwright.serve.oip_mount import Observer, OipMount
from sealwright.serve.openai_front import OpenAiFront
from sealwright.serve.openai_mount import OpenAiMount

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

Say = Callable[[str], None]


class Ready(msgspec.Struct, frozen=True):
    """A server that answers: its address, and what it serves. ``lease_until``: empty where no
    weights of ours are open."""

    url: str
    ref: str
    digest: Digest
    profile: str
    lease_until: str
    recovered: int


def run(
    workspace: Workspace,
    source: Source,
    where: Where,
    ready: Callable[[Ready], None],
    say: Say,
) -> None:
    """Serve until a signal ends it. Blocks.

    A model that is withdrawn or out of lease stops answering, and the process goes on saying so.
    Raises: MissingExtra, SealError.
    """
    try:
        import uvloop
    except ImportError as error:
        raise MissingExtra("seal serve", "serve") from error
    uvloop.run(Serving(workspace, source, where, say).run(ready))


class Serving:
    """What is served: its parts, made in order and let go in the opposite one."""

    def __init__(self, workspace: Workspace, source: Source, where: Where, say: Say) -> None:
        self._workspace = workspace
        self._source = source
        self._where = where
        self._say = say
        self._settings = workspace.settings.serve

    async def run(self, ready: Callable[[Ready], None]) -> None:
        """Serve. Raises: SealError (it could not start)."""
        workspace, subject, say = self._workspace, self._source.subject, self._say
        policy = gating.policies_of(workspace).digest
        async with AsyncExitStack() as held:
            what = What(subject.ref, subject.digest, policy)
            base = await founded(workspace, what, self._where, held, say)
            opened = await self._source.open(held)
            standing = Standing(workspace, subject, base.callers, base.journal, say)
            standing.changed, standing.keys = opened.changed, base.linker.organise
            await standing.look()
            held.callback(standing.stop)
            if opened.said:
                await base.journal.event(_said(workspace, subject, opened.said), again=True)
            watch = await observed(workspace, subject, opened.asked, base, held, say)
            for close in reversed(watch.closes):
                held.push_async_callback(close)
            offer = offer_of(subject, policy, opened.profile, self._settings)
            mount = _mount(opened.asked, watch.observer)
            guard = Guard(
                offer, mount, base.callers, base.ledger, base.journal, standing, base.inputs
            )

            def told() -> dict[str, Any]:
                return {**standing.told(), **opened.told(), **watch.told()}

            base.desk.profile, base.desk.told = offer.profile, told

            def shown(url: str) -> None:
                base.desk.url = url
                until = standing.until if subject.leased else ""
                ready(Ready(url, subject.ref, subject.digest, offer.profile, until, base.recovered))

            await servinghttp.answer(
                _front(guard, mount, standing, base.journal.count),
                self._where,
                self._settings,
                shown,
                [base.journal, standing, *watch.beside],
                base.journal.count,
                say,
            )


def _said(workspace: Workspace, subject: Subject, why: str) -> Event:
    """Records from here on name a model that nobody here saw: the log says so first."""
    return Event(
        what="upstream",
        model=subject.ref,
        model_digest=subject.digest,
        principal=workspace.principal.name,
        group="",
        rung="observe",
        rule="upstream.said",
        why=why,
    )


def _mount(asked: Tensors | Texts, observer: Observer) -> OipMount | OpenAiMount:
    if isinstance(asked, Texts):
        return OpenAiMount(asked.text, asked.upstream, asked.egress, observer)
    return OipMount(asked.served, asked.ask, observer)


def _front(
    guard: Guard, mount: OipMount | OpenAiMount, standing: Standing, count: Callable[[str], None]
) -> Front:
    if isinstance(mount, OpenAiMount):
        return OpenAiFront(guard, mount, standing, count)
    return OipFront(guard, mount, standing, count)
