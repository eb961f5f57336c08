"""Decoy records: they look like a table's own, stand for nobody, and are told apart by a key.

A column of identifiers, numbers or addresses gets values of the same shape, drawn at random. Their
last letters and digits are a check under a key, so that a value found somewhere else can be shown
to be ours; chance makes one in ten thousand at most. Names are halves of two names. Free text is
made of the table's own words, with a reference behind it that carries the check. Every other
column gets values that some record has, each column those of another, so that no decoy is
anybody's record.
Source: honeytokens (Spitzner 2003); docs/spec/canary-v1.md.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import re
import string
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from sealwright.core.errors import BadInput

POOL = 5_000
"""Records looked at, from the beginning."""
LEAST = 10
"""Letters and digits that a value needs to carry a check; shorter ones say nothing elsewhere."""
_CHECKED = 4
_DISTINCT = 0.5
_TEXT_WORDS = 4
_REFERENCE = "AAAA-0000-AAAA"
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d{4}")


def make(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], count: int, key: bytes, rng: random.Random
) -> pa.Table:
    """``count`` decoys with the columns of the source. Raises: BadInput (an empty source)."""
    pool: list[pa.RecordBatch] = []
    for batch in batches:
        pool.append(batch)
        if sum(each.num_rows for each in pool) >= POOL:
            break
    source = pa.Table.from_batches(pool, schema).slice(0, POOL)
    if not source.num_rows:
        raise BadInput("no decoys can be made of a table without records")
    columns = []
    for field in schema:
        values = source.column(field.name).to_pylist()
        columns.append(pa.array(_column(values, count, key, rng), field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def marks(batches: Iterable[pa.RecordBatch], key: bytes) -> frozenset[str]:
    """What carries the check, of the columns where everything that can carry it does."""
    found: dict[str, set[str]] = {}
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for value in column.to_pylist():
                if parts := _able("" if value is None else str(value)):
                    mark = next((part for part in parts if _checked(part, key) == part), "")
                    found.setdefault(name, set()).add(mark)
    return frozenset(mark for column in found.values() if "" not in column for mark in column)


def _able(value: str) -> list[str]:
    """What could carry a check: a value, or its last word where that is a reference."""
    parts = dict.fromkeys((value, *value.split()[-1:]))
    return [part for part in parts if len(_places(part)) >= LEAST]


def _column(values: Sequence[Any], count: int, key: bytes, rng: random.Random) -> list[Any]:
    known = [value for value in values if value is not None]
    distinct = len({str(value) for value in known}) >= max(2, _DISTINCT * len(known))
    texts = distinct and all(isinstance(value, str) for value in known)
    if texts and not _DATE.match(known[0]):
        if sum(len(value.split()) for value in known) > _TEXT_WORDS * len(known):
            return [_text(known, key, rng) for _ in range(count)]
        return [_named(known, key, rng) for _ in range(count)]
    if distinct and all(type(value) is int for value in known):
        return [_number(known, key, rng) for _ in range(count)]
    return [rng.choice(values) for _ in range(count)]


def _named(known: Sequence[str], key: bytes, rng: random.Random) -> str:
    """A name gets its words from two others, everything with a digit or a host letters anew."""
    value = rng.choice(known)
    if "@" in value or any(letter.isdecimal() for letter in value):
        return _shaped(value, key, rng)
    for _ in range(20):
        head, tail = rng.choice(known).split(" "), rng.choice(known).split(" ")
        value = " ".join([*head[: len(head) // 2], *tail[len(tail) // 2 :]])
        if head != tail and len(head) > 1:
            break
    return value


def _shaped(value: str, key: bytes, rng: random.Random) -> str:
    """The same shape, other letters and digits; an address keeps its host."""
    head, at, host = value.partition("@")
    drawn = "".join(_drawn(letter, rng) for letter in head)
    whole = drawn + at + host
    return _checked(whole, key) if len(_places(whole)) >= LEAST else whole


def _text(known: Sequence[str], key: bytes, rng: random.Random) -> str:
    """As many words as some text has, each of some text, and a reference."""
    words = [rng.choice(rng.choice(known).split() or [""]) for _ in rng.choice(known).split()]
    return " ".join([*words, _shaped(_REFERENCE, key, rng)])


def _number(known: Sequence[int], key: bytes, rng: random.Random) -> int:
    """A number of nobody's between the smallest and the largest; one of ten digits and more
    carries the check. One that is there, where there is no other."""
    taken, low, high = set(known), min(known), max(known)
    for _ in range(100):
        value = rng.choice(known)
        drawn = int(_shaped(str(abs(value)), key, rng)) * (-1 if value < 0 else 1)
        if drawn not in taken and low <= drawn <= high:
            return drawn
    return rng.choice(known)


def _drawn(letter: str, rng: random.Random) -> str:
    if letter.isdecimal():
        return rng.choice("123456789" if letter != "0" else string.digits)
    if letter.isalpha():
        return rng.choice(string.ascii_uppercase if letter.isupper() else string.ascii_lowercase)
    return letter


def _places(value: str) -> list[int]:
    """Where letters and digits stand; those of an address's host are not ours."""
    return [at for at, letter in enumerate(value.partition("@")[0]) if letter.isalnum()]


def _checked(value: str, key: bytes) -> str:
    """The value with its last letters and digits set to what the key says of those before."""
    places = _places(value)[-_CHECKED:]
    body = "".join(letter for at, letter in enumerate(value) if at not in places)
    said = iter(hmac.digest(key, body.casefold().encode(), hashlib.sha256))
    letters = list(value)
    for at in places:
        byte = next(said) << 8 | next(said)
        if letters[at].isdecimal():
            letters[at] = string.digits[byte % 10]
        else:
            upper = letters[at].isupper()
            letters[at] = (string.ascii_uppercase if upper else string.ascii_lowercase)[byte % 26]
    return "".join(letters)
