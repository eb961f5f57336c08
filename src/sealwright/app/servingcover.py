"""Coverage of a served model: a frame fitted from its first traffic, kept in the state directory.

Until enough rows came in, answers touch no cells; bits are charged from the first one on. A frame
is secret: who knows its sites can ask without touching new cells.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.app.servinghealth import PAST_KEPT, PAST_LOST, Health
from sealwright.core.errors import SealError, VerifyError
from sealwright.serve.arrays import Array, packed, unpacked
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Answer, Caller, Fidelity
from sealwright.serve.pasts import NOWHERE, SELDOM, Pasts, Piece
from sealwright.vault import private

FITTED_FROM = 500
"""Rows of traffic that a frame is fitted from."""


class Cover:
    """The cells' half of an observer (``serve.oip_mount.Observer``); alone it watches nobody."""

    def __init__(self, path: Path, say: Callable[[str], None], pasts: Pasts = NOWHERE) -> None:
        self._path = path
        self._say = say
        self._pasts = pasts
        self._written = 0
        self._remembering = Health(say, PAST_LOST, PAST_KEPT)
        self._frame = _kept(path)
        self._first: list[npt.NDArray[Any]] = []
        self._rows = 0
        for piece in pasts.read("cover") if self._frame is None else ():
            parts = msgspec.msgpack.decode(piece.body, type=list[Array])
            self._first = [unpacked(one) for one in parts]
            self._rows = self._written = sum(map(len, self._first))

    @property
    def state(self) -> str:
        """In words."""
        if self._frame is not None:
            return f"fitted from {self._frame.rows} rows"
        return f"not counted yet: {self._rows} of {FITTED_FROM} rows were seen to fit it from"

    @property
    def frame(self) -> Frame | None:
        """What cells are told by; None before it is fitted."""
        return self._frame

    def cells(self, features: npt.NDArray[Any]) -> Sequence[int]:
        """The cells that rows touch; none before there is a frame."""
        if self._frame is None:
            self._gather(features)
            return ()
        return self._frame.cells(features)

    def behind(
        self, caller: Caller, inputs: npt.NDArray[Any], answer: Answer, fidelity: Fidelity
    ) -> None:
        """Nothing."""

    async def run(self) -> None:
        """Write the first rows, and drop what is too old of them, until cancelled."""
        while True:
            await asyncio.sleep(SELDOM)
            await self.close()

    async def close(self) -> None:
        """Write the first rows, until there is a frame."""
        with self._remembering.round():
            await asyncio.to_thread(self._remember)

    def _remember(self) -> None:
        first = list(self._first)
        rows = sum(map(len, first))
        if rows == self._written:
            return
        body = msgspec.msgpack.encode([packed(one) for one in first]) if first else b""
        self._pasts.write([Piece("cover", "", "", body)])
        self._written = rows

    def _gather(self, features: npt.NDArray[Any]) -> None:
        self._first.append(np.array(features))
        self._rows += len(features)
        if self._rows < FITTED_FROM:
            return
        try:
            self._frame = Frame.fit(np.concatenate(self._first), secrets.randbits(63))
            private.replace(self._path, msgspec.msgpack.encode(self._frame))
        except SealError as error:
            self._say(f"coverage is not counted: {error}")
        self._first, self._rows = [], 0


def _kept(path: Path) -> Frame | None:
    try:
        return msgspec.msgpack.decode(private.read(path), type=Frame)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise VerifyError(
            "the frame of a model's coverage was changed",
            where=str(path),
            hint=f"remove {path}: a new one is fitted, and cells counted so far mean nothing",
            rule="guard.frame",
        ) from error
