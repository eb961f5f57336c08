"""A registered model in our own worker, under a lease of this host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from sealwright.app import leasing, servingmodel
from sealwright.app.servingsource import Opened, Subject, Tensors
from sealwright.core.amounts import span_s
from sealwright.core.errors import Refused
from sealwright.registry.versions import Model
from sealwright.serve.oip_mount import Served
from sealwright.serve.tending import Tended

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def subject_of(model: Model) -> Subject:
    """A registered version, served from here."""
    return Subject(model.ref, model.digest, model.name, model, leased=True)


def leased(workspace: Workspace, model: Model, reason: str) -> leasing.Lease:
    """The lease on this host that serving goes on under; a new one where there is none."""
    found = leasing.live(workspace, workspace.history(), model.digest)
    if found is not None:
        return found
    span = workspace.settings.serve.lease
    return leasing.take(workspace, model, span, reason or "seal serve")


class OwnWorker:
    """The source (``servingsource.Source``). Raises: Refused (``guard.lease``: there is none)."""

    def __init__(self, workspace: Workspace, model: Model, say: Callable[[str], None]) -> None:
        if leasing.live(workspace, workspace.history(), model.digest) is None:
            raise Refused(
                f"no lease lets {model.ref} be served on this host",
                hint=f"seal model lease {model.ref} --reason '...'",
                rule="guard.lease",
            )
        self._workspace = workspace
        self._model = model
        self._say = say
        self.subject = subject_of(model)

    async def open(self, held: AsyncExitStack) -> Opened:
        """The model in its worker, asked once to see what it answers."""
        open_ = servingmodel.opener(self._workspace, self._model)
        answer_s = span_s(self._workspace.settings.serve.answer_time)
        tended = Tended(open_, answer_s, self._say)
        opened = await asyncio.to_thread(open_)
        try:
            served: Served = await asyncio.to_thread(
                servingmodel.served, self._workspace, self._model, opened
            )
        except BaseException:
            opened.close()
            raise
        tended.adopt(opened)
        held.callback(tended.shut, "the server stopped")

        def told() -> dict[str, Any]:
            return {"worker_starts": tended.starts}

        def changed(why: str) -> None:
            if why:
                tended.shut(why)
            else:
                tended.revive()

        return Opened(Tensors(served, tended.ask, self._model.digest), changed, told)
