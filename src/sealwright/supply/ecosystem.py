"""Whose versions an advisory speaks of: PyPI's, or those of one release of a distribution.

Names are OSV's (``Debian:12``, ``Alpine:v3.19``, ``Ubuntu:24.04``); Ubuntu's ``:LTS`` is left out,
and what only its subscribers get (``Ubuntu:Pro``) is another ecosystem, which is not read.
Source: the OSV schema ("Defined ecosystems").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from packaging.version import InvalidVersion, Version

from sealwright.core.errors import BadInput
from sealwright.supply import osversions

PYPI = "PyPI"
_NAME = re.compile(r"(?:PyPI|(?:Debian:[0-9]+|Alpine:v[0-9]+\.[0-9]+|Ubuntu:[0-9]{2}\.[0-9]{2}))")
_FAMILIES = ("Debian", "Alpine", "Ubuntu")

Order = Callable[[str], Any]


@lru_cache(maxsize=65536)
def public(text: str) -> Version | None:
    """The version without its local part; None where PEP 440 does not know it."""
    try:
        return Version(Version(text).public)
    except InvalidVersion:
        return None


_ORDERS: Mapping[str, Order] = {
    PYPI: public,
    "Debian": osversions.dpkg,
    "Ubuntu": osversions.dpkg,
    "Alpine": osversions.apk,
}


def order(ecosystem: str) -> Order:
    """The key of a version there; the key is None where it has none."""
    return _ORDERS[ecosystem.partition(":")[0]]


def canonical(name: str) -> str:
    """One ecosystem's name as it is kept; empty for what is not read here."""
    short = name.removesuffix(":LTS")
    return short if _NAME.fullmatch(short) else ""


def wanted(name: str, asked: tuple[str, ...]) -> str:
    """The canonical name where it is PyPI, or asked for by itself or by its family; else empty."""
    found = canonical(name)
    return found if found == PYPI or {found, found.partition(":")[0]} & {*asked} - {""} else ""


def checked(asked: tuple[str, ...]) -> tuple[str, ...]:
    """What a person asked for. Raises: BadInput (no such ecosystem)."""
    for one in asked:
        if one not in _FAMILIES and not canonical(one):
            raise BadInput(
                f"{one!r} is no ecosystem that is read here",
                why="PyPI always is; distributions by name or by release",
                hint="--ecosystem Debian:12, Alpine:v3.19, Ubuntu:24.04, or Debian for all of it",
            )
    return tuple(canonical(one) or one for one in asked)


def of_release(identity: str, version: str) -> str:
    """The ecosystem of an os-release's ID and VERSION_ID; empty where nobody can say."""
    numbers = version.split(".")
    name = {
        "debian": f"Debian:{numbers[0]}",
        "ubuntu": f"Ubuntu:{version}",
        "alpine": f"Alpine:v{'.'.join(numbers[:2])}",
    }.get(identity, "")
    return canonical(name)
