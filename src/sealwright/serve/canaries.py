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
from functools import lru_cache

from sealwright.core.errors import BadInput

LEAST, MOST = 8, 512
"""Letters and digits of a canary."""

MOST_LETTERS = 8_192
"""Letters of which it is remembered what they become."""
_HEAD = LEAST
_ASCII = {code: None for code in range(128) if not chr(code).isalnum()}


class _Squashed(dict[int, str]):
    """What each letter becomes, by its code."""

    def __missing__(self, code: int) -> str:
        plain = unicodedata.normalize("NFKC", chr(code)).casefold()
        said = "".join(filter(str.isalnum, plain))
        if len(self) < MOST_LETTERS:
            self[code] = said
        return said


_SQUASHED = _Squashed()


def squash(text: str) -> str:
    """Letters and digits of ``text``, NFKC and in lower case; :func:`places` says where they
    stand."""
    return text.lower().translate(_ASCII) if text.isascii() else text.translate(_SQUASHED)


def places(text: str) -> list[int]:
    """Where each letter and digit of a squashed text stands in ``text``."""
    return [at for at, letter in enumerate(text) for _ in _SQUASHED[ord(letter)]]


def from_end(text: str, count: int) -> int:
    """Where the last ``count`` letters and digits of an ASCII text begin."""
    at = len(text)
    while count:
        at -= 1
        count -= text[at].isalnum()
    return at


class Canaries:
    """A set of canaries, looked for together. Raises: BadInput (one is too short or too long).

    Of a text only every ``stride``-th place is looked up: each variant is known by the heads that
    begin at its first ``stride`` places, so one of them is met.
    """

    def __init__(self, values: Iterable[str]) -> None:
        every = [variants(value) for value in values]
        self.count = len(every)
        shortest = min((len(each) for some in every for each in some), default=_HEAD)
        self._stride = min(_HEAD, shortest - _HEAD + 1)
        self._heads: dict[str, tuple[tuple[str, int], ...]] = {}
        begun: set[str] = set()
        for variant in (each for some in every for each in some):
            for at in range(self._stride):
                head = variant[at : at + _HEAD]
                self._heads[head] = (*self._heads.get(head, ()), (variant, at))
            begun.update(variant[:size] for size in range(1, _HEAD + self._stride))
        self._begun = frozenset(begun)
        self._known = frozenset(self._heads)
        self.overlap = _HEAD + self._stride - 1
        """Letters and digits at a text's end in which one may begin unseen, at most."""
        self._ends = tuple(slice(-size, None) for size in range(self.overlap, 0, -1))

    def found(self, squashed: str) -> tuple[list[tuple[int, int]], int]:
        """``(start, end)`` of each canary in a squashed text, and from where on more text could
        complete one: the text's length if from nowhere."""
        size = len(squashed)
        pieces = map(squashed.__getitem__, _slices(self._stride, max(0, size - _HEAD + 1)))
        if self._known.isdisjoint(pieces):
            return [], self._pending(squashed, size)
        heads = self._heads
        spans: list[tuple[int, int]] = []
        pending = size
        for at in range(0, size - _HEAD + 1, self._stride):
            head = squashed[at : at + _HEAD]
            if head not in heads:
                continue
            for variant, ahead in heads[head]:
                start = at - ahead
                if start < 0:
                    continue
                if squashed.startswith(variant, start):
                    spans.append((start, start + len(variant)))
                elif size - start < len(variant) and variant.startswith(squashed[start:]):
                    pending = min(pending, start)
        return sorted(set(spans)), self._pending(squashed, pending)

    def _pending(self, squashed: str, pending: int) -> int:
        """``pending``, or where before it what could become a canary begins at the text's end."""
        begun, size = self._begun, len(squashed)
        if begun.isdisjoint(map(squashed.__getitem__, self._ends)):
            return pending
        for at in range(max(0, size - _HEAD - self._stride + 1), pending):
            if squashed[at:] in begun:
                return at
        return pending


@lru_cache(4_096)
def _slices(stride: int, stop: int) -> tuple[slice, ...]:
    """Of a head at every ``stride``-th place before ``stop``: looked up without a loop of ours."""
    return tuple(slice(at, at + _HEAD) for at in range(0, stop, stride))


def variants(value: str) -> tuple[str, ...]:
    """What to look for in squashed text: the canary itself, then its encodings.

    Raises: BadInput (fewer than ``LEAST`` letters and digits, or more than ``MOST``).
    """
    plain = squash(value)
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
    return squash(encoded[first : (skipped + size) * 8 // bits].decode())
