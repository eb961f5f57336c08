"""What a reader of a pickle did, in order: the thing that two independent readers must agree on.

An event is ``8 * pair + verb``, where ``pair`` numbers the (module, name) pairs as they first
appear. Equal traces mean equal programs, as far as code can run.
"""

from __future__ import annotations

import msgspec

NAMED, CALLED, MADE, BUILT, FILLED, FETCHED = range(6)
"""Verbs: named, called, made without ``__init__``, given its state, filled, fetched by number."""

LETTERS = {CALLED: "c", MADE: "n", BUILT: "bn", FILLED: "f"}
"""Verb → the letters of the policy of which one allows it."""


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor's storage as a torch pickle asks for it. ``count`` is -1 where not followed."""

    kind: str
    key: str
    count: int = -1


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes of an array that lie between opcodes; ``pickled`` where they are a pickle again."""

    start: int
    length: int
    pickled: bool = False


class Trace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one reader saw. ``end`` is the offset after the last opcode."""

    pairs: tuple[tuple[str, str], ...] = ()
    events: tuple[int, ...] = ()
    end: int = 0
    storages: tuple[Storage, ...] = ()
    spans: tuple[Span, ...] = ()
