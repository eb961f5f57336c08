"""What a pattern is and what it found. A match says where and what kind, and never the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from sealwright.kit.patterns.countries import COUNTRIES

Category = Literal["personal", "financial", "health", "network", "credential"]

LOW, MEDIUM, HIGH, SURE = 40, 60, 80, 99
"""Confidences in percent. ``LOW``: a weak checksum holds and nothing near says what it is."""


class Pattern(msgspec.Struct, frozen=True, eq=False):
    """One way in which one kind of data is written.

    ``shapes`` are exact spellings with every digit as ``9`` and every letter as ``A``
    (``999-99-9999``); ``plain`` are spellings that could be anything, so that without a
    ``context`` word near they count for ``bare``.

    Where no spelling is exact, ``regex`` is tried in texts that hold one of ``anchors``
    (literals, in lower case where ``fold``) or ``gates`` (spellings): from ``reach`` characters
    before each of them on (``alone``: where no word goes on there), or, where ``reach`` is -1, once
    over the text that holds ``least`` of them and in which ``hint`` is found; or where a number
    begins with ``digit`` or capitals of the spelling ``ahead`` stand before one. ``long`` ones lie
    in unbroken strings of twenty characters and more. A group ``v`` is the value, ``trim`` says how
    much of it is, and ``whole`` hands the validator all that matched.

    ``validator`` gets what matched and returns whether its checksum or structure holds; None
    means that there is nothing to hold. ``strict`` drops what does not.

    Each is itself and equal to no other, so that it is found in a table at once.
    """

    name: str
    kind: str
    category: Category
    shapes: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    regex: str = ""
    anchors: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    digit: str = ""
    ahead: str = ""
    alone: bool = False
    hint: str = ""
    long: bool = False
    fold: bool = False
    reach: int = 0
    least: int = 1
    whole: bool = False
    trim: Callable[[str], int] | None = None
    validator: Callable[[str], bool | None] | None = None
    context: tuple[str, ...] = ()
    confidence: int = HIGH
    bare: int = LOW
    strict: bool = True
    wants_context: bool = False


class Match(msgspec.Struct, frozen=True, gc=False):
    """``text[start:end]`` is of ``kind``. ``valid``: a checksum or a strict structure held.

    The value itself is not kept, so that printing a match shows nothing.
    """

    kind: str
    start: int
    end: int
    confidence: int
    valid: bool
    pattern: str
    category: Category


NAMED_SO = (
    "national id", "national identity", "national identification", "national number",
    "identity number", "identity card", "identity code", "identification number",
    "identification code", "id card", "personal id", "personal identity",
    "personal identification", "personal code", "personal number", "person number", "citizen id",
    "social security", "social insurance", "tax id", "tax number", "tax identification",
    "taxpayer", "ssn",
)  # fmt: skip
"""What a form of any country calls the number of a person, in English."""


def identifier(
    name: str,
    shapes: tuple[str, ...],
    plain: tuple[str, ...],
    validator: Callable[[str], bool | None] | None,
    context: tuple[str, ...],
    confidence: int = HIGH,
    bare: int = LOW,
    kind: str = "national-id",
    category: Category = "personal",
    strict: bool = True,
) -> Pattern:
    """A number that stands for a person, a company or a thing of theirs.

    ``bare`` is 50 and more where at most one in a hundred strings of as many random
    digits passes the validator: then the number tells by itself.
    """
    return Pattern(
        name,
        kind,
        category,
        shapes=shapes,
        plain=plain,
        validator=validator,
        context=(*context, *COUNTRIES[name[:2]], *NAMED_SO) if kind == "national-id" else context,
        confidence=confidence,
        bare=bare,
        strict=strict,
    )
