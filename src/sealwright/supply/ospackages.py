"""What dpkg's and apk's databases in an image list, held against the advisories of its release.

Advisories name source packages and their versions, so a binary package is looked up by what it
was built of. Source: Debian Policy 5.6 (Source, Version), apk's installed database (``o:``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from sealwright.supply import audit as audits
from sealwright.supply import ecosystem, osvrange
from sealwright.supply.index import Index
from sealwright.supply.oci import Entry
from sealwright.supply.osv import Advisory, Affected

_STATUS, _STATUS_D = "var/lib/dpkg/status", "var/lib/dpkg/status.d/"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_FIELD = re.compile(r"^(Package|Version|Status|Source): (.*)$", re.MULTILINE)
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?")
_SYSTEMS = {"dpkg": ("Debian", "Ubuntu"), "apk": ("Alpine",)}
_MINOR = frozenset({"unimportant", "negligible", "low"})
_RELEASES = ("etc/os-release", "usr/lib/os-release")


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A package that some database in the image lists, and what it was built of."""

    system: str
    name: str
    version: str
    source: str = ""
    source_version: str = ""


class Judged(msgspec.Struct, frozen=True):
    """One advisory that holds for a source package of the image."""

    package: str
    version: str
    id: str
    rank: audits.Rank


def listed(path: str, text: str) -> Iterator[Package]:
    """What one file of an image says is installed; nothing where it is no such database."""
    if path == _STATUS or path.startswith(_STATUS_D):
        yield from _dpkg(text)
    elif path in _APK:
        yield from _apk(text)


def _dpkg(text: str) -> Iterator[Package]:
    for block in text.split("\n\n"):
        fields = {name: value.strip() for name, value in _FIELD.findall(block)}
        status = fields.get("Status", "install ok installed")
        if "Package" not in fields or not status.endswith(" installed"):
            continue
        name, version = fields["Package"], fields.get("Version", "")
        source = _SOURCE.fullmatch(fields.get("Source", ""))
        built = (source[1], source[2] or version) if source else (name, version)
        yield Package("dpkg", name, version, *built)


def _apk(text: str) -> Iterator[Package]:
    for block in text.split("\n\n"):
        fields = dict(line.split(":", 1) for line in block.split("\n") if line[1:2] == ":")
        if "P" in fields:
            version = fields.get("V", "")
            yield Package("apk", fields["P"], version, fields.get("o") or fields["P"], version)


def release(files: Mapping[str, Entry]) -> tuple[str, str]:
    """ID and VERSION_ID of the image's os-release; empty where it has none."""
    for path in _RELEASES:
        if path in files and files[path].data:
            text = (files[path].data or b"").decode("utf-8", "replace")
            fields = dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
            id_, version = (
                fields.get(key, "").strip().strip("\"'") for key in ("ID", "VERSION_ID")
            )
            return id_, version
    return "", ""


def vulnerable(
    packages: Iterable[Package], where: str, index: Index
) -> tuple[tuple[Judged, ...], int]:
    """Advisories that hold for packages of the release ``where``; how many nobody can judge.

    Where the index has nothing of that release, or it is another system's, that is all of them.
    """
    found: dict[tuple[str, str, str], Judged] = {}
    unknown = 0
    for one in packages:
        known = where in index.ecosystems and where.partition(":")[0] in _SYSTEMS[one.system]
        if not known or ecosystem.order(where)(one.source_version) is None:
            unknown += 1
            continue
        unsure = False
        for advisory, affected in index.by_package.get((where, one.source), ()):
            state = osvrange.judge(one.source_version, affected)
            unsure = unsure or state == "unknown"
            if state == "affected":
                rank = _rank(advisory, affected, index)
                hit = Judged(one.source, one.source_version, advisory.id, rank)
                found[(hit.package, hit.version, hit.id)] = hit
        unknown += unsure
    ordered = sorted(found.values(), key=lambda hit: (audits.RANKS.index(hit.rank), hit.package))
    return tuple(ordered), unknown


def _rank(advisory: Advisory, affected: Affected, index: Index) -> audits.Rank:
    """As for any package; where there is no score, what the distribution's own people think."""
    rank, _ = audits.rank(advisory, frozenset(index.exploited))
    if rank == "exploited" or advisory.severity:
        return rank
    if affected.urgency in _MINOR:
        return "low"
    return "medium" if affected.urgency == "medium" else rank
