"""What is done to one column of a table so that it says less. Arrow arrays in, arrays out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import date, datetime
from math import floor

import pyarrow as pa
import pyarrow.compute as pc

from sealwright.core.errors import BadInput

Secret = bytes
PSEUDONYM_HEX = 32
PERIODS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def null(column: pa.Array) -> pa.Array:
    """Nothing left, of the same type."""
    return pa.nulls(len(column), column.type)


def pseudonyms(column: pa.Array, name: str, secret: Secret) -> pa.Array:
    """Equal values of a column have equal pseudonyms, and nobody without the key makes one."""
    return each(column, pseudonym(name, secret), blanks=True)


def pseudonym(name: str, secret: Secret) -> Callable[[str], str]:
    """Makes the pseudonyms of column ``name``. Raises: BadInput (no key)."""
    if not secret:
        raise BadInput("a pseudonym needs a key")
    head = name.encode() + b"\0"

    def one(text: str) -> str:
        said = head + text.encode("utf-8", "surrogatepass")
        return hmac.new(secret, said, hashlib.sha256).hexdigest()[:PSEUDONYM_HEX]

    return one


def last4(column: pa.Array) -> pa.Array:
    """The last four characters behind four stars."""
    return each(column, lambda text: "****" + text[-4:], blanks=True)


def each(
    column: pa.Array, change: Callable[[str], str | None], *, blanks: bool = False
) -> pa.Array:
    """``change`` on every value as text, once for each distinct one; nulls stay null, and an
    empty text stays empty unless ``blanks``."""
    known: dict[str, str | None] = {}
    out: list[str | None] = []
    for value in column.to_pylist():
        if value is None:
            out.append(None)
            continue
        text = str(value)
        if text not in known:
            known[text] = change(text) if text or blanks else text
        out.append(known[text])
    return pa.array(out, pa.string())


def partial(text: str, keep: str = "") -> str:
    """A value with its middle starred, as its form allows: ``a***@mail.org``, ``192.168.*.*``."""
    if "@" in text:
        local, _, domain = text.rpartition("@")
        return f"{local[:1]}***@{domain}"
    parts = text.split(".")
    if len(parts) == 4 and all(part.isdecimal() for part in parts):
        return ".".join([*parts[:2], "*", "*"])
    shown = 4 if len(text) >= 8 else 1 if len(text) >= 4 else 0
    cut = len(text) - shown
    stars = "".join("*" if character.isalnum() else character for character in text[:cut])
    return stars + text[cut:]


def binned(column: pa.Array, width: float) -> pa.Array:
    """Numbers as half-open ranges of ``width``: ``[30, 40)``. Raises: BadInput (no numbers)."""
    if not width > 0:
        raise BadInput("a bin has a width above 0", hint="--bin age=10")
    try:
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(column, ""), None, column)
        numbers = pc.cast(column, pa.float64()).to_pylist()
    except pa.ArrowInvalid as error:
        raise BadInput("this column is not of numbers", why="some cells are not") from error

    def said(number: float | None) -> str | None:
        if number is None or number != number:
            return None
        if number in (float("inf"), float("-inf")):
            return "inf" if number > 0 else "-inf"
        low = floor(number / width) * width
        return f"[{low:g}, {low + width:g})"

    return pa.array([said(number) for number in numbers], pa.string())


def period(column: pa.Array, unit: str) -> pa.Array:
    """Days and times as their month or year. Raises: BadInput (no dates, no such unit)."""
    if unit not in PERIODS:
        raise BadInput(f"there is no period {unit!r}", why=f"known: {', '.join(PERIODS)}")
    return pa.array([_period(value, PERIODS[unit]) for value in column.to_pylist()], pa.string())


def _period(value: object, form: str) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, date):
        return value.strftime(form)
    try:
        return datetime.fromisoformat(str(value).strip()).strftime(form)
    except ValueError as error:
        raise BadInput("this column is not of dates", why="write them as 2026-11-25") from error


def prefix(column: pa.Array, length: int) -> pa.Array:
    """The first ``length`` characters, the rest starred."""
    if length < 0:
        raise BadInput("a prefix has a length of 0 and more")
    return each(column, lambda text: text[:length] + "*" * max(0, len(text) - length))
