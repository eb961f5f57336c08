"""What the links of the guard hand each other, and the port of the leakage ledger.

Released information is counted in millibits (thousandths of a bit), whole numbers rounded up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

How = Literal["loopback", "key", "token", "none"]
Fidelity = Literal["full", "top1", "label"]
Rung = Literal["observe", "warn", "throttle", "step-up", "degrade", "block"]

RUNGS: tuple[Rung, ...] = ("observe", "warn", "throttle", "step-up", "degrade", "block")
CELL_BITS = 10
"""A coverage bitmap has ``2 ** CELL_BITS`` cells: 128 bytes."""


class Caller(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Who asks, and what is known of where they come from. ``internal``: one of our own."""

    principal: str
    how: How
    internal: bool = False
    fidelity: Fidelity = "top1"
    organisation: str = ""
    issuer: str = ""
    certificate: str = ""
    subject: str = ""
    network: str = ""


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """One named array. ``datatype`` is OIP v2's (``FP32``, ``INT64``, ``BYTES``, …).

    ``values`` are an array, or a list where it has one dimension: faster where there are few.
    """

    name: str
    datatype: str
    values: npt.NDArray[Any] | list[Any]

    @property
    def data(self) -> npt.NDArray[Any]:
        """The values as an array."""
        if isinstance(self.values, list):
            return np.array(self.values, dtype=object if self.datatype == "BYTES" else None)
        return self.values


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What the worker said of a batch of n rows, before any of it is released.

    ``scores`` (n, K): class probabilities, or (n, m) values of a regression, ranking or embedding.
    ``features`` (n, d): the model's own feature space, for coverage and monitors; never released.
    """

    scores: npt.NDArray[Any]
    features: npt.NDArray[Any]
    labels: tuple[str, ...] = ()


class Allowance(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a link group, and everybody together, may learn of one model. 0 cells: no cap on them.

    ``rate_per_s`` and ``burst`` are of the generic cell rate algorithm (GCRA, ITU-T I.371).
    ``pace``: (millibits, cells), rising: so many cells once so much was spent, on straight lines
    from nothing; the last holds from there on.
    """

    group_mbits: int
    model_mbits: int
    cells: int = 0
    rate_per_s: int = 50
    burst: int = 100
    pace: tuple[tuple[int, int], ...] = ()


class Ask(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A reservation asked for: the most this answer could release. ``weight``: of the rate.

    ``at_ms`` is when the guard saw it, for the record; a ledger decides by a clock of its own,
    which a clock that jumps does not move back.
    """

    model: str
    principal: str
    mbits: int
    at_ms: int
    weight: int = 1


class Balance(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Where a link group stands: charged and reserved, what is left, its cells, its members."""

    model: str
    group: str
    members: tuple[str, ...]
    spent_mbits: int
    left_mbits: int
    model_left_mbits: int
    cells: int = 0
    anomaly_mbits: int = 0
    rung: Rung = "observe"
    rung_until_ms: int = 0


class Reservation(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Room in the ledger that is taken until it is settled. One that never is stays charged."""

    id: str
    ask: Ask
    balance: Balance


class Ledger(Protocol):
    """The leakage ledger: atomic, durable, and refusing when it cannot tell.

    A crash, a lost counter or a lost store may charge a group too much, never too little.
    """

    async def reserve(self, ask: Ask, allowance: Allowance) -> Reservation:
        """Take ``ask.mbits`` before the call, or refuse.

        Raises: Refused (``guard.rate``, ``guard.budget``, ``guard.model-budget``,
        ``guard.coverage``, ``guard.blocked``), Unavailable (``guard.ledger``).
        """
        ...

    async def settle(
        self, reservation: Reservation, mbits: int, cells: Sequence[int], anomaly_mbits: int = 0
    ) -> Balance:
        """Charge what was released (never above what was reserved) and the cells it touched.

        The answer may leave only after this returned. Raises: Unavailable, Refused
        (``guard.coverage``: the cells go beyond the cap, one bit is charged;
        ``guard.reservation``: settled before, another's, of before a crash, above what was
        reserved).
        """
        ...

    async def place(self, principal: str, group: str) -> None:
        """Count this principal's past and future charges, of every model, in ``group``.

        A principal nobody placed is a group of its own, by its own name: placing it there again
        takes a link back. A group's charge is its members' sum, its cells their union, its rung
        the highest of theirs.
        """
        ...

    async def climb(self, model: str, group: str, rung: Rung, until_ms: int) -> Balance:
        """Set a group's rung; it decays by itself at ``until_ms``."""
        ...

    async def balances(self, model: str) -> tuple[Balance, ...]:
        """Every group of which somebody ever asked, by name."""
        ...

    async def close(self) -> None:
        """Let go. What was claimed ahead and not spent is given back where that is certain."""
        ...
