"""What comparisons of dataset versions say: how much moved, and what was made from the past.

``drift/v1`` says it with numbers. A screening that had a reference says it with severities: a
detector calls an effect high that is twice the least that counts. A version never changes, so a
comparison of two of them is never taken back by a later one; one that cannot be read counts as
drift. A version that was withdrawn makes nothing outdated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.predicates import DRIFT, GUARD_EVENT, SCREENING
from sealwright.core.records import Recorded
from sealwright.evidence.history import History
from sealwright.policy.facts import NEVER
from sealwright.policy.factsheet import Value

LEAST = 100
"""The least effect that counts, which is what strengths are percents of."""

STRONG = 2 * LEAST
"""What a detector calls high."""

_DRIFT_RULE = "drift."


class Compared(msgspec.Struct, frozen=True):
    """Two versions. ``strength`` is the largest effect, in percent of the least that counts."""

    newer: Digest
    against: Digest
    columns: int
    strength: int
    index: int

    @property
    def drifted(self) -> bool:
        """Whether a column moved by enough to matter."""
        return self.columns > 0


class Drifts:
    """Every comparison of a history, and the models whose traffic a guard says has moved."""

    def __init__(self, history: History) -> None:
        self._of: dict[Digest, list[Compared]] = {}
        self._since: dict[Digest, list[Compared]] = {}
        self.traffic: dict[Digest, int] = {}
        for entry in history.of_type(DRIFT, SCREENING, GUARD_EVENT):
            if entry.statement.predicate_type == GUARD_EVENT:
                self._event(entry)
            elif compared := read(entry):
                self._of.setdefault(compared.newer, []).append(compared)
                self._since.setdefault(compared.against, []).append(compared)

    def of(self, newer: Digest, against: Digest) -> tuple[Compared, ...]:
        """The comparisons of exactly these two, oldest first."""
        return tuple(one for one in self._of.get(newer, ()) if one.against == against)

    def facts(
        self,
        read: Iterable[Digest],
        data: Iterable[Digest],
        models: Iterable[Digest],
        added: Mapping[Digest, int],
        stands: Callable[[Digest], bool],
    ) -> dict[str, Value]:
        """``read`` are the versions that runs read, ``data`` all behind the subjects; ``added``
        is the entry that added a version, ``stands`` whether nobody withdrew it."""
        found = [one for digest in set(read) for one in self._of.get(digest, ())]
        most: dict[Digest, int] = {}
        for one in found:
            most[one.newer] = max(one.columns, most.get(one.newer, 0))
        return {
            "drift_columns": min(sum(most.values()), NEVER),
            "drift_strength": max((one.strength for one in found), default=0),
            "inputs_outdated": sum(self.outdated(each, added, stands) for each in set(data)),
            "traffic_drifted": sum(digest in self.traffic for digest in set(models)),
        }

    def outdated(
        self, version: Digest, added: Mapping[Digest, int], stands: Callable[[Digest], bool]
    ) -> bool:
        """Whether the newest data that was compared with it, or with what followed it, moved."""
        seen = {version}
        while True:
            later = [
                one
                for one in self._since.get(version, ())
                if one.newer not in seen and stands(one.newer)
            ]
            if not later:
                return False
            newest = max(added.get(one.newer, -1) for one in later)
            last = [one for one in later if added.get(one.newer, -1) == newest]
            if any(one.drifted for one in last):
                return True
            version = last[-1].newer
            seen.add(version)

    def _event(self, entry: Recorded) -> None:
        if entry.statement.predicate.get("what") == "drift":
            for subject in entry.statement.subjects:
                self.traffic[subject.digest] = entry.index


def read(entry: Recorded) -> Compared | None:
    """What one statement compares; None where it compares nothing."""
    said: Mapping[str, Any] = entry.statement.predicate
    newer = entry.statement.subjects[0].digest if entry.statement.subjects else ""
    if entry.statement.predicate_type == SCREENING:
        against, (columns, strength) = said.get("reference"), _screened(said)
        if not against:
            return None
    else:
        named = said.get("against")
        against = named.get("digest") if isinstance(named, dict) else None
        columns, strength = _numbers(said)
    return Compared(newer, str(against or ""), columns, strength, entry.index)


def _numbers(said: Mapping[str, Any]) -> tuple[int, int]:
    """Columns and strength; a statement that has alarms and no numbers is as bad as can be."""
    columns, strength = (_count(said.get(name)) for name in ("columns", "strength"))
    if columns is not None and strength is not None:
        return columns, strength
    alarms = _count(said.get("alarms"))
    return (0, 0) if alarms == 0 else (alarms or 1, NEVER)


def _screened(said: Mapping[str, Any]) -> tuple[int, int]:
    """A screening names no column: its lines about drift are counted, as many as it lists."""
    lines = said.get("facts")
    if not isinstance(lines, list):
        return 0, 0
    told = [
        line
        for line in lines
        if isinstance(line, dict) and str(line.get("rule", "")).startswith(_DRIFT_RULE)
    ]
    if not told:
        return 0, 0
    return len(told), STRONG if any(line.get("severity") == "high" for line in told) else LEAST


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value, NEVER)
