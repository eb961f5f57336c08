"""Coverage of a served model: a frame fitted from its first traffic, kept in the state directory.

Until enough rows came in, answers touch no cells; bits are charged from the first one on. A frame
is secret: who knows its sites can ask without touching new cells.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.errors import SealError, VerifyError
from sealwright.serve.coverage import Frame
from sealwright.serve.interface import Answer, Caller, Fidelity
from sealwright.vault import private

FITTED_FROM = 500
"""Rows of traffic that a frame is fitted from."""


class Cover:
    """The cells' half of an observer (``serve.oip_mount.Observer``); alone it watches nobody."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._frame = _kept(path)
        self._first: list[npt.NDArray[Any]] = []
        self._rows = 0

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
