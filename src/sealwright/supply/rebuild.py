"""What builds under one varied surrounding at a time say about a difference. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from sealwright.core.digest import Digest
from sealwright.supply import archivediff
from sealwright.supply.archive import Contents
from sealwright.supply.archivediff import Cause


class Outcome(msgspec.Struct, frozen=True):
    """Whether two builds are equal, and if not, why. ``how``: by trying, or from the archives."""

    kind: Literal["wheel", "layer", "archive", "run"]
    first: Digest
    second: Digest
    causes: tuple[Cause, ...] = ()
    how: Literal["", "tried", "compared"] = ""
    tools: Mapping[str, str] = {}
    held: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Equal bytes."""
        return self.first == self.second


def attribute(
    pair: tuple[Contents, Contents], still: Contents | None, tried: Mapping[str, Contents]
) -> tuple[Sequence[Cause], Literal["tried", "compared"]]:
    """The causes that trying shows; those that the archives show where trying shows none."""
    found = []
    for cause, contents in tried.items():
        if still is not None and contents.sha256 != still.sha256:
            shown = archivediff.compare(still, contents)
            found.append(Cause(cause, next((one.path for one in shown if one.path), "")))
    if found:
        return found, "tried"
    return archivediff.compare(*pair), "compared"
