"""A sheet of facts: what a policy may judge, under the version that says what each means."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.records import Json
from sealwright.evidence import jcs

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
