"""Canonical JSON (RFC 8785, JCS) over the values a statement may hold: no floats, no surprises."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

import rfc8785

from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.records import Json

MAX_INTEGER = 2**53 - 1
"""The largest integer (and, negated, the smallest) that RFC 8785 can carry."""

MAX_DEPTH = 64
"""Arrays and objects nested deeper than this are refused."""


def canonical(value: Any) -> bytes:
    """The one encoding of ``value``. Raises: BadInput (float, big integer, odd type or key)."""
    plain = _plain(value, "$", 0)
    text = _sorted(plain)
    if text.isascii():
        return text.encode("ascii")
    try:
        return rfc8785.dumps(cast("Any", plain))
    except rfc8785.CanonicalizationError as error:
        raise BadInput("a value has no canonical JSON", why=str(error)) from error


def parse(data: bytes) -> Json:
    """The value whose canonical encoding is exactly ``data``.

    Raises: VerifyError, rule ``json.*`` (not UTF-8, not JSON, a duplicate key, a float,
    too deep, or any other spelling than the canonical one).
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VerifyError("not UTF-8", why=str(error), rule="json.not-utf8") from error
    try:
        value = json.loads(
            text,
            parse_int=_bounded,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
            object_pairs_hook=_without_duplicates,
        )
    except (ValueError, RecursionError) as error:
        raise VerifyError("not JSON", why=str(error)[:200], rule="json.malformed") from error
    if not _is_canonical(value, text, data):
        raise VerifyError(
            "JSON is not in its canonical form",
            why="RFC 8785: sorted keys, no white space, one spelling for each value",
            rule="json.not-canonical",
        )
    return cast("Json", value)


def _sorted(value: Json) -> str:
    """RFC 8785 for every value whose text comes out as ASCII; for others the order may differ."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _is_canonical(value: Json, text: str, data: bytes) -> bool:
    if text.isascii() and text.count("[") + text.count("{") <= MAX_DEPTH:
        return _sorted(value) == text
    try:
        return canonical(value) == data
    except BadInput as error:
        raise VerifyError(error.what, why=error.why, rule="json.not-canonical") from error


def _bounded(text: str) -> int:
    value = int(text)
    if abs(value) > MAX_INTEGER:
        raise VerifyError(
            "JSON holds an integer beyond ±(2^53 - 1)", why=text[:40], rule="json.not-canonical"
        )
    return value


def _plain(value: Any, path: str, depth: int) -> Json:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise _bad(path, f"{value} is beyond ±(2^53 - 1); write it as a string")
        return value
    if isinstance(value, float):
        raise _bad(path, "a float; write it as a decimal string")
    if depth >= MAX_DEPTH:
        raise _bad(path, f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        out: dict[str, Json] = {}
        for key, member in value.items():
            if not isinstance(key, str):
                raise _bad(path, f"the key {key!r} is not a string")
            out[key] = _plain(member, f"{path}.{key}", depth + 1)
        return out
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(member, f"{path}[{i}]", depth + 1) for i, member in enumerate(value)]
    raise _bad(path, f"{type(value).__name__} is not JSON")


def _bad(path: str, why: str) -> BadInput:
    return BadInput(f"{path} cannot go into a statement", why=why)


def _refuse_float(text: str) -> NoReturn:
    raise VerifyError("JSON holds a float", why=f"found {text[:40]}", rule="json.float")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise VerifyError(
            "JSON holds a key twice", why=f"the key {twice[:80]!r}", rule="json.duplicate-key"
        )
    return out
