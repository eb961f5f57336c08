"""Words near a number: those with which what some pattern waits for begins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from sealwright.kit.patterns.plan import patterns, words_of
from sealwright.kit.patterns.shape import lower

_SPACED = bytes(code if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)
_SAID = re.compile(r"[^\W_]+")
_NAME = 24
"""Characters of a name that are read on either side of where two of its words meet."""
_HUMP = re.compile("[A-Z](?:(?<=[a-z][a-z].)|(?<=[A-Z].)(?=[a-z][a-z]))")
_CASES = (
    bytes(97 if chr(code).islower() else 65 if chr(code).isupper() else 32 for code in range(128))
    + b" " * 128
)
_HUMPS = re.compile(rb"A(?:(?<=aaA)(?=aa|A* )|(?:(?<= AA)|(?<= AAA))(?=aa))")


@cache
def _first_words() -> frozenset[str]:
    return frozenset().union(*(words_of(each)[0] for each in patterns() if each.context))


def telling(text: str) -> frozenset[str]:
    """The words of ``text`` with which what some pattern waits for begins: mostly none."""
    if text.isascii():
        return _first_words().intersection(text.encode().translate(_SPACED).decode().split())
    return _first_words().intersection(_SAID.findall(text))


def apart(text: str) -> str:
    """In lower case, ``taxFileNumber`` and ``AUTax`` as the words they are made of."""
    return lower(_HUMP.sub(r" \g<0>", text))


def run_together(text: str) -> Iterator[frozenset[str]]:
    """The telling words in each name that is several words run together."""
    # where words meet is looked for in the cases alone: most texts have no such place
    cases = b" " + text.encode("ascii", "replace").translate(_CASES)
    for hump in _HUMPS.finditer(cases):
        yield telling(apart(text[max(0, hump.start() - _NAME) : hump.end() + _NAME]))
