"""A stranger's JSON, read strictly: no key twice, no float, no stray base64."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from sealwright.core.errors import VerifyError
from sealwright.evidence.jcs import MAX_INTEGER


def parsed(data: bytes, what: str) -> Mapping[str, Any]:
    """An object. Raises: VerifyError (rule ``attest.malformed``)."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        malformed(what, f"not JSON: {str(error)[:100]}")
    if not isinstance(value, dict):
        malformed(what, "not a JSON object")
    return value


def member(value: Mapping[str, Any], name: str, what: str) -> Mapping[str, Any]:
    """A member that is an object. Raises: VerifyError."""
    found = value.get(name)
    if not isinstance(found, dict):
        malformed(what, f"{name} is missing, or no object")
    return found


def rows(value: Mapping[str, Any], name: str, what: str) -> list[Mapping[str, Any]]:
    """A member that is a list of objects, empty where it is absent. Raises: VerifyError."""
    found = value.get(name) or []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        malformed(what, f"{name} is no list of objects")
    return found


def text(value: Mapping[str, Any], name: str, what: str) -> str:
    """A member that is a string. Raises: VerifyError."""
    found = value.get(name)
    if not isinstance(found, str):
        malformed(what, f"{name} is missing, or no string")
    return found


def unbase64(value: Mapping[str, Any], name: str, what: str) -> bytes:
    """A member in base64. Raises: VerifyError."""
    found = text(value, name, what)
    try:
        data = base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError):
        malformed(what, f"{name} is not base64")
    if base64.b64encode(data).decode("ascii") != found:
        malformed(what, f"{name} is base64 with stray bits")
    return data


def number(value: Mapping[str, Any], name: str, what: str) -> int:
    """A member that is a count, as a number or (as protobuf writes it) a string."""
    found = value.get(name)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        found = int(found)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MAX_INTEGER:
        return found
    malformed(what, f"{name} is missing, or no count")


def malformed(what: str, why: str) -> NoReturn:
    """Raises: VerifyError."""
    raise VerifyError(f"{what} cannot be read", why=why, rule="attest.malformed")
