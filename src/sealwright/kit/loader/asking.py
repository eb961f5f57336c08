"""A model's worker asked without blocking: one question in flight, those that wait go together.

Questions that meet while the worker is busy are put into one batch (rows of one shape and type)
and their answers cut apart again. Where the model fails on a joined batch each is asked alone, so
that one caller's bad row costs no other caller an answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import Refused, Unavailable
from sealwright.kit.loader import wire
from sealwright.kit.loader.opening import OpenModel

Array: TypeAlias = npt.NDArray[Any]
MOST_JOINED = 4_096
"""Rows of a joined batch."""


class Asked(msgspec.Struct):
    """One caller's batch, and what it waits for."""

    batch: Array
    answer: asyncio.Future[tuple[Array, Array]]


class Asking:
    """One open model for many callers of one event loop."""

    def __init__(self, model: OpenModel, answer_s: float = 60.0) -> None:
        self.model = model
        self._peer = model.peer
        self._peer.setblocking(False)
        self._answer_s = answer_s
        self._waiting: deque[Asked] = deque()
        self._task: asyncio.Task[None] | None = None
        self.gone = ""

    async def ask(self, batch: Array) -> tuple[Array, Array]:
        """``(scores (n, K), features (n, d))`` of ``batch`` (n, …).

        Raises: Refused (``loader.answer``: the model failed on it), Unavailable (it died, hung
        or answered nonsense; the worker is closed).
        """
        if self.gone:
            raise _unavailable(self.gone)
        asked = Asked(batch, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await asked.answer

    def close(self, why: str = "it was closed") -> None:
        """End the worker; whoever waits is told why."""
        self.gone = self.gone or why
        self.model.close()
        while self._waiting:
            _fail(self._waiting.popleft(), _unavailable(self.gone))

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._joined())
        finally:
            self._task = None

    def _joined(self) -> list[Asked]:
        group = [self._waiting.popleft()]
        first, rows = group[0].batch, len(group[0].batch)
        while self._waiting and rows < MOST_JOINED:
            other = self._waiting[0].batch
            if other.dtype != first.dtype or other.shape[1:] != first.shape[1:]:
                break
            group.append(self._waiting.popleft())
            rows += len(other)
        return group

    async def _answer(self, group: list[Asked]) -> None:
        batches = [one.batch for one in group]
        try:
            scores, features = await self._once(
                batches[0] if len(batches) == 1 else np.concatenate(batches)
            )
        except Refused as error:
            if len(group) == 1:
                _fail(group[0], error)
                return
            for one in group:
                await self._answer([one])
            return
        except Unavailable as error:
            for one in group:
                _fail(one, error)
            return
        at = 0
        for one in group:
            end = at + len(one.batch)
            if not one.answer.done():
                one.answer.set_result((scores[at:end], features[at:end]))
            at = end

    async def _once(self, batch: Array) -> tuple[Array, Array]:
        if self.gone:
            raise _unavailable(self.gone)
        try:
            async with asyncio.timeout(self._answer_s):
                message, found = await self._exchange(batch)
            if message.error:
                raise Refused("the model did not answer", why=message.error, rule="loader.answer")
            return _split(message, found, len(batch))
        except TimeoutError:
            why = f"it took longer than {self._answer_s:g} s"
        except (OSError, EOFError, ValueError, msgspec.DecodeError) as error:
            why = str(error) or "no answer"
        except asyncio.CancelledError:
            self.close("a question was cut off")
            raise
        self.close(why)
        raise _unavailable(why)

    async def _exchange(self, batch: Array) -> tuple[wire.Message, Array | None]:
        loop, peer = asyncio.get_running_loop(), self._peer
        await loop.sock_sendall(peer, wire.encoded(wire.Message("serve"), batch))
        head, body = wire.sizes(await self._exactly(16))
        return wire.decoded(await self._exactly(head), await self._exactly(body))

    async def _exactly(self, count: int) -> bytes:
        out = bytearray()
        while len(out) < count:
            part = await asyncio.get_running_loop().sock_recv(
                self._peer, min(count - len(out), 1 << 20)
            )
            if not part:
                raise EOFError("the worker ended")
            out += part
        return bytes(out)


def _split(message: wire.Message, found: Array | None, rows: int) -> tuple[Array, Array]:
    count = int(message.facts.get("scores", "0"))
    if found is None or found.dtype.kind != "f" or found.ndim != 2 or len(found) != rows:
        raise ValueError("it answered with something else than a row for each row")
    if not 0 < count <= found.shape[1] or not np.isfinite(found[:, :count]).all():
        raise ValueError("it answered with scores that are no numbers")
    return found[:, :count], found[:, count:]


def _fail(asked: Asked, error: Exception) -> None:
    if not asked.answer.done():
        asked.answer.set_exception(error)


def _unavailable(why: str) -> Unavailable:
    return Unavailable("the model's worker is gone", why=why, hint="ask again in a moment")
