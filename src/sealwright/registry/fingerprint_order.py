"""Whether a commitment came before what it is used against, or proves nothing."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sealwright.core.errors import BadInput
from sealwright.core.predicates import ALIAS, EXPORT
from sealwright.core.records import Recorded
from sealwright.evidence.history import History
from sealwright.registry.fingerprint import Commitment


class Order(msgspec.Struct, frozen=True):
    """``holds``: the questions were fixed before anybody could have known the suspect.

    ``released`` is the log entry of the model's first export or promotion, -1 for none.
    ``published`` is when the suspect was first seen, as somebody says; empty where nobody did.
    """

    entry: int
    time: str
    released: int
    published: str
    holds: bool
    why: str


def order_of(history: History, entry: Recorded, said: Commitment, published: str) -> Order:
    """Judge one commitment. Raises: BadInput (``published`` is no date)."""
    released = released_at(history, said.model, said.version)
    if published:
        holds = moment(said.time) < moment(published)
        word = "before" if holds else "not before"
        why = f"it is of {said.time}, {word} the suspect was first seen ({published})"
    elif released < 0:
        holds, why = (
            False,
            "no release of the model is in the log and nobody says when the suspect was first seen",
        )
    else:
        holds = entry.index < released
        word = "before" if holds else "after"
        why = f"entry {entry.index} is {word} the model's first release, entry {released}"
    return Order(entry.index, said.time, released, published, holds, why)


def released_at(history: History, name: str, version: int) -> int:
    """The entry of the first export or promotion of a version; -1 for none."""
    return next(
        (
            entry.index
            for entry in history.of_type(EXPORT, ALIAS)
            if entry.statement.predicate.get("model") == name
            and entry.statement.predicate.get("version") == version
        ),
        -1,
    )


def moment(text: str) -> datetime:
    """``2026-11-23`` or RFC 3339, in UTC where it says nothing. Raises: BadInput."""
    try:
        found = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError as error:
        raise BadInput(
            f"{text!r} is no date", hint="2026-11-23, or 2026-11-23T18:27:52Z"
        ) from error
    if found.tzinfo is None:
        raise BadInput(f"{text!r} has no time zone", hint=f"{text}Z")
    return found
