"""Ranges of advisories held against the versions these list, faults, and the speed of an audit.

The advisories are PyPA's, from the shared folder. An advisory lists what is affected twice: by
range and by version. The lists are taken away, and the ranges must say the same again; beside
them stands a second reading of the specification, written apart from the first.
"""

from __future__ import annotations

import random
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec
from packaging.version import InvalidVersion, Version

from sealwright.app import advisorysource
from sealwright.app.bench import Ask, Row, cpu_s, measure
from sealwright.app.bench.shared import folder
from sealwright.app.bench.supply import faults
from sealwright.core.digest import of_bytes
from sealwright.supply import audit as audits
from sealwright.supply import index as indexes
from sealwright.supply import osvrange
from sealwright.supply.audit import Installed
from sealwright.supply.index import Index
from sealwright.supply.osv import Affected, Range

SEED = 20_260_101
FILE = "pypa_advisories_2024-10-10.tar.gz"
PACKAGES = 300


class Held(msgspec.Struct):
    """What came of holding ranges against lists, in pairs of a version and an advisory."""

    listed: int = 0
    agree: int = 0
    unordered: int = 0
    ruled_out: Counter[str] = msgspec.field(default_factory=Counter)
    unranged: Counter[str] = msgspec.field(default_factory=Counter)
    pairs: int = 0
    beyond: int = 0
    differ: int = 0


def rows(ask: Ask) -> list[Row]:
    """Every figure; those over the advisories only where these lie beside the project."""
    index = read()
    out = [] if index is None else [*_ranges(index, 10 if ask.quick else 1), _speed(index)]
    return [*out, *_faults()]


def read() -> Index | None:
    """The advisories of the shared folder as an index; None where they are not there."""
    path = folder() / FILE
    if not path.is_file():
        return None
    with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as place:
        with tarfile.open(path) as archive:
            archive.extractall(place, filter="data")
        return advisorysource.read([place], "PyPA advisory database, CC BY 4.0")


def held_against_lists(index: Index, step: int = 1) -> Held:
    """Every ``step``-th advisory: its ranges alone, over every version its package has anywhere."""
    everywhere = _versions(index)
    out = Held()
    for advisory in index.advisories[::step]:
        for affected in advisory.affected:
            bare = Affected(affected.package, affected.ranges, (), affected.opaque)
            listed = frozenset(affected.versions)
            if affected.versions and not affected.ranges:
                out.unranged[advisory.id] += len(listed)
                continue
            for version in everywhere[affected.package] if affected.ranges else ():
                out.pairs += 1
                said = osvrange.judge(version, bare)
                out.differ += said != _second_reading(version, affected.ranges)
                if version not in listed:
                    out.beyond += said == "affected"
                    continue
                out.listed += 1
                out.agree += said == "affected"
                out.unordered += said == "unknown"
                if said == "not affected":
                    out.ruled_out[advisory.id] += 1
    return out


def _versions(index: Index) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for advisory in index.advisories:
        for affected in advisory.affected:
            found.setdefault(affected.package, set()).update(affected.versions)
    return {name: frozenset(versions) for name, versions in found.items()}


def _second_reading(version: str, ranges: tuple[Range, ...]) -> osvrange.State:
    """The same question asked otherwise: which event is the last at or before the version.

    Not shared with :mod:`sealwright.supply.osvrange`, but for the rule that a local part is cut.
    """
    try:
        ours = _order(version)
        words = [_last_word(ours, one) for one in ranges]
    except InvalidVersion:
        return "unknown"
    return "affected" if any(words) else "not affected"


def _last_word(ours: Version, stretch: Range) -> bool:
    limits = [text for kind, text in stretch.events if kind == "limit"]
    if limits and all(text != "*" and ours >= _order(text) for text in limits):
        return False
    before = []
    for kind, text in stretch.events:
        place = None if (kind, text) == ("introduced", "0") else _order(text)
        passed = place is None or (ours > place if kind == "last_affected" else ours >= place)
        if kind != "limit" and passed:
            before.append((place is not None, place or ours, kind != "introduced"))
    return bool(before) and not max(before)[2]


def _order(text: str) -> Version:
    return Version(Version(text).public)


def _ranges(index: Index, step: int) -> Iterator[Row]:
    held = held_against_lists(index, step)
    count = len(index.advisories[::step])
    yield measure("advisories read", count, "advisories", note=_skipped(index))
    yield measure("pairs of an advisory and a version of its package", held.pairs, "pairs")
    yield measure(
        "pairs on which a second reading of the OSV specification differs",
        held.differ,
        "pairs",
        target=0,
        better="lower",
    )
    yield measure(
        "listed versions that ranges alone call affected",
        100 * held.agree / held.listed,
        "%",
        note=f"{held.agree:,} of {held.listed:,}",
    )
    yield measure(
        "listed versions that their own advisory's ranges leave out",
        held.ruled_out.total(),
        "pairs",
        note=", ".join(f"{name} {n}" for name, n in sorted(held.ruled_out.items())),
    )
    yield measure(
        "listed versions that PEP 440 cannot order: unknown, never passed",
        held.unordered,
        "pairs",
    )
    yield measure(
        "advisories that list versions and no range",
        len(held.unranged),
        "advisories",
        note=", ".join(sorted(held.unranged)[:12]),
    )
    yield measure(
        "unlisted versions in a range: not yanked, or newer than the list", held.beyond, "pairs"
    )


def _skipped(index: Index) -> str:
    return f"skipped {len(index.skipped)}: {', '.join(index.skipped[:5])}" if index.skipped else ""


def _speed(index: Index) -> Row:
    """As a command does it: read and check the index, then judge; nothing is warm."""
    draw = random.Random(SEED)  # noqa: S311 - packages that must be the same again
    everywhere = {name: sorted(found) for name, found in _versions(index).items() if found}
    names = draw.sample(sorted(everywhere), PACKAGES)
    packages = [Installed(name, draw.choice(everywhere[name])) for name in names]
    data = indexes.pack(index)
    digest = of_bytes(data)

    def work() -> audits.Audit:
        osvrange.public.cache_clear()
        return audits.audit(packages, indexes.unpack(data, digest), ())

    hit = len(work().vulnerable)
    return measure(
        f"{PACKAGES} packages audited, the index read and checked first",
        cpu_s(work),
        "s CPU",
        target=1,
        better="lower",
        note=f"{hit} vulnerable, index of {len(data):,} bytes",
    )


def _faults() -> list[Row]:
    outcomes = faults.outcomes()
    opened = [one.name for one in outcomes if one.passed]
    return [
        measure(
            "faults of index, version and waiver, tried",
            len(outcomes),
            "cases",
            target=12,
            note=", ".join(one.name for one in outcomes),
        ),
        measure(
            "faults after which a vulnerable package passed",
            len(opened),
            "cases",
            target=0,
            better="lower",
            note=", ".join(opened),
        ),
    ]
