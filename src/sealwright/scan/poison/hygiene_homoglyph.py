"""Words spelt with letters of another script that look the same.

A word that mixes scripts is suspicious when every foreign letter in it looks like a Latin one
(UTS 39, mixed-script confusables); Cyrillic or Greek words are whole, and are let pass. Letters
that Unicode itself calls styles of ASCII (mathematical, full-width: NFKC gives ASCII) count
where they stand among ordinary ones.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from sealwright.scan.hygiene import Marks, Rule
from sealwright.scan.interface import Frame, Scan, Spec

# Cyrillic, Greek, Armenian and Cherokee letters that look like Latin ones in common typefaces
LOOK_ALIKE = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u04cf\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405"
    "\u03bf\u03bd\u03c1\u03c5\u03b9\u03ba\u03b1\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c"
    "\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u0585\u057d\u0578\u13aa\u13b3\u13a2\u13a1"
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_LATIN = re.compile(r"[A-Za-z]")


@cache
def script(letter: str) -> str:
    """``latin``, ``alike`` (looks Latin), ``styled`` (NFKC gives ASCII) or ``other``."""
    if letter.isascii():
        return "latin"
    if letter in LOOK_ALIKE:
        return "alike"
    plain = unicodedata.normalize("NFKC", letter)
    if plain.isascii() and plain.isalpha() and len(plain) == 1 and letter not in "\u00aa\u00ba":
        return "styled"
    return "latin" if unicodedata.name(letter, "").startswith("LATIN") else "other"


def mixed(text: str) -> int:
    """A word of Latin letters and look-alikes, and of nothing else."""
    return _mixing(text, "alike")


def styled(text: str) -> int:
    """A word of Latin letters and of styled ones."""
    return _mixing(text, "styled")


def _mixing(text: str, what: str) -> int:
    if text.isascii():
        return -1
    for match in _WORD.finditer(text):
        word = match[0]
        if word.isascii() or not _LATIN.search(word):
            continue
        scripts = {script(letter) for letter in word}
        if scripts == {"latin", what}:
            return match.start()
    return -1


RULES = (
    Rule("mixed-script", "words with look-alike letters of another script", 1e-4, mixed),
    Rule("styled", "words with styled letters among plain ones", 1e-4, styled),
)


class Homoglyph:
    """Makes the state of one scan."""

    spec = Spec(
        "hygiene-homoglyph", 1, "any", "group",
        families=("text-homoglyph",), threats=("AML.T0020",),
    )  # fmt: skip

    def begin(self, frame: Frame, reference: Scan | None = None) -> Marks:
        """An empty state; no reference is used."""
        return Marks(frame, "text-homoglyph", RULES)
