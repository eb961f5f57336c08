"""What the heaviest callers asked and were told, kept so that a copy can be trained on it.

Off unless it is asked for: these are callers' inputs. Of each caller a random part of the requests
(bottom-k: Cohen and Kaplan 2007), whole ones, because a request's keyed digest is what its record
says; of all callers those who asked most. What is too old is forgotten.
"""

from __future__ import annotations

import heapq
import secrets
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.serve import outputs
from sealwright.serve.interface import Answer, Caller, Fidelity
from sealwright.serve.outputs import Shape

CALLERS = 32
"""Of whom anything is kept: those who asked most."""

COUNTED = 100_000
"""Callers whose rows are counted; beyond them nobody new is."""

WAITING = 10_000
"""Rows put by between two rounds, at most; what came beyond them is missed, and counted."""

MOST_BYTES = 32 << 20


class Told(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """One answered request. ``inputs``: the batch, as ``dtype`` and ``shape`` read its bytes.

    What left: ``labels`` (n,) uint16; ``top`` (n,), ``scores`` (n, K) float32, or empty. ``rank``
    is drawn, and the smallest go first.
    """

    rank: int
    at_ms: int
    dtype: str
    shape: tuple[int, ...]
    inputs: bytes
    labels: bytes
    top: bytes = b""
    scores: bytes = b""

    @property
    def rows(self) -> int:
        """n."""
        return self.shape[0]

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.inputs) + len(self.labels) + len(self.top) + len(self.scores)

    @property
    def named(self) -> bytes:
        """What the keyed digest in its record is of (``guard.Question``)."""
        return self.inputs + f"{self.dtype}{self.shape}".encode()

    def batch(self) -> npt.NDArray[Any]:
        """The inputs as they were asked."""
        return np.frombuffer(self.inputs, self.dtype).reshape(self.shape)


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one caller: rows answered since they were counted, and which requests are kept."""

    asked: int
    requests: tuple[Told, ...]


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything, by principal. ``missed`` rows came too fast to be looked at."""

    accounts: dict[str, Account]
    missed: int = 0


class Waiting(NamedTuple):
    """An answer put by."""

    principal: str
    fidelity: Fidelity
    inputs: npt.NDArray[Any]
    scores: npt.NDArray[Any]


class Reservoir:
    """A random part of one caller's requests, ``rows`` at most."""

    def __init__(self, rows: int, requests: Iterable[Told] = ()) -> None:
        self._most = rows
        self.requests = list(requests)
        heapq.heapify(self.requests)
        self.rows = sum(one.rows for one in self.requests)
        self.size = sum(one.size for one in self.requests)

    def add(self, told: Told) -> None:
        """Take one in; those with the smallest rank make room."""
        heapq.heappush(self.requests, told)
        self.rows += told.rows
        self.size += told.size
        while self.rows > self._most:
            self.pop()

    def pop(self) -> None:
        """Forget the request with the smallest rank."""
        gone = heapq.heappop(self.requests)
        self.rows -= gone.rows
        self.size -= gone.size

    def since(self, before_ms: int) -> Reservoir:
        """What is not older."""
        return Reservoir(self._most, (one for one in self.requests if one.at_ms >= before_ms))


class Keeper:
    """Of one classifier's callers, ``rows`` of each at most.

    :meth:`behind` may be called while :meth:`work` runs in another thread; nothing else may.
    """

    def __init__(self, shape: Shape, rows: int, most_bytes: int = MOST_BYTES) -> None:
        # a shape without labels names codes
        self._shape = msgspec.structs.replace(shape, labels=())
        self._rows, self._most_bytes = rows, most_bytes
        self._lock = threading.Lock()
        self._waiting = deque[Waiting]()
        self._held = 0
        self._places = dict[str, Reservoir]()
        self._asked = dict[str, int]()
        self.missed = 0

    def behind(
        self, caller: Caller, inputs: npt.NDArray[Any], answer: Answer, fidelity: Fidelity
    ) -> None:
        """Put an answer by; our own people's are not kept."""
        if caller.internal:
            return
        one = Waiting(caller.principal, fidelity, inputs, answer.scores)
        with self._lock:
            if self._held + len(inputs) > WAITING and self._waiting:
                self.missed += len(inputs)
                return
            self._waiting.append(one)
            self._held += len(inputs)

    def work(self, now_ms: int) -> bool:
        """Take in what waits; whether there was anything."""
        with self._lock:
            waiting, self._waiting, self._held = self._waiting, deque(), 0
        for one in waiting:
            self._add(one, now_ms)
        return bool(waiting)

    def _add(self, one: Waiting, now_ms: int) -> None:
        who, count = one.principal, len(one.inputs)
        if who not in self._asked and len(self._asked) >= COUNTED:
            self.missed += count
            return
        self._asked[who] = self._asked.get(who, 0) + count
        if not self._placed(who):
            return
        self._places.setdefault(who, Reservoir(self._rows)).add(self._told(one, now_ms))
        self._bounded()

    def _placed(self, who: str) -> bool:
        """Whether they have a place, if need be that of the lightest who asked less."""
        if who in self._places or len(self._places) < CALLERS:
            return True
        lightest = self._lightest()
        if self._asked[lightest] >= self._asked[who]:
            return False
        del self._places[lightest]
        return True

    def _lightest(self) -> str:
        return min(self._places, key=lambda one: self._asked[one])

    def _bounded(self) -> None:
        """Not more bytes than may be: the lightest go first, then requests of who is left."""
        while sum(one.size for one in self._places.values()) > self._most_bytes:
            lightest = self._lightest()
            if len(self._places) > 1:
                del self._places[lightest]
            else:
                self._places[lightest].pop()

    def _told(self, one: Waiting, now_ms: int) -> Told:
        """What left of an answer, as the output policy lets it."""
        answer = Answer(one.scores, np.zeros((len(one.scores), 0)))
        tensors = outputs.released(self._shape, one.fidelity, answer)
        left = {tensor.name: tensor.data for tensor in tensors}
        batch = np.ascontiguousarray(one.inputs)
        labels = left["label"].astype(str).astype("<u2")
        parts = (left.get(name) for name in ("probability", "probabilities"))
        top, scores = (b"" if part is None else part.astype("<f4").tobytes() for part in parts)
        return Told(
            secrets.randbits(62),
            now_ms,
            batch.dtype.str,
            batch.shape,
            batch.tobytes(),
            labels.tobytes(),
            top,
            scores,
        )

    def forget(self, before_ms: int) -> None:
        """What is older."""
        left = {who: place.since(before_ms) for who, place in self._places.items()}
        self._places = {who: place for who, place in left.items() if place.requests}

    def clear(self) -> None:
        """Everything."""
        self._places.clear()
        self._asked.clear()

    def kept(self) -> Kept:
        """All of it."""
        accounts = {
            who: Account(self._asked[who], tuple(sorted(place.requests)))
            for who, place in self._places.items()
        }
        return Kept(accounts, self.missed)

    def take(self, kept: Kept) -> None:
        """What an earlier server kept."""
        self._asked = {who: account.asked for who, account in kept.accounts.items()}
        self._places = {
            who: Reservoir(self._rows, account.requests) for who, account in kept.accounts.items()
        }
        self.missed = kept.missed

    @property
    def count(self) -> tuple[int, int]:
        """Rows kept, and of how many callers."""
        return sum(place.rows for place in self._places.values()), len(self._places)
