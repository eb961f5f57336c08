"""Text as patterns look at it: one character for each, in other clothes.

``fold`` writes digits, blanks and dashes of other scripts as ASCII's; ``shape`` writes every
digit as ``9`` and every letter as ``A``. Both keep the length, so that places stay places.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

_SHAPE = bytes(
    57 if 48 <= code <= 57 else 65 if chr(code).isalpha() and code < 128 else code
    for code in range(256)
)
_BLANKS = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"


@cache
def _folding() -> dict[int, str]:
    """Built once: it walks every digit that Unicode has."""
    table = {ord(each): " " for each in _BLANKS} | {ord(each): "-" for each in _DASHES}
    table |= {0xFF01 + at: chr(0x21 + at) for at in range(94)}  # full-width forms
    for code in range(0x660, min(sys.maxunicode, 0x1FBFA)):
        if unicodedata.category(chr(code)) == "Nd":
            table[code] = str(unicodedata.decimal(chr(code)))
    return table


@cache
def _foreign() -> frozenset[str]:
    return frozenset(map(chr, _folding()))


def fold(text: str) -> str:
    """``text`` with foreign digits, blanks and dashes in ASCII; of equal length."""
    if text.isascii() or _foreign().isdisjoint(text):
        return text
    return text.translate(_folding())


def shape(text: str) -> str:
    """Every ASCII digit as ``9``, every ASCII letter as ``A``, what is not ASCII as ``?``."""
    return text.encode("ascii", "replace").translate(_SHAPE).decode("ascii")


def lower(text: str) -> str:
    """In lower case where that keeps the length, else as it is."""
    low = text.lower()
    return low if len(low) == len(text) else text
