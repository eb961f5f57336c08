"""Secrets in what a script prints or writes: hidden from what is shown and kept, and reported.

Values are known from the vault, in the encodings a script is likely to print; tokens are known
by their shape. What was compressed, encrypted or spelt out letter by letter is not seen.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO
from urllib.parse import quote, quote_plus

import msgspec

from sealwright.core.digest import of_bytes
from sealwright.core.records import Finding

SHORTEST = 6
_WINDOW = 1 << 20
_TEXT_PROBE = 8192
_MOST_TOKEN = 1024
_MOST_KEY = 8192


class Shape(msgspec.Struct, frozen=True):
    """A kind of token that hardly occurs by chance. ``starts`` are its literal beginnings."""

    name: str
    starts: tuple[bytes, ...]
    whole: re.Pattern[bytes]


def _shape(name: str, starts: str, whole: str) -> Shape:
    return Shape(name, tuple(s.encode() for s in starts.split()), re.compile(whole.encode()))


SHAPES = (
    _shape("aws-key", "AKIA ASIA", r"(?<![A-Za-z0-9])A(?:KI|SI)A[0-9A-Z]{16}(?![A-Za-z0-9])"),
    _shape("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    _shape("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,255}"),
    _shape("gitlab-token", "glpat-", r"glpat-[A-Za-z0-9_-]{20,64}"),
    _shape("slack-token", "xoxa- xoxb- xoxp- xoxr- xoxs-", r"xox[abprs]-[A-Za-z0-9-]{20,200}"),
    _shape("huggingface-token", "hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{34}(?![A-Za-z0-9])"),
    _shape("google-key", "AIza", r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{35}(?![A-Za-z0-9_-])"),
    _shape("stripe-key", "sk_live_ rk_live_", r"[sr]k_live_[0-9a-zA-Z]{24,99}"),
    _shape("jwt", "eyJ", r"eyJ[\w-]{10,400}\.eyJ[\w-]{10,600}\.[\w-]{20,400}"),
    _shape(
        "private-key",
        "-----BEGIN",
        r"-----BEGIN (?:[A-Z]{2,9} ){0,3}PRIVATE KEY-----"
        rf"(?s:.{{0,{_MOST_KEY}}}?)(?:-----END (?:[A-Z]{{2,9}} ){{0,3}}PRIVATE KEY-----|\Z)",
    ),
)
_STARTS = tuple(dict.fromkeys(start for shape in SHAPES for start in shape.starts))
_OPEN = re.compile(
    b"(?:"
    + b"|".join(re.escape(start) for start in _STARTS if start != b"-----BEGIN")
    + rb")[\w.-]{0,%d}\Z" % _MOST_TOKEN
)


_KEY_END = re.compile(rb"-----END (?:[A-Z]{2,9} ){0,3}PRIVATE KEY-----")


class Hit(msgspec.Struct, frozen=True):
    """One secret in a piece of bytes."""

    start: int
    end: int
    name: str


class Redactor:
    """What to look for: the values of ``secrets`` (by name), and tokens by their shape."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._needles = {
            needle: name
            for name, value in secrets.items()
            for needle in encodings(value)
            if len(value) >= SHORTEST
        }
        self._longest = max((len(needle) for needle in self._needles), default=1)

    def stream(self, *, same_length: bool = False) -> Stream:
        """One channel. ``same_length`` keeps sizes as they were, for what carries a length."""
        return Stream(self, same_length=same_length)

    def text(self, text: str) -> str:
        """A short text, redacted."""
        one = self.stream()
        return (one.feed(text.encode()) + one.end()).decode(errors="replace")

    def find(self, data: bytes, *, shapes: bool = True) -> list[Hit]:
        """Every hit, leftmost first and without overlap; values alone without ``shapes``."""
        found = [
            Hit(at, at + len(needle), name)
            for needle, name in self._needles.items()
            for at in _places(data, needle)
        ]
        for shape in SHAPES if shapes else ():
            if any(start in data for start in shape.starts):
                found += [Hit(m.start(), m.end(), shape.name) for m in shape.whole.finditer(data)]
        kept: list[Hit] = []
        for hit in sorted(found, key=lambda hit: (hit.start, -hit.end)):
            if not kept or hit.start >= kept[-1].end:
                kept.append(hit)
        return kept

    def unfinished(self, data: bytes) -> int:
        """From where on ``data`` could be the beginning of something: hold that back."""
        hold = len(data)
        for needle in (*self._needles, *_STARTS):
            for size in range(min(len(needle) - 1, len(data)), 0, -1):
                if data.endswith(needle[:size]):
                    hold = min(hold, len(data) - size)
                    break
        if match := _OPEN.search(data, max(0, len(data) - _MOST_TOKEN - 16)):
            hold = min(hold, match.start())
        begun = data.rfind(b"-----BEGIN", max(0, len(data) - _MOST_KEY))
        if begun >= 0 and not _KEY_END.search(data, begun):
            hold = min(hold, begun)
        return hold

    def is_value(self, name: str) -> bool:
        """Whether a hit is one of the vault's values, and not a shape."""
        return name in self._needles.values()

    def search(self, source: BinaryIO) -> frozenset[str]:
        """The names of what a file holds, read in windows that overlap.

        Shapes are looked for in text alone: in gigabytes of weights they occur by chance.
        """
        names: set[str] = set()
        overlap = max(self._longest - 1, _MOST_TOKEN)
        window = source.read(_WINDOW)
        shapes = b"\0" not in window[:_TEXT_PROBE]
        if not (shapes or self._needles):
            return frozenset()
        while window:
            names |= {hit.name for hit in self.find(window, shapes=shapes)}
            chunk = source.read(_WINDOW)
            window = window[-overlap:] + chunk if chunk else b""
        return frozenset(names)


class Stream:
    """Redacts bytes that come in pieces; holds back only what may be half a secret."""

    def __init__(self, redactor: Redactor, *, same_length: bool) -> None:
        self._redactor = redactor
        self._same_length = same_length
        self._held = b""
        self.counts: dict[str, int] = {}

    def feed(self, data: bytes) -> bytes:
        """What can be shown now."""
        data = self._held + data
        hits = self._redactor.find(data)
        end = self._redactor.unfinished(data)
        for hit in hits:
            if hit.start < end < hit.end:
                end = hit.end
        self._held = data[end:]
        return self._hide(data[:end], [hit for hit in hits if hit.end <= end])

    def end(self) -> bytes:
        """What was held back to the last."""
        data, self._held = self._held, b""
        return self._hide(data, self._redactor.find(data))

    def _hide(self, data: bytes, hits: list[Hit]) -> bytes:
        parts, at = [], 0
        for hit in hits:
            self.counts[hit.name] = self.counts.get(hit.name, 0) + 1
            shown = f"[redacted:{hit.name}]".encode()
            size = hit.end - hit.start
            parts += [data[at : hit.start], b"*" * size if self._same_length else shown]
            at = hit.end
        return b"".join([*parts, data[at:]])


def encodings(value: str) -> Iterator[bytes]:
    """A value as scripts print it: plain, JSON, URL, hex, base64 in any alignment, UTF-16/32."""
    raw = value.encode()
    yield raw
    yield json.dumps(value)[1:-1].encode()
    for escape in (quote, quote_plus):
        quoted = escape(value, safe="")
        yield quoted.encode()
        yield re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), quoted).encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield value.encode("utf-16-le")
    yield value.encode("utf-32-le")
    yield from _aligned(raw, base64.b64encode)
    yield from _aligned(raw, base64.urlsafe_b64encode)


def _aligned(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Base64 of the value wherever it stands in a longer text: what no neighbour changes."""
    for before in range(3):
        text = encode(b"\0" * before + raw).rstrip(b"=")
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        yield text[first:last]


def _places(data: bytes, needle: bytes) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + len(needle))


def leaked(counts: Mapping[str, int], where: str) -> tuple[Finding, ...]:
    """Findings for a channel or an output: the secret's name and the place, never the value."""
    return tuple(
        Finding(
            "secret.leaked",
            "high",
            of_bytes(name.encode()),
            f"the secret {name} appeared {count} time(s) in {where}",
            "do not print or save it; change it, if anyone else saw this",
        )
        for name, count in sorted(counts.items())
    )
