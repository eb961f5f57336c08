"""Credentials in files: where, of which kind, under which coat. Bytes in, places out. Pure.

A value is never kept: a hit names it by a keyed fingerprint. One coat is taken off (gzip,
base64, a notebook's cells, the strings of a binary file), never two.
Source: docs/spec/secret-scan-v1.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from sealwright.kit import patterns

Coat = Literal["text", "notebook", "base64", "gzip", "strings"]
MOST_BYTES = 32 << 20
"""How much of one file is looked at, before and after a coat is off; more is said as cut."""

_LINE = 20_000
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{32,}={0,2}")
_PRINTABLE = re.compile(rb"[\x20-\x7e\t]{8,}")
_GZIP = b"\x1f\x8b"
_TEXT_SHARE = 0.90
_SAMPLE = 1 << 16
_BASE64_AT_MOST = 2000
_ASSIGNED = "assigned-secret"
_NAMED = (_ASSIGNED, "aws-secret")
_SUMMED = ("github-token", "npm-token")
_NO_SECRET = re.compile(
    r"(?i)(?:cache|sort|partition|primary|foreign|idempotency|dedup|shard|row|index)[_-]?key\W{1,6}$"
)
_CODE = frozenset(
    "c cc cpp cs go h hpp java js jsx kt php pl py pyi r rb rs scala swift ts tsx ipynb".split()
)
_QUOTES = ('"', "'", "`")
_GOES_ON = ("{", "(")
_WORD = re.compile(r"[a-z]{1,14}|[A-Z]{1,14}|[A-Z][a-z]{1,14}|[A-Za-z]?[0-9]{1,2}")


class Hit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One credential. ``line`` counts from 1 in the file (in the cell, in a notebook)."""

    path: str
    line: int
    kind: str
    pattern: str
    confidence: int
    coat: Coat
    fingerprint: str
    cell: int = 0

    @property
    def place(self) -> str:
        """Where, for a person."""
        cell = f" cell {self.cell}" if self.cell else ""
        return f"{self.path}{cell}:{self.line}"


class Scanned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one file gave. ``cut``: it is larger than what is looked at."""

    hits: tuple[Hit, ...]
    cut: bool = False


def scan(path: str, data: bytes, key: bytes) -> Scanned:
    """Every credential in one file. ``key`` makes the fingerprints this workspace's own."""
    cut = len(data) > MOST_BYTES
    data = data[:MOST_BYTES]
    found: dict[tuple[str, int, int], Hit] = {}
    for coat, cell, first, text in _layers(path, data):
        for hit in _hits(path, coat, cell, first, text, key):
            found.setdefault((hit.fingerprint, hit.cell, hit.line), hit)
    hits = sorted(found.values(), key=lambda hit: (hit.cell, hit.line, hit.kind))
    return Scanned(tuple(hits), cut or _unpacks_to_more(data))


def _layers(path: str, data: bytes) -> Iterator[tuple[Coat, int, int, str]]:
    """``(coat, cell, first line, text)`` of what there is to read in a file."""
    if data.startswith(_GZIP):
        data = _unzipped(data)
        yield from _plain("gzip", data)
        return
    if path.endswith(".ipynb") and (cells := _notebook(data)) is not None:
        for number, text in enumerate(cells, 1):
            yield "notebook", number, 1, text
        return
    yield from _plain("text", data)
    yield from _decoded(data)


def _plain(coat: Coat, data: bytes) -> Iterator[tuple[Coat, int, int, str]]:
    if is_text(data):
        yield coat, 0, 1, _text(data)
    else:
        runs = b"\n".join(_PRINTABLE.findall(data))
        yield "strings", 0, 1, runs.decode("ascii")


def is_text(data: bytes) -> bool:
    """Whether a file is to be read by lines: no NUL (but UTF-16), hardly any control bytes."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    sample = data[:_SAMPLE]
    if b"\0" in sample:
        return False
    odd = sum(byte < 32 and byte not in (9, 10, 12, 13, 27) for byte in sample)
    return not sample or 1 - odd / len(sample) >= _TEXT_SHARE


def _text(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8", "replace")


def _decoded(data: bytes) -> Iterator[tuple[Coat, int, int, str]]:
    """Base64 runs that decode to text, each with the line it stands in."""
    for count, run in enumerate(_BASE64.finditer(data)):
        if count >= _BASE64_AT_MOST:
            return
        body = run[0]
        try:
            inner = base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(inner) >= 16 and inner.isascii() and is_text(inner):
            line = data.count(b"\n", 0, run.start()) + 1
            yield "base64", 0, line, inner.decode("ascii")


def _notebook(data: bytes) -> list[str] | None:
    """The source and every textual output of each cell; None where it is no notebook."""
    try:
        cells = json.loads(data)["cells"]
        return ["\n".join(_texts([c.get("source"), c.get("outputs")])) for c in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            yield "".join(value)
            return
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not str(name).startswith("image/"):
                yield from _texts(item)


def _unzipped(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, MOST_BYTES)
    except zlib.error:
        return b""


def _unpacks_to_more(data: bytes) -> bool:
    return data.startswith(_GZIP) and len(_unzipped(data)) >= MOST_BYTES


def _hits(path: str, coat: Coat, cell: int, first: int, text: str, key: bytes) -> Iterator[Hit]:
    for line, piece in _lines(text):
        for match in patterns.find(piece, categories=("credential",)):
            value = piece[match.start : match.end]
            if not _counts(path, piece, match):
                continue
            place = first if coat == "base64" else first + line + piece.count("\n", 0, match.start)
            yield Hit(
                path,
                place,
                match.kind,
                match.pattern,
                match.confidence,
                coat,
                fingerprint(match.kind, value, key),
                cell,
            )


def _counts(path: str, piece: str, match: patterns.Match) -> bool:
    """Whether a match is a credential: its checksum holds, where its issuer always writes one."""
    if match.pattern in _SUMMED:
        return match.valid
    if match.pattern == _ASSIGNED and not _believed(path, piece, match.start, match.end):
        return False
    return match.pattern not in _NAMED or not _is_name(piece, match.start, match.end)


def _believed(path: str, piece: str, start: int, end: int) -> bool:
    """Whether a value that only its name makes a secret can be one.

    In program text it is a literal, not an expression; the key of a cache or a table is none.
    """
    tail = path.rpartition(".")[2].lower()
    quoted = piece[start - 1 : start] in _QUOTES if start else False
    if (tail in _CODE and not quoted) or piece[end : end + 1] in _GOES_ON:
        return False
    return not _NO_SECRET.search(piece[max(0, start - 40) : start])


def _is_name(piece: str, start: int, end: int) -> bool:
    """Whether a value is a chain of words, or a cloud's name of a resource."""
    value = piece[start:end]
    words = [word for word in re.split(r"[^A-Za-z0-9]+", value) if word]
    return value.startswith("arn:") or all(_WORD.fullmatch(word) for word in words)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The whole text where its lines are short (keys span lines), else piece by piece."""
    lines = text.split("\n")
    if max(map(len, lines)) <= _LINE:
        yield 0, text
        return
    for number, line in enumerate(lines):
        for start in range(0, max(len(line), 1), _LINE // 2):
            yield number, line[start : start + _LINE]


def fingerprint(kind: str, value: str, key: bytes) -> str:
    """What names a value without giving it away: a keyed hash, equal for equal values."""
    said = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
    return hmac.new(key, said, hashlib.sha256).hexdigest()[:32]
