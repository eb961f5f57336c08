"""The worker: one model, one socket, and nothing else it could reach.

``python -I -m sealwright.kit.loader.worker SOCKET MODEL LEVEL …``: two inherited descriptors. It
leaves the network and the host's files, and takes its limits, before it reads a byte of the model.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import sys
from typing import Any

import msgspec

from sealwright.kit.loader import files
from sealwright.kit.modelfile.policy import Level, Signed, policy_of

_NEW_USER, _NEW_NET, _NEW_IPC = 0x10000000, 0x40000000, 0x08000000


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the worker is to open, and how much it may take."""

    level: Level
    signed: tuple[Signed, ...]
    steps: tuple[str, ...]
    memory_bytes: int
    cpu_s: int


def main() -> None:
    """Open the model, say what it is, answer until the socket closes."""
    peer = socket.socket(fileno=int(sys.argv[1]))
    model_fd, order = int(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=Order)
    walls = _walls(order)
    from sealwright.kit.loader import wire

    try:
        data = _read(model_fd)
        opened = _opened(data, order)
        facts = {"walls": " ".join(walls), **opened.facts()}
        wire.send(peer, wire.Message("open", facts=facts))
    except Exception as error:  # hostile bytes, or a library that is missing
        wire.send(peer, wire.Message("open", error=f"{type(error).__name__}: {error}"[:400]))
        return
    while True:
        try:
            message, batch = wire.receive(peer)
        except EOFError:
            return
        try:
            found, facts = opened.answer(message.what, batch)
            wire.send(peer, wire.Message("answer", facts=facts), found)
        except Exception as error:  # the model's own code: whatever it raises is its answer
            wire.send(peer, wire.Message("answer", error=f"{type(error).__name__}: {error}"[:400]))


def _walls(order: Order) -> list[str]:
    libc = ctypes.CDLL(None, use_errno=True)
    walls = list[str]()
    if libc.unshare(_NEW_USER | _NEW_NET | _NEW_IPC) == 0:
        walls.append("network")
    if libc.prctl(38, 1, 0, 0, 0) == 0:
        walls.append("privileges")
    for what, most in (
        (resource.RLIMIT_AS, order.memory_bytes),
        (resource.RLIMIT_CPU, order.cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, value))
    if files.enter():
        walls.append("files")
    return [*walls, "limits"]


def _read(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    out, at = bytearray(size), 0
    with memoryview(out) as view:
        while at < size:
            count = os.preadv(fd, [view[at:]], at)
            if not count:
                raise EOFError("the model ends early")
            at += count
    return bytes(out)


def _opened(data: bytes, order: Order) -> _Opened:
    from sealwright.kit.loader import restricted

    return _Opened(restricted.load(data, policy_of(order.level, order.signed)), order.steps)


class _Opened:
    """The model, and what it is asked: an array for an array, its weights by name, or to serve."""

    def __init__(self, model: Any, steps: tuple[str, ...]) -> None:
        from sealwright.kit.loader.weights import arrays_of

        self._model, self._steps = model, steps
        whole = hasattr(model, "predict") or hasattr(model, "transform")
        self._weights = {} if whole else arrays_of(model)

    def facts(self) -> dict[str, str]:
        from sealwright.kit.loader import served

        kind = "weights" if self._weights else "estimator"
        shapes = {
            f"tensor:{name}": f"{one.dtype} {list(one.shape)}"
            for name, one in list(self._weights.items())[:10_000]
        }
        told = served.facts_of(self._model, self._weights, self._steps)
        return {"kind": kind, "class": type(self._model).__name__, **told, **shapes}

    def answer(self, what: str, batch: Any) -> tuple[Any, dict[str, str]]:
        """``serve`` gives scores and features side by side; ``scores`` says how many are scores."""
        import numpy as np

        from sealwright.kit.loader import forward, served

        if what.startswith("tensor:"):
            return self._weights[what.removeprefix("tensor:")], {}
        if what == "serve":
            scores, features = served.answered(self._model, self._weights, self._steps, batch)
            return np.hstack([scores, features]), {"scores": str(scores.shape[1])}
        if self._weights and what == "predict":
            return forward.run(self._weights, self._steps, batch), {}
        if what not in ("predict", "predict_proba", "decision_function", "transform"):
            raise ValueError(f"no question {what!r}")
        found = np.asarray(getattr(self._model, what)(batch))
        return (found.astype(str) if found.dtype == object else found), {}


if __name__ == "__main__":
    main()
