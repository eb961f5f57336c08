"""How distributions order versions: keys that compare as their own package managers do.

Source: Debian Policy 5.6.12 (dpkg, also Ubuntu's); apk-tools' grammar
``digits{.digits}{letter}{_suffix{digits}}{~hash}{-r digits}`` and its order of what follows.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

Key = tuple[Any, ...]

_LONGEST = 256
_DPKG = re.compile(r"(?:([0-9]+):)?([0-9][A-Za-z0-9.+~-]*?)(?:-([A-Za-z0-9+.~]+))?", re.ASCII)
_PIECES = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)
_PRE = ("alpha", "beta", "pre", "rc")
_POST = ("cvs", "svn", "git", "hg", "p")
_SUFFIX = rf"_(?:{'|'.join((*_PRE, *_POST))})[0-9]*"
_APK = re.compile(
    rf"([0-9]+)((?:\.[0-9]+)*)([a-z]?)((?:{_SUFFIX})*)(?:~([0-9a-f]+))?(?:-r([0-9]+))?", re.ASCII
)
_END, _REVISION, _HASH, _NUMBER, _AFTER, _LETTER, _DIGITS = range(1, 8)
"""apk: what may stand at one place, lowest first; 0 is a suffix of a release to come."""


@lru_cache(maxsize=65536)
def dpkg(text: str) -> Key | None:
    """A Debian version's key; None for what is none."""
    found = _DPKG.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or (found[3] is None and "-" in found[2]):  # an empty revision
        return None
    return int(found[1] or 0), _part(found[2]), _part(found[3] or "")


def _part(text: str) -> Key:
    """Text and digits in turn: a tilde is before the end, that before letters, those before all."""
    out: list[Any] = []
    for other, digits in _PIECES.findall(text) if text else [("", "")]:
        if other or digits or not out:
            out += [(*map(_rank, other), 0), int(digits or 0)]
    return (*out, (0,))


def _rank(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256


def _digits(text: str) -> tuple[Any, ...]:
    """Like Gentoo: with a leading zero it is text, and that is before any number."""
    return (_DIGITS, 0, text) if text[0] == "0" else (_DIGITS, 1, int(text))


@lru_cache(maxsize=65536)
def apk(text: str) -> Key | None:
    """An Alpine version's key; None for what is none."""
    found = _APK.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    first, more, letter, suffixes, commit, revision = found.groups()
    out: list[tuple[Any, ...]] = [(_DIGITS, int(first))]
    out += map(_digits, more.split(".")[1:])
    if letter:
        out.append((_LETTER, letter))
    for word, digits in re.findall(r"_([a-z]+)([0-9]*)", suffixes):
        out.append((0, _PRE.index(word)) if word in _PRE else (_AFTER, _POST.index(word)))
        if digits:
            out.append((_NUMBER, int(digits)))
    if commit:
        out.append((_HASH, commit))
    if revision:
        out.append((_REVISION, int(revision)))
    return (*out, (_END,))
