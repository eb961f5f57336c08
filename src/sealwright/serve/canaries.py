"""Registered strings that must never leave, however they are written.

A canary and a text are compared squashed: NFKC, in lower case, letters and digits only. So case,
blanks, line breaks and punctuation between its letters make no difference. Its encodings (hex,
base64 at any alignment, base32, character codes, rot13, backwards) are squashed and looked for too.
"""

from __future__ import annotations

import base64
import codecs
import unicodedata
from collections.abc import Iterable, Iterator

from sealwright.core.errors import BadInput

LEAST, MOST = 8, 512
"""Letters and digits of a canary."""

_HEAD = LEAST
_ASCII = {code: None for code in range(128) if not chr(code).isalnum()}


def squash(text: str) -> tuple[str, list[int] | None]:
    """Letters and digits of ``text`` and the place of each; None: the places are not shifted
    yet, :func:`places` gives them."""
    if text.isascii():
        return text.lower().translate(_ASCII), None
    out: list[str] = []
    places: list[int] = []
    for at, letter in enumerate(text):
        for each in unicodedata.normalize("NFKC", letter).casefold():
            if each.isalnum():
                out.append(each)
                places.append(at)
    return "".join(out), places


def places(text: str) -> list[int]:
    """Where each letter and digit of an ASCII text stands."""
    return [at for at, letter in enumerate(text) if letter.isalnum()]


class Canaries:
    """A set of canaries, looked for together. Raises: BadInput (one is too short or too long)."""

    def __init__(self, values: Iterable[str]) -> None:
        self._heads: dict[str, tuple[str, ...]] = {}
        self._begun: frozenset[str] = frozenset()
        self.count = 0
        begun: set[str] = set()
        for value in values:
            self.count += 1
            for variant in variants(value):
                head = variant[:_HEAD]
                self._heads[head] = (*self._heads.get(head, ()), variant)
                begun.update(head[:size] for size in range(1, _HEAD))
        self._begun = frozenset(begun)

    def spans(self, squashed: str) -> Iterator[tuple[int, int]]:
        """``(start, end)`` of each canary in a squashed text."""
        heads = self._heads
        for at in range(len(squashed) - _HEAD + 1):
            head = squashed[at : at + _HEAD]
            if head in heads:
                for variant in heads[head]:
                    if squashed.startswith(variant, at):
                        yield at, at + len(variant)

    def pending(self, squashed: str) -> int:
        """From where on more text could complete a canary; the text's length if from nowhere."""
        size, heads = len(squashed), self._heads
        for at in range(max(0, size - MOST * 8), size - _HEAD + 1):
            head = squashed[at : at + _HEAD]
            if head in heads:
                rest = squashed[at:]
                if any(len(each) > len(rest) and each.startswith(rest) for each in heads[head]):
                    return at
        for at in range(max(0, size - _HEAD + 1), size):
            if squashed[at:] in self._begun:
                return at
        return size


def variants(value: str) -> tuple[str, ...]:
    """What to look for in squashed text: the canary itself, then its encodings.

    Raises: BadInput (fewer than ``LEAST`` letters and digits, or more than ``MOST``).
    """
    plain = squash(value)[0]
    if not LEAST <= len(plain) <= MOST:
        raise BadInput(
            f"a canary has {LEAST} to {MOST} letters and digits, this one {len(plain)}",
            hint="choose something long that nobody writes by chance",
        )
    found = [plain, plain[::-1], codecs.encode(plain, "rot13")]
    for form in dict.fromkeys((value, value.lower(), value.upper())):
        found.extend(_encoded(form.encode()))
    return tuple(dict.fromkeys(each for each in found if len(each) >= LEAST))


def _encoded(data: bytes) -> Iterator[str]:
    for each in ("{:02x}", "x{:02x}", "0x{:02x}", "u{:04x}", "{:d}"):
        yield "".join(each.format(byte) for byte in data)
    for skipped in range(3):
        yield _aligned(base64.b64encode(bytes(skipped) + data), skipped, len(data), 6)
    for skipped in range(5):
        yield _aligned(base64.b32encode(bytes(skipped) + data), skipped, len(data), 5)


def _aligned(encoded: bytes, skipped: int, size: int, bits: int) -> str:
    """The digits that depend on nothing but the data."""
    first = -(-skipped * 8 // bits)
    return squash(encoded[first : (skipped + size) * 8 // bits].decode())[0]
