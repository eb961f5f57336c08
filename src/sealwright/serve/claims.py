"""Claims: what the durable record says was spent, ahead of what really was.

A chunk is claimed with one durable write; counters in memory serve from it and refuse beyond it.
After a crash, or when the counters are lost, the whole claim counts as spent. So the record never
says too little, and says too much by at most a chunk (docs/spec/leakage-ledger-v1.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sealwright.serve.interface import Allowance, Rung

GROUP_CHUNKS = 64
"""A group claims 1/64 of its allowance at a time, shared by its members."""
MODEL_CHUNKS = 256
"""All together claim 1/256 of a model's allowance at a time."""
OPEN_MARGIN = 64
"""Cells that may be touched between two writes of a bitmap, where there is no cap on them."""


class AccountRow(msgspec.Struct, frozen=True):
    """What the record holds of one principal and model.

    ``cells`` is a bitmap as a whole number; up to ``margin`` cells more may have been touched
    since it was written, and ``lost`` cells were, before crashes, of which nobody knows which.
    ``allowed_mbits`` is the last allowance, for display.
    """

    model: str
    principal: str
    claimed_mbits: int = 0
    cells: int = 0
    margin: int = 0
    lost: int = 0
    anomaly_mbits: int = 0
    allowed_mbits: int = 0
    rung: Rung = "observe"
    until_ms: int = 0


class ModelRow(msgspec.Struct, frozen=True):
    """What the record holds of one model, over all principals."""

    model: str
    claimed_mbits: int = 0
    allowed_mbits: int = 0


class Record(msgspec.Struct, frozen=True):
    """All of it. ``placed``: principal → group, of those whom somebody placed."""

    accounts: tuple[AccountRow, ...] = ()
    models: tuple[ModelRow, ...] = ()
    placed: dict[str, str] = msgspec.field(default_factory=dict)


class Claim(msgspec.Struct, frozen=True):
    """A durable write asked for: the record's amounts and margin rise to these, never fall.

    ``cells`` are added to the bitmap. ``known`` is what the counters know to be claimed: a record
    that holds less was put back to an older state.
    """

    model: str
    principal: str
    mbits: int
    model_mbits: int
    cells: int
    margin: int
    anomaly_mbits: int
    allowed_mbits: int
    model_allowed_mbits: int
    known_mbits: int = 0
    known_model_mbits: int = 0
    ask_mbits: int = 0


class Wanted:
    """Claims that wait for the next durable write. Those that meet are wide enough for all."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], Claim] = {}

    def add(self, claim: Claim) -> None:
        """One more."""
        key = (claim.model, claim.principal)
        if other := self._claims.get(key):
            claim = msgspec.structs.replace(
                claim,
                mbits=max(claim.mbits, other.mbits + claim.ask_mbits),
                cells=claim.cells | other.cells,
                margin=max(claim.margin, other.margin),
                ask_mbits=claim.ask_mbits + other.ask_mbits,
            )
        self._claims[key] = claim

    def take(self) -> list[Claim]:
        """All of them; none wait any more."""
        taken, self._claims = list(self._claims.values()), {}
        asked: dict[str, int] = {}
        for one in taken:
            asked[one.model] = asked.get(one.model, 0) + one.ask_mbits
        return [
            msgspec.structs.replace(
                one, model_mbits=one.model_mbits + asked[one.model] - one.ask_mbits
            )
            for one in taken
        ]


class Claims(Protocol):
    """The durable record of one process that alone writes it. Methods block; each is atomic."""

    def take(self) -> Record:
        """What is there, with every open claim counted as spent and every margin as lost."""
        ...

    def claim(self, claims: Sequence[Claim]) -> None:
        """All of them, durable on return. Raises: Unavailable (nothing may count on them)."""
        ...

    def place(self, principal: str, group: str) -> None:
        """Durable on return. Raises: Unavailable."""
        ...

    def climb(self, model: str, principals: Sequence[str], rung: Rung, until_ms: int) -> None:
        """Durable on return. Raises: Unavailable."""
        ...

    def close(self, record: Record | None) -> None:
        """Let go; ``record`` is what was really spent, where that is known for certain."""
        ...


def ahead(spent_mbits: int, ask_mbits: int, left_mbits: int, chunk_mbits: int) -> int:
    """Up to where to claim so that an ask fits: a chunk more, never beyond what is left."""
    return spent_mbits + ask_mbits + max(0, min(chunk_mbits, left_mbits - ask_mbits))


def group_chunk(allowance: Allowance, members: int) -> int:
    """Millibits that one member claims at a time."""
    return allowance.group_mbits // GROUP_CHUNKS // max(1, members)


def model_chunk(allowance: Allowance) -> int:
    """Millibits that all together claim at a time."""
    return allowance.model_mbits // MODEL_CHUNKS


def margin(allowance: Allowance, members: int) -> int:
    """Cells that one member may touch between two durable writes."""
    if not allowance.cells:
        return OPEN_MARGIN
    return max(1, allowance.cells // GROUP_CHUNKS // max(1, members))
