"""What heavy callers asked and were told, on disk for ``seal redteam replay``, where it is wanted.

Encrypted under a key of the key service, beside the journal. Whoever removes the file has removed
it: the server that wrote it forgets what it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy.typing as npt

from sealwright.app.servinghealth import Health
from sealwright.core.amounts import span_s
from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.serve.interface import Answer, Caller, Fidelity
from sealwright.serve.kept import Keeper, Kept
from sealwright.serve.oip_mount import Observer
from sealwright.vault import private, wrapping

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

EVERY_S = 1.0
WRITTEN_EVERY = 60
"""Rounds between two writings."""

_MOST_BYTES = 64 << 20
_CONTEXT = b"sealwright guard kept v1\0"
_KEY, _LABEL = "serving", b"sealwright guard kept v1"


class Drawer:
    """Where it lies: one file of one model."""

    def __init__(self, workspace: Workspace, model: Digest) -> None:
        self.path = workspace.seal_dir / "serve" / f"{model[:16]}.kept"
        self._context = _CONTEXT + model.encode()
        workspace.kms.create(_KEY)
        self._key = workspace.kms.derive(_KEY, _LABEL)

    def read(self) -> Kept | None:
        """None where nothing is kept. Raises: VerifyError (``guard.kept``)."""
        try:
            sealed = private.read(self.path, _MOST_BYTES)
            plain = wrapping.unwrap(self._key, sealed, self._context)
            return msgspec.msgpack.decode(plain, type=Kept)
        except FileNotFoundError:
            return None
        except (VerifyError, msgspec.DecodeError) as error:
            raise VerifyError(
                "what was kept of callers' questions was changed",
                where=str(self.path),
                hint=f"remove {self.path}: it is gathered anew",
                rule="guard.kept",
            ) from error

    def write(self, kept: Kept) -> None:
        """Durable on return. Raises: Unavailable (disk full)."""
        plain = msgspec.msgpack.encode(kept)
        private.replace(self.path, wrapping.wrap(self._key, plain, self._context))

    def remove(self) -> bool:
        """Whether there was anything."""
        there = self.path.exists()
        self.path.unlink(missing_ok=True)
        return there


class Keeping:
    """An observer (``serve.oip_mount.Observer``) that keeps, beside the one that watches."""

    def __init__(
        self,
        inner: Observer,
        keeper: Keeper,
        drawer: Drawer,
        keep: str,
        now_ms: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        """``keep``: for how long, such as ``7d``."""
        self._inner, self._keeper, self._drawer = inner, keeper, drawer
        self._keep, self._keep_ms = keep, 1000 * span_s(keep)
        self._now_ms, self._say = now_ms, say
        self._health = Health(say, "questions are not kept", "questions are kept again")
        self._written = self._changed = False
        self._rounds = 0
        if (kept := drawer.read()) is not None:
            keeper.take(kept)
            self._written = True

    @property
    def state(self) -> str:
        """In words."""
        rows, callers = self._keeper.count
        told = f"{rows:,} rows of {callers} callers, for {self._keep}, encrypted"
        missed = f"; {self._keeper.missed:,} rows came too fast" if self._keeper.missed else ""
        broken = self._health.broken
        return f"not kept: {broken}" if broken else told + missed

    def cells(self, features: npt.NDArray[Any]) -> Sequence[int]:
        """See ``serve.oip_mount.Observer``."""
        return self._inner.cells(features)

    def behind(
        self, caller: Caller, inputs: npt.NDArray[Any], answer: Answer, fidelity: Fidelity
    ) -> None:
        """See ``serve.oip_mount.Observer``."""
        self._inner.behind(caller, inputs, answer, fidelity)
        self._keeper.behind(caller, inputs, answer, fidelity)

    async def run(self) -> None:
        """Take in, and write once a minute, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self._rounds += 1
            await self.work(write=self._rounds % WRITTEN_EVERY == 0)

    async def work(self, *, write: bool) -> None:
        """Take in what waits; ``write``: and put it on disk."""
        with self._health.round():
            await asyncio.to_thread(self._work, write)

    async def close(self) -> None:
        """Take in and write the last."""
        await self.work(write=True)

    def _work(self, write: bool) -> None:
        now_ms = self._now_ms()
        if self._written and not self._drawer.path.exists():
            self._keeper.clear()
            self._written = False
            self._say("what was kept of questions was removed, and is forgotten")
        self._changed |= self._keeper.work(now_ms)
        if not write:
            return
        before = self._keeper.count
        self._keeper.forget(now_ms - self._keep_ms)
        if self._changed or self._keeper.count != before:
            self._drawer.write(self._keeper.kept())
            self._changed, self._written = False, True
