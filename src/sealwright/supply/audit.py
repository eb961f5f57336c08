"""The vulnerability gate: packages held against an index and the waivers. Pure.

A package is vulnerable, waived, not affected or unknown; what could not be looked at is
unknown and never passes for unaffected. Source: docs/spec/advisories-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from sealwright.core.errors import BadInput
from sealwright.policy.waivers import Waiver
from sealwright.supply import cvss, osvrange
from sealwright.supply.ecosystem import PYPI
from sealwright.supply.index import Index
from sealwright.supply.osv import Advisory, Affected, normal

Imported = Literal["yes", "no", "unknown"]
State = Literal["vulnerable", "waived", "not affected", "unknown"]
Rank = Literal["exploited", "high", "medium", "low"]
RANKS: tuple[Rank, ...] = ("exploited", "high", "medium", "low")
_HIGH, _MEDIUM = 70, 40


class Installed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One distribution of an environment, and whether the code imports it."""

    name: str
    version: str
    imported: Imported = "unknown"


class Hit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One advisory about an installed package; ``fixed`` is the next release free of it."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    state: State
    rank: Rank
    score: int
    imported: Imported
    fixed: str = ""
    waiver: str = ""
    why: str = ""


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an audit found: hits by rank, and the packages nothing can be said of."""

    packages: int
    hits: tuple[Hit, ...]
    unknown: tuple[tuple[str, str], ...] = ()

    def of(self, state: State) -> tuple[Hit, ...]:
        """The hits in one state."""
        return tuple(hit for hit in self.hits if hit.state == state)

    @property
    def vulnerable(self) -> tuple[str, ...]:
        """Packages with an advisory that nothing waives."""
        return tuple(sorted({hit.package for hit in self.of("vulnerable")}))

    @property
    def unsure(self) -> tuple[str, ...]:
        """Packages of which nobody can say."""
        named = {name for name, _ in self.unknown} | {hit.package for hit in self.of("unknown")}
        return tuple(sorted(named))


def nothing_known(packages: Sequence[Installed], why: str) -> Audit:
    """The audit where there is no index to look into: everything is unknown."""
    return Audit(len(packages), (), tuple((normal(one.name), why) for one in packages))


def audit(
    packages: Sequence[Installed], index: Index, waivers: Sequence[Waiver], scope: str = ""
) -> Audit:
    """Every package against every advisory. ``scope`` is the stage that would use them."""
    if PYPI not in index.ecosystems:
        return nothing_known(packages, f"the index holds no advisory of {PYPI}")
    hits: list[Hit] = []
    unknown: list[tuple[str, str]] = []
    exploited = frozenset(index.exploited)
    for one in packages:
        name = normal(one.name)
        if osvrange.public(one.version) is None:
            unknown.append((name, f"version {one.version[:40]!r} is none that can be ordered"))
        for advisory, affected in _distinct(index.about(name), one.version):
            hits.append(_hit(one, advisory, affected, exploited, waivers, scope))
    hits = [hit for hit in hits if hit.state != "not affected"]
    hits.sort(key=lambda hit: (RANKS.index(hit.rank), -hit.score, hit.package, hit.id))
    return Audit(len(packages), tuple(hits), tuple(unknown))


def _distinct(
    entries: Sequence[tuple[Advisory, Affected]], version: str
) -> Iterator[tuple[Advisory, Affected]]:
    """One entry for each advisory: the one that says most about ``version``."""
    order = {"affected": 0, "unknown": 1, "not affected": 2}
    best: dict[str, tuple[int, Advisory, Affected]] = {}
    for advisory, affected in entries:
        weight = order[osvrange.judge(version, affected)]
        if advisory.id not in best or weight < best[advisory.id][0]:
            best[advisory.id] = (weight, advisory, affected)
    for _, advisory, affected in best.values():
        yield advisory, affected


def _hit(
    one: Installed,
    advisory: Advisory,
    affected: Affected,
    exploited: frozenset[str],
    waivers: Sequence[Waiver],
    scope: str,
) -> Hit:
    verdict = osvrange.judge(one.version, affected)
    state: State = "vulnerable" if verdict == "affected" else verdict
    ranked, score = rank(advisory, exploited)
    waiver = ""
    if state == "vulnerable":
        waiver = next((w.request for w in waivers if covers(w, one, advisory, scope)), "")
        state = "waived" if waiver else state
    return Hit(
        normal(one.name),
        one.version,
        advisory.id,
        advisory.aliases,
        state,
        ranked,
        score,
        one.imported,
        osvrange.fixed_in(one.version, affected),
        waiver,
        "only commits are named" if affected.opaque and state == "unknown" else "",
    )


def covers(waiver: Waiver, one: Installed, advisory: Advisory, scope: str) -> bool:
    """Whether a waiver is about exactly this: id or alias, package, version and stage."""
    version = osvrange.public(one.version)
    if waiver.vulnerability not in advisory.names or normal(waiver.package) != normal(one.name):
        return False
    if waiver.scope not in ("*", scope):
        return False
    return version is not None and specifier(waiver.versions).contains(version, prereleases=True)


def specifier(text: str) -> SpecifierSet:
    """A waiver's versions: bounded, so that it cannot outlive the next release.

    Raises: BadInput (no specifier, or none that names exact or highest versions).
    """
    try:
        found = SpecifierSet(text)
    except InvalidSpecifier as error:
        raise BadInput(f"{text!r} is no version specifier", hint="--versions '==1.2.3'") from error
    if not any(one.operator in ("==", "<=", "<", "~=", "===") for one in found):
        raise BadInput(
            f"{text!r} has no upper end",
            why="a waiver of every later version would also waive what nobody has looked at",
            hint="--versions '==1.2.3' or '<2'",
        )
    return found


def rank(advisory: Advisory, exploited: frozenset[str]) -> tuple[Rank, int]:
    """Known exploitation first, then CVSS; what has no score counts as high."""
    score = _HIGH
    if advisory.severity:
        try:
            score = cvss.base(advisory.severity)
        except BadInput:
            score = _HIGH
    if advisory.names & exploited:
        return "exploited", score
    if score >= _HIGH:
        return "high", score
    return ("medium" if score >= _MEDIUM else "low"), score


def metrics(audit: Audit) -> Mapping[str, int]:
    """Counts for a statement."""
    return {
        "packages": audit.packages,
        "vulnerable": len(audit.vulnerable),
        "vulnerable_imported": len(
            {hit.package for hit in audit.of("vulnerable") if hit.imported != "no"}
        ),
        "waived": len(audit.of("waived")),
        "unknown": len(audit.unsure),
    }
