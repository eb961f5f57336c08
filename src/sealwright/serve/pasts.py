"""What the guard remembers of callers beside the ledger, in pieces that outlive a restart.

A piece is one thing of one caller or group, small and whole: written again when it changed. What
it was made by (a frame, a reference, a calibration) is named beside it: a piece of another making
means nothing, and is dropped. Who writes what, and what a kill loses: docs/spec/pasts-v1.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from sealwright.core.digest import Digest, of_bytes

Kind: TypeAlias = Literal[
    "level",
    "due",
    "memory",
    "trace",
    "sketch",
    "walk",
    "pace",
    "sample",
    "cover",
    "unruled",
    "ruler",
]

PROMPT: frozenset[Kind] = frozenset({"level", "due"})
"""Written in each round; the others in each :data:`SELDOM`-th."""

SELDOM = 10
AT_ONCE = 64
"""Pieces of one transaction: a few megabytes."""

EXPIRED = 60
"""Rounds between two looks for what is too old."""

MOST: dict[Kind, int] = {
    "level": 65_536,
    "due": 65_536,
    "memory": 1_000,
    "trace": 2_000,
    "sketch": 4_096,
    "walk": 500,
    "pace": 4_096,
    "sample": 1,
    "cover": 1,
    "unruled": 1,
    "ruler": 1,
}
"""Pieces of each kind that are kept; beyond them those go that changed longest ago."""

MOST_BYTES = 64 << 20
"""Of one piece; a larger one is not kept."""

FOREVER: frozenset[Kind] = frozenset({"ruler"})
"""Not of any caller: does not expire."""


class Piece(NamedTuple):
    """``body`` empty: nothing is left of it. ``made``: by what, or nothing."""

    kind: Kind
    name: str
    made: Digest
    body: bytes


class Pasts(Protocol):
    """Where pieces lie."""

    def write(self, pieces: Iterable[Piece]) -> None:
        """They outlive this process on return. Raises: Unavailable."""
        ...

    def read(self, kind: Kind, made: Digest = "") -> Sequence[Piece]:
        """What an earlier server wrote, those that changed last at the end; given out once."""
        ...

    def expire(self, kinds: Iterable[Kind]) -> Sequence[tuple[Kind, str]]:
        """Drop what is too old, and return it; and what is too much. Raises: Unavailable."""
        ...


class Nowhere:
    """Keeps nothing."""

    def write(self, pieces: Iterable[Piece]) -> None:
        """Nothing."""

    def read(self, kind: Kind, made: Digest = "") -> Sequence[Piece]:
        """Nothing."""
        return ()

    def expire(self, kinds: Iterable[Kind]) -> Sequence[tuple[Kind, str]]:
        """Nothing."""
        return ()


NOWHERE: Pasts = Nowhere()


class Measure:
    """The digest of what pieces are measured by, taken anew where that is another object."""

    def __init__(self) -> None:
        self._of: tuple[Any, ...] = ()
        self._digest: Digest = ""

    def __call__(self, *parts: Any) -> Digest:
        """``parts`` are frozen."""
        if not self._digest or any(
            one is not two for one, two in zip(parts, self._of, strict=True)
        ):
            self._of, self._digest = parts, of_bytes(msgspec.msgpack.encode(parts))
        return self._digest


class Changed:
    """Whose pieces are to be written: told by :meth:`mark`, taken by :meth:`write`."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self._names: dict[Kind, dict[str, None]] = {kind: {} for kind in kinds}
        self._rounds = 0

    def mark(self, kind: Kind, name: str = "") -> None:
        """This one changed, or is gone."""
        self._names[kind][name] = None

    def write(
        self, to: Pasts, piece: Callable[[Kind, str], Piece], *, all_of: bool = False
    ) -> Sequence[tuple[Kind, str]]:
        """At the end of a round: write what is its turn (``all_of``: whatever changed). What is
        too old, to be forgotten. Raises: Unavailable (it is written in a later round)."""
        self._rounds += 1
        seldom = all_of or self._rounds % SELDOM == 0
        turn = [kind for kind in self.kinds if seldom or kind in PROMPT]
        names = [(kind, name) for kind in turn for name in self._names[kind]]
        for at in range(0, len(names), AT_ONCE):
            to.write([piece(kind, name) for kind, name in names[at : at + AT_ONCE]])
        for kind in turn:
            self._names[kind].clear()
        return to.expire(self.kinds) if self._rounds % EXPIRED == 0 else ()
