"""Characters that nobody sees: zero-width ones inside words, bidi controls, tags, fillers.

Emoji sequences, flags, Arabic and Indic joiners, marks beside right-to-left text and a byte order
mark at the start are what those characters are for, and are let pass (UAX 9, UTS 51, UTS 36).
"""

from __future__ import annotations

import re

from sealwright.scan.hygiene import Marks, Rule
from sealwright.scan.interface import Frame, Scan, Spec

_LETTER = r"[A-Za-z0-9\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff]"
_TAGS = re.compile("(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0000-\U000e007f]+")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{3,}")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_ZERO = re.compile(f"(?<={_LETTER})[\u180e\u200b-\u200d\u2060-\u2064\ufeff]+(?={_LETTER})")
_FILLERS = re.compile(f"(?<={_LETTER})[\u115f\u1160\u3164\uffa0\u2800\u034f]+(?={_LETTER})")
_FORMAT = re.compile(
    "[\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\u115f\u1160\u3164\uffa0\u2800\u034f"
    "\ufe00-\ufe0f\U000e0000-\U000e01ef]"
)


def _found(pattern: re.Pattern[str], text: str) -> int:
    if text.isascii() or not _FORMAT.search(text):
        return -1
    match = pattern.search(text)
    return match.start() if match else -1


def tags(text: str) -> int:
    """Tag characters that are not the tail of a flag: invisible ASCII."""
    return _found(_TAGS, text)


def selectors(text: str) -> int:
    """Variation selectors one after the other, which can spell any bytes."""
    return _found(_SELECTORS, text)


def bidi(text: str) -> int:
    """Embeddings, overrides and isolates in text that has nothing right-to-left."""
    at = _found(_BIDI, text)
    return -1 if at >= 0 and _RIGHT_TO_LEFT.search(text) else at


def zero_width(text: str) -> int:
    """Zero-width characters between two letters of scripts that do not join."""
    return _found(_ZERO, text)


def fillers(text: str) -> int:
    """Hangul fillers, braille blanks and grapheme joiners inside a Western word."""
    return _found(_FILLERS, text)


RULES = (
    Rule("tags", "invisible tag characters", 1e-6, tags),
    Rule("selectors", "runs of variation selectors", 1e-6, selectors),
    Rule("bidi", "bidi controls in left-to-right text", 1e-4, bidi),
    Rule("zero-width", "zero-width characters inside words", 0.0, zero_width),
    Rule("fillers", "blank fillers inside words", 1e-5, fillers),
)


class Invisible:
    """Makes the state of one scan."""

    spec = Spec(
        "hygiene-invisible", 1, "any", "group",
        families=("text-invisible",), threats=("AML.T0020", "AML.T0051"),
    )  # fmt: skip

    def begin(self, frame: Frame, reference: Scan | None = None) -> Marks:
        """An empty state; no reference is used."""
        return Marks(frame, "text-invisible", RULES)
