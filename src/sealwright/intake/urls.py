"""Where records were fetched from: each URL's content is pinned when it is first seen.

Whoever buys an expired domain can serve other content than the list's author saw (split-view
poisoning, Carlini et al. 2023, arXiv 2302.10149). A URL whose content has another hash than
when it was first seen is refused. Pure: bytes and hashes in, pins out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused

FORMAT: Literal["sealwright url pins v1"] = "sealwright url pins v1"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN = 3


class Listed(msgspec.Struct, frozen=True):
    """One row of a list: ``path`` is a file of the data; ``sha256`` what the list promises."""

    url: str
    path: str = ""
    sha256: Digest = ""


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a URL held when it was first seen, and when that was (RFC 3339)."""

    sha256: Digest
    first_seen: str


class Pins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every URL of a dataset's versions so far."""

    format: Literal["sealwright url pins v1"]
    urls: Mapping[str, Pin]


class Pinned(msgspec.Struct, frozen=True):
    """The pins with a list taken in: how many were new, and how many were pinned anew."""

    pins: Pins
    listed: int
    new: int
    changed: int


def read_list(data: bytes, name: str) -> tuple[Listed, ...]:
    """A CSV list with the columns ``url`` and ``path``, ``sha256`` or both.

    Raises: BadInput naming the line.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{name} is no list of URLs", why=str(error)) from None
    if not rows or "url" not in rows[0] or not {"path", "sha256"} & rows[0].keys():
        raise BadInput(
            f"{name} is no list of URLs", why="a CSV with the columns url and path (or sha256)"
        )
    found: dict[str, Listed] = {}
    for line, row in enumerate(rows, 2):
        one = Listed(*((row.get(key) or "").strip() for key in ("url", "path", "sha256")))
        one = msgspec.structs.replace(one, sha256=one.sha256.lower())
        if not one.url or not (one.path or one.sha256):
            raise BadInput(f"{name}, line {line}: a URL and its path or sha256 are wanted")
        if one.sha256 and not _SHA256.fullmatch(one.sha256):
            raise BadInput(f"{name}, line {line}: {one.sha256[:80]!r} is no SHA-256")
        if found.setdefault(one.url, one) != one:
            raise BadInput(f"{name}, line {line}: {one.url[:200]} is listed twice, differently")
    return tuple(found.values())


def take(
    listed: Sequence[Listed],
    hash_of: Callable[[str], Digest],
    before: Pins,
    *,
    now: str,
    repin: bool = False,
) -> Pinned:
    """Hold a list against the pins. ``hash_of`` gives the hash of a file of the data, by path.

    Raises: Refused (``urls.not-as-listed``, ``urls.changed``), BadInput (no such file).
    """
    held = {one.url: hash_of(one.path) if one.path else one.sha256 for one in listed}
    lies = [one.url for one in listed if one.sha256 and one.sha256 != held[one.url]]
    if lies:
        raise Refused(
            f"the content of {_some(lies)} is not what the list promises",
            why="its SHA-256 is another one",
            hint="fetch it again from where the list's author saw it, or leave it out",
            rule="urls.not-as-listed",
        )
    known = {url: before.urls[url] for url in held if url in before.urls}
    changed = [url for url, pin in known.items() if pin.sha256 != held[url]]
    if changed and not repin:
        first = known[changed[0]]
        raise Refused(
            f"the content of {_some(changed)} changed since it was first seen",
            why=f"first seen {first.first_seen} with SHA-256 {first.sha256[:16]}, it is"
            f" {held[changed[0]][:16]} now",
            hint="leave it out or put the old content back; if you looked at it and trust the"
            " new one: repeat the command with --repin --reason '...'",
            rule="urls.changed",
        )
    urls = dict(before.urls)
    for url, sha256 in held.items():
        if url not in urls or url in changed:
            urls[url] = Pin(sha256, now)
    return Pinned(Pins(FORMAT, urls), len(held), len(held) - len(known), len(changed))


def none() -> Pins:
    """Nothing was seen yet."""
    return Pins(FORMAT, {})


def encode(pins: Pins) -> bytes:
    """Canonical bytes: sorted keys."""
    return msgspec.json.encode(pins, order="sorted")


def decode(data: bytes) -> Pins:
    """Raises: BadInput."""
    try:
        return msgspec.json.decode(data, type=Pins)
    except msgspec.DecodeError as error:
        raise BadInput("these are no pins of URLs", why=str(error)) from None


def _some(urls: Sequence[str]) -> str:
    more = f" and {len(urls) - _SHOWN:,} more" if len(urls) > _SHOWN else ""
    return ", ".join(url[:200] for url in urls[:_SHOWN]) + more
