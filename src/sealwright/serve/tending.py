"""The model's worker, tended: asked while it lives, opened again when it died, hung or lied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt

from sealwright.core.errors import SealError, Unavailable
from sealwright.kit.loader.asking import Asking
from sealwright.kit.loader.opening import OpenModel
from sealwright.serve.refusals import OutOfService

Array: TypeAlias = npt.NDArray[Any]
Open = Callable[[], OpenModel]
"""Opens the model, blocking: decrypted, scanned, loaded. Raises: SealError."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 30.0


class Tended:
    """One worker at a time. ``open`` runs in a thread; what may not be served stays shut."""

    def __init__(
        self, open_: Open, answer_s: float, say: Callable[[str], None] = lambda _line: None
    ) -> None:
        self._open = open_
        self._answer_s = answer_s
        self._say = say
        self._asking: Asking | None = None
        self._task: asyncio.Task[None] | None = None
        self._shut = ""
        self.starts = 0

    async def start(self) -> None:
        """Open it now. Raises: SealError."""
        self.adopt(await asyncio.to_thread(self._open))

    def adopt(self, model: OpenModel) -> None:
        """Ask this open model from now on."""
        self._asking = Asking(model, self._answer_s)
        self.starts += 1

    async def ask(self, batch: Array) -> tuple[Array, Array]:
        """As ``kit.loader.asking``. Raises: Refused, OutOfService (``guard.worker``)."""
        asking = self._asking
        if self._shut or asking is None:
            raise _away(self._shut or "it is being opened again")
        try:
            return await asking.ask(batch)
        except Unavailable as error:
            self._again(asking, error.why)
            raise _away(error.why) from error

    def shut(self, why: str) -> None:
        """End the worker until :meth:`revive`: its memory goes with it."""
        self._shut = why
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if self._asking is not None:
            self._asking.close(why)
            self._asking = None

    def revive(self) -> None:
        """Open the model again, where it was shut."""
        if self._shut:
            self._shut = ""
            self._task = asyncio.create_task(self._reopen())

    def _again(self, failed: Asking, why: str) -> None:
        """Open it again, once for all who saw it fail."""
        if self._asking is failed and not self._shut:
            failed.close(why)
            self._asking = None
            self._say(f"the model's worker is opened again: {why}")
            self._task = asyncio.create_task(self._reopen())

    async def _reopen(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._shut:
            try:
                await self.start()
            except (SealError, OSError) as error:
                self._say(f"the model's worker did not start: {error}")
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                if self._shut:
                    self.shut(self._shut)
                return


def _away(why: str) -> OutOfService:
    return OutOfService(
        "guard.worker", "the model's worker is not there", why=why, hint="ask again in a moment"
    )
