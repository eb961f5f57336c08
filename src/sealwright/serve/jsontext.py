"""JSON text that comes in pieces, as a filter looks at it: escapes written out, strings known.

``\\u0041`` and ``A`` are the same JSON, so what is filtered, and sent on, is the plain letter.
Escapes of quotes, backslashes and control characters stay as they are.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BEGUN = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)\Z")
_BLANK = re.compile(r"(?<!\\)((?:\\\\)*)\\[ntrfb]")
_KEPT = frozenset({0x22, 0x5C, 0x7F})


class Plain:
    """One JSON text, written plainly."""

    def __init__(self) -> None:
        self._begun = ""
        self._inside = False

    def push(self, text: str) -> str:
        """The next piece; an escape that is not whole waits for the next."""
        text = self._begun + text
        if "\\" not in text:
            self._begun = ""
            return text
        begun = _BEGUN.search(text)
        size = begun.start(1) if begun else len(text)
        self._begun = text[size:]
        return _ESCAPE.sub(_letter, text[:size])

    def close(self) -> str:
        """What still waits."""
        rest, self._begun = self._begun, ""
        return rest

    def inside(self, before: str) -> bool:
        """Whether a string is open after what passed and ``before``."""
        return self._inside ^ quotes_odd(before)

    def passed(self, text: str) -> None:
        """``text`` has gone by."""
        self._inside = self.inside(text)


def quotes_odd(text: str) -> bool:
    """Whether the quotes in ``text`` that are not escaped are odd in number."""
    return bool(_ESCAPE.sub("", text).count('"') & 1)


def _letter(match: re.Match[str]) -> str:
    if match[1] is None:
        return "/" if match[2] == "/" else match[0]
    code = int(match[1], 16)
    surrogate = 0xD800 <= code <= 0xDFFF
    return match[0] if code < 0x20 or surrogate or code in _KEPT else chr(code)


def blanks(text: str) -> str:
    """``text`` with its escaped line breaks and tabs as blanks, of equal length."""
    return _BLANK.sub(r"\1  ", text) if "\\" in text else text


def unsplit(text: str, limit: int) -> int:
    """``limit``, or where an escape begins that it would cut in two."""
    begun = _BEGUN.search(text[:limit]) if limit > 0 else None
    return begun.start(1) if begun else limit
