"""Opening a model: bytes are copied and sealed, hashed, scanned, and only then loaded, elsewhere.

What is scanned and what is loaded are one copy in memory that nobody can write to any more, so a
file that is swapped in between is not what is loaded. ``open_model(...).predict(batch)``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
from typing import Any, Self

import msgspec
import numpy.typing as npt

from sealwright.core.digest import CHUNK_BYTES, Digest
from sealwright.core.errors import Refused, VerifyError
from sealwright.core.ports import Readable
from sealwright.kit.loader import wire
from sealwright.kit.loader.worker import Order
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Verdict
from sealwright.kit.modelfile.rules import RULES
from sealwright.kit.modelfile.scan import scan

_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # no more seals, shrinking, growing, writing


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker may take, and how long an answer may take."""

    memory_bytes: int = 8 << 30
    cpu_s: int = 3600
    open_s: int = 120
    answer_s: int = 60


class Held:
    """A sealed copy of a model's bytes in memory: a ``Readable`` that cannot change."""

    def __init__(self, source: Readable) -> None:
        self.fd = os.memfd_create("model", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        state, at = hashlib.sha256(), 0
        while part := source.pread(at, CHUNK_BYTES):
            state.update(part)
            view = memoryview(part)
            while view:
                view = view[os.write(self.fd, view) :]
            at += len(part)
        fcntl.fcntl(self.fd, 1033, _SEALS)
        self.size, self.sha256 = at, state.hexdigest()

    def pread(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset``."""
        return os.pread(self.fd, max(0, min(count, self.size - offset)), offset)

    def close(self) -> None:
        """Let the memory go."""
        os.close(self.fd)


class OpenModel:
    """A model in its worker. Close it when done."""

    def __init__(
        self, process: subprocess.Popen[bytes], peer: socket.socket, facts: dict[str, str]
    ) -> None:
        self._process, self._peer = process, peer
        self.facts = facts
        self.scores = 0
        """How many columns of the last answer to ``serve`` were scores; the rest are features."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def kind(self) -> str:
        """``estimator`` or ``weights``."""
        return self.facts.get("kind", "")

    @property
    def peer(self) -> socket.socket:
        """The worker's socket, for who asks it in their own way (``asking``)."""
        return self._peer

    def predict(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The model's answer, a row for each row of ``batch``. Raises: Refused (``loader.*``)."""
        return self.ask("predict", batch)

    def tensor(self, name: str) -> npt.NDArray[Any]:
        """One of the weights, by its name in ``facts``. Raises: Refused."""
        return self.ask(f"tensor:{name}", None)

    def ask(self, what: str, batch: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
        """One question. Raises: Refused (it failed, died, or took too long)."""
        try:
            wire.send(self._peer, wire.Message(what), batch)
            message, answer = wire.receive(self._peer)
        except (OSError, EOFError, ValueError, msgspec.DecodeError) as error:
            self.close()
            raise _gone(str(error) or "no answer") from error
        if message.error or answer is None:
            raise Refused(
                "the model did not answer",
                why=message.error or "it gave nothing",
                rule="loader.answer",
            )
        self.scores = int(message.facts.get("scores", "0"))
        return answer

    def close(self) -> None:
        """End the worker."""
        self._peer.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def open_model(
    source: Readable,
    policy: Policy,
    *,
    sha256: Digest = "",
    steps: tuple[str, ...] = (),
    bounds: Bounds | None = None,
) -> OpenModel:
    """Open a model under ``policy``. ``sha256`` is what an earlier scan judged.

    ``steps`` say how weights without a class predict (``forward``). Raises: VerifyError
    (``loader.changed``), Refused (``loader.not-clean``, ``loader.no-wall``, ``loader.failed``).
    """
    limits = bounds or Bounds()
    held = Held(source)
    try:
        if sha256 and held.sha256 != sha256:
            raise VerifyError(
                "the model is not the file that was scanned",
                why=f"scanned {sha256}, found {held.sha256}",
                hint="seal supply scan PATH",
                rule="loader.changed",
            )
        require_clean(scan(held, policy))
        return _started(held, policy, steps, limits)
    finally:
        held.close()


def require_clean(verdict: Verdict) -> Verdict:
    """Return ``verdict`` if it is clean. Raises: Refused (``loader.not-clean``)."""
    if verdict.verdict != "clean":
        first = verdict.findings[0]
        raise Refused(
            f"the model file is {verdict.verdict}",
            why=f"it {RULES[first.rule].what}: {first.message}",
            hint=RULES[first.rule].mend,
            rule="loader.not-clean",
        )
    return verdict


def _started(held: Held, policy: Policy, steps: tuple[str, ...], bounds: Bounds) -> OpenModel:
    ours, theirs = socket.socketpair()
    order = Order(policy.level, policy.signed, steps, bounds.memory_bytes, bounds.cpu_s)
    with theirs:
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-m", "sealwright.kit.loader.worker"),
                *(str(theirs.fileno()), str(held.fd), msgspec.json.encode(order).decode()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), held.fd),
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HOME": "/nonexistent"},
            cwd="/",
        )
    ours.settimeout(bounds.open_s)
    model = OpenModel(process, ours, {})
    try:
        message, _ = wire.receive(ours)
    except (OSError, EOFError, ValueError, msgspec.DecodeError) as error:
        model.close()
        raise _gone(str(error) or "no answer") from error
    walls = set(message.facts.get("walls", "").split())
    if not message.error and "network" not in walls:
        model.close()
        raise Refused(
            "the model's worker still has a network",
            why="this machine allows no user namespaces",
            hint="seal doctor",
            rule="loader.no-wall",
        )
    if message.error:
        model.close()
        raise Refused("the model could not be loaded", why=message.error, rule="loader.failed")
    model.facts = message.facts
    ours.settimeout(bounds.answer_s)
    return model


def _gone(why: str) -> Refused:
    return Refused("the model's worker is gone", why=why, rule="loader.failed")
