"""Why two archives differ: one thing at a time is made equal, until nothing differs any more."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from sealwright.supply.archive import KEPT_BYTES, Contents, Member, gunzipped

CAUSES: Mapping[str, tuple[str, str]] = {
    "timestamps": ("times of the build", "take every time from SOURCE_DATE_EPOCH"),
    "file-order": ("the order in which files are listed", "sort what you list, then pack it"),
    "build-path": ("the folder it was built in", "write relative paths; -ffile-prefix-map"),
    "random": ("random numbers", "seed every generator, or derive names from the content"),
    "threads": ("the number or the order of threads", "gather results in the order of inputs"),
    "hash-seed": ("the order of a set or of hashes", "sort before writing, or set PYTHONHASHSEED"),
    "tool-versions": ("the versions of the tools", "pin the build's requirements with hashes"),
    "permissions": (
        "file modes, the umask", "set the modes; where one umask builds all: --hold permissions",
    ),
    "user": ("the account it was built by", "write owner 0:0 and no names"),
    "locale": ("the language settings", "set LC_ALL=C.UTF-8 in the build"),
    "timezone": ("the time zone", "use UTC: time.gmtime, not time.localtime"),
    "compression": ("how it was compressed", "fix the method, the level and the library"),
    "archive-format": ("fields of the archive's headers", "write both with one tool"),
    "content": ("the contents, for no cause known here", "compare the two files"),
}  # fmt: skip
"""Every cause: what it is in words, and what mends it."""

_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
_PYC_TIME = slice(8, 12)


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cause, and the first place where it shows."""

    cause: str
    path: str


def compare(first: Contents, second: Contents) -> tuple[Cause, ...]:
    """Every cause, each with its first path; empty for equal archives."""
    if first.sha256 == second.sha256:
        return ()
    seen: dict[str, str] = {}
    for cause in _causes(first, second):
        seen.setdefault(cause.cause, cause.path)
    if not seen:
        seen["archive-format"] = ""
    return tuple(Cause(cause, seen[cause]) for cause in CAUSES if cause in seen)


def _causes(first: Contents, second: Contents) -> Iterator[Cause]:
    one = {member.path: member for member in first.members}
    two = {member.path: member for member in second.members}
    for path in sorted(one.keys() ^ two.keys()):
        yield Cause("content", path)
    differing = {p for p in one.keys() & two.keys() if one[p].sha256 != two[p].sha256}
    yield from _order(first, second, one.keys() & two.keys())
    for path, member in one.items():
        if path in two:
            yield from _member(member, two[path], differing | (one.keys() ^ two.keys()))
    if not differing and one.keys() == two.keys():
        yield from _wrapped(first, second)


def _order(first: Contents, second: Contents, both: set[str]) -> Iterator[Cause]:
    here = [member.path for member in first.members if member.path in both]
    there = [member.path for member in second.members if member.path in both]
    for a, b in zip(here, there, strict=False):
        if a != b:
            yield Cause("file-order", a)
            return


def _member(a: Member, b: Member, differing: set[str]) -> Iterator[Cause]:
    if a.mtime != b.mtime:
        yield Cause("timestamps", a.path)
    if a.mode != b.mode:
        yield Cause("permissions", a.path)
    if a.owner != b.owner:
        yield Cause("user", a.path)
    if a.method != b.method or (a.sha256 == b.sha256 and a.packed != b.packed):
        yield Cause("compression", a.path)
    if a.odd != b.odd or a.kind != b.kind:
        yield Cause("archive-format", a.path)
    if a.sha256 != b.sha256:
        for cause in _content(a, b, differing):
            yield Cause(cause, a.path)


def _wrapped(first: Contents, second: Contents) -> Iterator[Cause]:
    """The gzip around equal archives: its header's time, or how it was compressed."""
    if len(first.wrappings) != len(second.wrappings):
        yield Cause("compression", "")
        return
    for a, b in zip(first.wrappings, second.wrappings, strict=True):
        if a.mtime != b.mtime:
            yield Cause("timestamps", a.path)
        elif a.packed != b.packed and first.members == second.members:
            yield Cause("compression", a.path)


def _content(a: Member, b: Member, differing: set[str]) -> Sequence[str]:
    if a.data is None or b.data is None:
        return ("content",)
    if _RECORD.fullmatch(a.path):
        return _record(a.data, b.data, differing)
    if a.data[2:4] == b.data[2:4] == b"\r\n" and a.path.endswith(".pyc"):
        same = _without(a.data, _PYC_TIME) == _without(b.data, _PYC_TIME)
        return ("timestamps",) if same else ("content",)
    if a.data[:2] == b.data[:2] == b"\x1f\x8b":
        return _gzip(a.data, b.data)
    return explained(a.data, b.data)


def _record(one: bytes, two: bytes, differing: set[str]) -> Sequence[str]:
    """A wheel's list of digests follows from its files, but for the order of its rows."""
    here, there = (
        [row for row in data.splitlines() if row.split(b",")[0].decode("latin-1") not in differing]
        for data in (one, two)
    )
    if sorted(here) != sorted(there):
        return ("content",)
    return () if here == there else ("file-order",)


def _gzip(one: bytes, two: bytes) -> Sequence[str]:
    if _without(one, slice(4, 8)) == _without(two, slice(4, 8)):
        return ("timestamps",)
    try:
        same = gunzipped(one, KEPT_BYTES) == gunzipped(two, KEPT_BYTES)
    except (ValueError, EOFError, OSError, zlib.error):
        return ("content",)
    return ("compression",) if same else ("content",)


def _without(data: bytes, part: slice) -> bytes:
    return data[: part.start] + data[part.stop :]


def _blank(pattern: str, to: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)
    return lambda text: compiled.sub(to, text)


def _sorted_lines(text: str) -> str:
    return "\n".join(sorted(text.splitlines()))


def _sorted_words(text: str) -> str:
    return " ".join(sorted(re.findall(r"[^\s,;\[\]{}()]+", text)))


_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
NORMALISERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    (
        "timestamps",
        _blank(
            r"\b(?:19|20)\d\d-\d\d-\d\d(?:[T ]" + _CLOCK + r"(?:Z|[+-]\d\d:?\d\d)?)?"
            r"|\b(?:[A-Z][a-z]{2},? )?(?:" + _MONTH + r" +\d{1,2}|\d{1,2} " + _MONTH + r")"
            r"(?:,? \d{4})?(?: " + _CLOCK + r"(?: (?:GMT|UTC|[+-]\d{4}))?(?: \d{4})?)?"
            r"|\b20\d{6}(?:[T_-]?\d{6}Z?)?\b|\b1\d{9}(?:\.\d+|\d{3}|\d{6}|\d{9})?\b|\b" + _CLOCK,
            "<time>",
        ),
    ),
    ("timezone", _blank(r"(?<!\d)[+-]\d\d:?\d\d\b|\b(?:UTC|GMT|[A-Z]{2,3}ST|[A-Z]{2,3}DT|CET)\b",
                        "<zone>")),
    ("build-path", _blank(r"(?<![\w/:])/(?:[\w.+@~-]+/)+", "<folder>/")),
    ("tool-versions", _blank(r"\b\d+(?:\.\d+)+(?:[.-]?(?:a|b|rc|dev|post)\d*)?(?:\+[\w.]+)?",
                             "<version>")),
    ("random", _blank(r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{16,}\b"
                      r"|\b0\.\d{6,}\b", "<random>")),
    ("file-order", _sorted_lines),
    ("hash-seed", _sorted_words),
)  # fmt: skip
"""What makes one thing equal; tried in this order."""


def explained(one: bytes, two: bytes) -> Sequence[str]:
    """The fewest normalisers that make two texts equal; ``content`` where none do."""
    try:
        a, b = one.decode(), two.decode()
    except UnicodeDecodeError:
        return ("content",)
    for name, normalise in NORMALISERS:
        if normalise(a) == normalise(b):
            return (name,)
    names = [name for name, _ in NORMALISERS]
    if not _equal(a, b, names):
        return ("content",)
    for name in [*names]:
        if _equal(a, b, [other for other in names if other != name]):
            names.remove(name)
    return names


def _equal(a: str, b: str, names: Sequence[str]) -> bool:
    for name, normalise in NORMALISERS:
        if name in names:
            a, b = normalise(a), normalise(b)
    return a == b
