"""A sheet of facts: what a policy may judge, under the version that says what each means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput
from sealwright.core.records import Json
from sealwright.evidence import jcs

NEVER = 2**53 - 1
"""The age or lag of something that never happened: later than any limit."""

Kind = Literal["Bool", "Long", "String", "Set<String>"]
Value = bool | int | str | tuple[str, ...]


class FactSheet(msgspec.Struct, frozen=True):
    """Every fact of one version, each of its type. ``facts`` and ``accessfacts`` make them."""

    values: Mapping[str, Value]
    version: str

    @property
    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON of version and values."""
        return of_bytes(jcs.canonical({"facts": self.jsonable(), "version": self.version}))

    def jsonable(self) -> dict[str, Json]:
        """The values with sets as sorted lists: what Cedar reads and a statement keeps."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in sorted(self.values.items())
        }


def checked(name: str, kind: Kind, value: object) -> Value:
    """``value`` as a fact of that kind. Raises: BadInput naming the fact."""
    if kind == "Bool" and isinstance(value, bool):
        return value
    if kind == "Long" and isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= NEVER:
            return value
        raise BadInput(f"the fact {name} is out of range", why=f"{value} is not in 0 to 2^53 - 1")
    if kind == "String" and isinstance(value, str):
        return value
    if (
        kind == "Set<String>"
        and isinstance(value, tuple | list | set | frozenset)
        and all(isinstance(item, str) for item in value)
    ):
        return tuple(sorted(set(value)))
    raise BadInput(f"the fact {name} is {type(value).__name__}", why=f"{kind} wanted")
