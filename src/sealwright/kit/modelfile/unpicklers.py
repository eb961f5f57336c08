"""CPython's unpickler in C over names that stand for nothing (``stubs``)."""

from __future__ import annotations

import contextlib
import pickle
from typing import Any

from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.stubs import Inert, Log
from sealwright.kit.modelfile.trace import Trace


class Peeked:
    """Bytes that the C unpickler reads where they lie, in one go, and without a copy."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._rest, self.at = memoryview(data), 0

    def peek(self, count: int = 0) -> memoryview:
        """Everything that is left."""
        return self._rest

    def read(self, count: int) -> memoryview:
        """The next ``count`` bytes, fewer at the end."""
        got, self._rest = self._rest[:count], self._rest[count:]
        self.at += len(got)
        return got

    def readline(self) -> bytes:
        """Everything that is left: a line end in it would have been seen by looking ahead."""
        return bytes(self.read(len(self._rest)))


class CReader(Inert, pickle.Unpickler):
    """CPython's unpickler in C."""

    def __init__(self, stream: Any, log: Log) -> None:
        super().__init__(stream)
        self.log = log


def follow(data: bytes | memoryview, policy: Policy, *, storages: bool = False) -> Trace:
    """What the C unpickler does with the pickle at the start of ``data``. Raises: anything."""
    log = Log(policy, storages=storages)
    stream = Peeked(data)
    CReader(stream, log).load()
    return log.trace(stream.at)


def touched(data: bytes | memoryview, policy: Policy) -> Trace:
    """What unpicklers get to when they are given bytes that are no pickle, before they fail.

    For every other format: read as a pickle, most fail at their first byte.
    """
    log = Log(policy, storages=False)
    reader = CReader(Peeked(data), log)
    with contextlib.suppress(Exception):  # how it fails says nothing
        reader.load()
    return log.trace(0)
