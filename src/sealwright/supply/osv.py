"""Advisories in OSV form, read strictly: one record in, one :class:`Advisory` out.

Source: the Open Source Vulnerability format 1.x (ossf.github.io/osv-schema).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from sealwright.core.errors import BadInput
from sealwright.supply import ecosystem
from sealwright.supply.ecosystem import PYPI

_NORMAL = re.compile(r"[-_.]+")

Event = Literal["introduced", "fixed", "last_affected", "limit"]
_EVENTS: Mapping[str, Event] = {
    "introduced": "introduced",
    "fixed": "fixed",
    "last_affected": "last_affected",
    "limit": "limit",
}


class Range(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One range of versions: its events, in the record's own order."""

    events: tuple[tuple[Event, str], ...]


class Affected(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one advisory says of one package. ``versions`` are enumerated, ``ranges`` computed.

    ``opaque`` counts ranges over commits, which say nothing of releases. Packages of a distribution
    are source packages; ``urgency`` is what its own people think of the flaw.
    """

    package: str
    ranges: tuple[Range, ...]
    versions: tuple[str, ...]
    opaque: int = 0
    ecosystem: str = PYPI
    urgency: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Ecosystem and package."""
        return self.ecosystem, self.package


class Advisory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One advisory, as far as a gate needs it. ``severity`` is a CVSS vector, or empty."""

    id: str
    modified: str
    affected: tuple[Affected, ...]
    aliases: tuple[str, ...] = ()
    published: str = ""
    withdrawn: str = ""
    severity: str = ""
    summary: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Its id and every alias."""
        return frozenset((self.id, *self.aliases))


def normal(name: str) -> str:
    """A distribution's name in its normal form (PEP 503)."""
    return _NORMAL.sub("-", name).lower()


def parse(document: object, where: str, asked: tuple[str, ...] = ()) -> Advisory:
    """One decoded record, of PyPI and of the ecosystems ``asked`` for.

    Raises: BadInput naming ``where`` and the field.
    """
    record = _mapping(document, where)
    aliases = tuple(_texts(record.get("aliases", []), f"{where}: aliases"))
    affected = tuple(_affected(record, where, asked))
    if any(one.ecosystem != PYPI for one in affected):  # there the CVE is what it came from
        upstream = _texts(record.get("upstream", []), f"{where}: upstream")
        aliases = tuple(dict.fromkeys((*aliases, *upstream)))
    return Advisory(
        id=_text(record.get("id"), f"{where}: id"),
        modified=_moment(record.get("modified"), f"{where}: modified"),
        affected=affected,
        aliases=aliases,
        published=_moment(record.get("published", ""), f"{where}: published"),
        withdrawn=_moment(record.get("withdrawn", ""), f"{where}: withdrawn"),
        severity=_severity(record.get("severity", []), where),
        summary=str(record.get("summary") or record.get("details") or "").split("\n")[0][:200],
    )


def _affected(record: Mapping[str, Any], where: str, asked: tuple[str, ...]) -> Iterator[Affected]:
    for number, entry in enumerate(_sequence(record.get("affected", []), f"{where}: affected")):
        path = f"{where}: affected[{number}]"
        one = _mapping(entry, path)
        package = _mapping(one.get("package", {}), f"{path}.package")
        system = ecosystem.wanted(str(package.get("ecosystem", "")), asked)
        if not system:
            continue
        ranges, opaque = [], 0
        for place, item in enumerate(_sequence(one.get("ranges", []), f"{path}.ranges")):
            stretch = _mapping(item, f"{path}.ranges[{place}]")
            if stretch.get("type") == "ECOSYSTEM":
                ranges.append(_range(stretch, f"{path}.ranges[{place}]"))
            else:
                opaque += 1
        name = _text(package.get("name"), f"{path}.package.name")
        versions = tuple(_texts(one.get("versions", []), f"{path}.versions"))
        if system == PYPI:
            yield Affected(normal(name), tuple(ranges), versions, opaque)
        else:  # a distribution's lists are computed from its ranges, and very long
            listed = () if ranges else versions
            urgency = _urgency(one, record)
            yield Affected(name, tuple(ranges), listed, opaque, system, urgency)


def _urgency(entry: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Debian says it of each release, Ubuntu of the record; empty where nobody did."""
    more = entry.get("ecosystem_specific")
    if isinstance(more, dict) and more.get("urgency"):
        return str(more["urgency"])[:40]
    scores = record.get("severity")
    for score in scores if isinstance(scores, list) else ():
        if isinstance(score, dict) and score.get("type") == "Ubuntu":
            return str(score.get("score", ""))[:40]
    return ""


def _range(stretch: Mapping[str, Any], path: str) -> Range:
    events: list[tuple[Event, str]] = []
    for item in _sequence(stretch.get("events", []), f"{path}.events"):
        event = _mapping(item, f"{path}.events")
        if len(event) != 1:
            raise BadInput(f"{path}.events: an event says one thing", why=str(sorted(event)))
        ((name, version),) = event.items()
        kind = _EVENTS.get(name)
        if kind is None:
            raise BadInput(f"{path}.events: {name!r} is no event")
        events.append((kind, _text(version, f"{path}.events.{kind}")))
    if not any(kind == "introduced" for kind, _ in events):
        raise BadInput(f"{path}: a range without an introduced event")
    return Range(tuple(events))


def _severity(entries: object, where: str) -> str:
    """The newest CVSS 3 vector there is, else any vector."""
    found = {
        str(one.get("type")): str(one.get("score", ""))
        for one in (_mapping(x, f"{where}: severity") for x in _sequence(entries, where))
    }
    return found.get("CVSS_V3") or found.get("CVSS_V4") or found.get("CVSS_V2") or ""


def _mapping(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{path}: not a mapping")
    return value


def _sequence(value: object, path: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadInput(f"{path}: not a list")
    return value


def _text(value: object, path: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise BadInput(f"{path}: a text is wanted")


def _texts(value: object, path: str) -> list[str]:
    return [_text(item, path) for item in _sequence(value, path)]


def _moment(value: object, path: str) -> str:
    """RFC 3339 to the second; YAML readers hand over moments, JSON readers texts."""
    if hasattr(value, "isoformat"):
        value = value.isoformat()
    if not isinstance(value, str):
        raise BadInput(f"{path}: a moment is wanted")
    return f"{value[:19].replace(' ', 'T')}Z" if value else ""
