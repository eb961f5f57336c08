"""References: ``data:NAME@N``, ``model:NAME@N``, ``run:ID``; ``latest`` works everywhere."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from sealwright.core.errors import BadInput

Kind = Literal["data", "model", "run"]
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?")
_KINDS: tuple[Kind, ...] = ("data", "model", "run")


class Ref(msgspec.Struct, frozen=True):
    """A parsed reference. ``version`` 0 is ``latest``; ``alias`` is set for ``model:x@prod``."""

    kind: Kind
    name: str
    version: int = 0
    alias: str = ""

    def __str__(self) -> str:
        if self.kind == "run":
            return f"run:{self.name}"
        tail = self.alias or (str(self.version) if self.version else "latest")
        return f"{self.kind}:{self.name}@{tail}"


def parse(text: str, default: Kind | None = None) -> Ref:
    """Parse a reference; ``default`` is the kind when the prefix is left out.

    Raises: BadInput, naming what is wrong and an example.
    """
    kind: Kind | None = default
    rest = text
    head, colon, tail = text.partition(":")
    if colon:
        if head not in _KINDS:
            raise _bad(text, f"{head!r} is none of data, model, run")
        kind, rest = head, tail
    if kind is None:
        raise _bad(text, "no prefix, and it could be data, model or run")
    name, _, version = rest.partition("@")
    if kind == "run":
        if version or not name:
            raise _bad(text, "a run has an id and no version")
        return Ref("run", name)
    check_name(name)
    if version in ("", "latest"):
        return Ref(kind, name)
    if version.isdecimal():
        if int(version) < 1:
            raise _bad(text, "versions start at 1")
        return Ref(kind, name, int(version))
    if kind == "model" and NAME.fullmatch(version):
        return Ref(kind, name, alias=version)
    raise _bad(text, f"{version!r} is not a version")


def check_name(name: str) -> str:
    """Return ``name`` if a dataset, model or alias may be called that. Raises: BadInput."""
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be a name",
            why="1 to 64 of a-z, 0-9, '-', '_', '.', starting and ending with a letter or digit",
        )
    return name


def _bad(text: str, why: str) -> BadInput:
    return BadInput(
        f"{text!r} is not a reference",
        why=why,
        hint="write data:train@1, model:fraud@2, model:fraud@prod, run:ID; latest works too",
    )
