"""Personal data by column, and credentials by record.

``personal-data`` is a fact: kinds and counts of each column over a sample of its cells, and a
sensitivity that a person may confirm; it enforces nothing. ``credentials`` is a group whose
carriers block: a key that was put into data is out. Nothing found is quoted anywhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import msgspec
import numpy as np

from sealwright.core.sensitivity import Sensitivity, highest
from sealwright.kit import patterns
from sealwright.scan.interface import Batch, Fact, Frame, Group, Result, Scan, Spec

SAMPLED = 20_000
"""Cells looked at in each column: all of them, or those with the smallest hashes."""
COMMON, MOST = 0.01, 0.6
"""Share of a column's cells that a kind needs; more where only a weak checksum speaks for it."""

SOME = 0.25
"""Share of a column's cells of digits alone in which a kind has to hold that a check digit tells:
up to three in a hundred strings of random digits pass one of the strict ones."""

DISTINCT = 20
"""Different cells that a weak checksum has to hold in besides. What one string of random digits in
nine passes holds in 12 of 20 once in two million columns. Patterns are counted one by one: several
weak ones of a kind would hold together in most cells by chance."""
_SHORTEST_SECRET = 16
_SENSITIVE = frozenset(
    "national-id health-id card iban passport driver-licence birth-date credential private-key"
    " password secret wallet-key bank-account".split()
)
_INTERNAL = frozenset(
    "email phone ip-address mac-address location device-id company-id wallet person place".split()
)
_BY_NAME = (
    ("person", ("first_name", "last_name", "firstname", "lastname", "surname", "full_name",
                "fullname", "given_name", "family_name", "maiden_name", "customer_name")),
    ("place", ("address", "street", "postcode", "zip", "zipcode", "zip_code", "postal_code")),
    ("birth-date", ("dob", "date_of_birth", "birth_date", "birthdate", "birthday")),
)  # fmt: skip


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind in one column: in how many of the cells looked at. ``by``: what says so."""

    kind: str
    cells: int
    by: str


class ColumnFound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a column holds. ``looked`` cells of those that are not empty."""

    column: str
    looked: int
    kinds: tuple[Kind, ...]
    suggested: Sensitivity


class Cell(msgspec.Struct, frozen=True, gc=False):
    """What one cell holds: sure kinds, and weak ones with their pattern. Is it digits alone?"""

    sure: frozenset[str]
    weak: frozenset[tuple[str, str]]
    figures: bool


class Tally:
    """Cells, and different ones, by kind and pattern."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], int] = {}
        self.distinct: dict[tuple[str, str], int] = {}

    def add(self, those: Iterable[tuple[str, str]], cells: int) -> None:
        """One more different cell, that stands ``cells`` times."""
        for each in those:
            self.cells[each] = self.cells.get(each, 0) + cells
            self.distinct[each] = self.distinct.get(each, 0) + 1

    def of_numbers(self, kind: str, figures: int) -> int:
        """How many of ``figures`` cells of digits alone hold it; 0 where chance may do that."""
        cells, distinct = self.cells.get((kind, ""), 0), self.distinct.get((kind, ""), 0)
        several = distinct > 3 and cells >= figures * SOME
        return cells if several or 2 * cells >= figures else 0


class Counting:
    """The mergeable counts of one column: a sample of cells by hash, judged as they come."""

    def __init__(self, column: str) -> None:
        self.column = column
        self.seen = 0
        self.kept: dict[int, Cell] = {}
        self.cells: dict[int, int] = {}
        self.bound = 1 << 32

    def add(self, cells: Iterable[object]) -> None:
        """Take in cells; None and blanks are left out."""
        for cell in cells:
            if cell is None:
                continue
            text = str(cell).strip()
            if not text:
                continue
            self.seen += 1
            key = zlib.crc32(text.encode("utf-8", "surrogatepass"))
            if key > self.bound:
                continue
            if key not in self.kept:
                self.kept[key] = self._kinds(text)
                self._trim()
            self.cells[key] = self.cells.get(key, 0) + 1

    def merge(self, other: Self) -> None:
        """Join two shards' samples."""
        self.seen += other.seen
        self.bound = min(self.bound, other.bound)
        self.kept |= other.kept
        for key, count in other.cells.items():
            self.cells[key] = self.cells.get(key, 0) + count
        self._trim()

    def found(self) -> ColumnFound:
        """Kinds that enough cells hold, most frequent first."""
        sure, bare, weak = Tally(), Tally(), Tally()
        looked = figures = 0
        for key, found in self.kept.items():
            if key > self.bound:
                continue
            cells = self.cells.get(key, 0)
            looked += cells
            figures += cells * found.figures
            (bare if found.figures else sure).add({(kind, "") for kind in found.sure}, cells)
            weak.add(found.weak, cells)
        kept = dict.fromkeys({kind for kind, _ in (*sure.cells, *bare.cells)}, 0)
        for kind in kept:
            kept[kind] = sure.cells.get((kind, ""), 0) + bare.of_numbers(kind, figures)
        kept = {kind: count for kind, count in kept.items() if count >= max(1, looked * COMMON)}
        for (kind, pattern), count in weak.cells.items():
            if count >= looked * MOST and weak.distinct[kind, pattern] >= DISTINCT:
                kept[kind] = max(kept.get(kind, 0), count)
        told = [Kind(kind, count, "pattern") for kind, count in kept.items()]
        if looked and (named := by_name(self.column)) and named not in kept:
            told.append(Kind(named, looked, "column-name"))
        ordered = tuple(sorted(told, key=lambda each: (-each.cells, each.kind)))
        return ColumnFound(self.column, looked, ordered, suggestion(k.kind for k in ordered))

    def _kinds(self, text: str) -> Cell:
        context = self.column.replace("_", " ")
        found = list(patterns.every(text[:20_000], context=context, minimum=patterns.LOW))
        sure = [m for m in patterns.settled(found) if m.confidence >= patterns.DEFAULT]
        weak = {
            (m.kind, m.pattern)
            for m in found
            if m.confidence < patterns.DEFAULT
            and not any(k.start <= m.start and m.end <= k.end for k in sure)
        }
        return Cell(frozenset(m.kind for m in sure), frozenset(weak), text.isdigit())

    def _trim(self) -> None:
        if len(self.kept) > 2 * SAMPLED:
            self.bound = sorted(self.kept)[SAMPLED]
            self.kept = {key: kinds for key, kinds in self.kept.items() if key <= self.bound}
            self.cells = {key: count for key, count in self.cells.items() if key <= self.bound}


def by_name(column: str) -> str:
    """What a column's name alone says it holds, or nothing."""
    plain = column.lower().replace("-", "_").replace(" ", "_")
    return next((kind for kind, names in _BY_NAME if plain in names), "")


def suggestion(kinds: Iterable[str]) -> Sensitivity:
    """The level that these kinds suggest; empty for none."""
    return highest(
        "sensitive" if kind in _SENSITIVE else "internal" if kind in _INTERNAL else ""
        for kind in kinds
    )


class PersonalData:
    """Makes the state of one scan."""

    spec = Spec("personal-data", 1, "any", "fact", threats=("AML.T0057",))

    def begin(self, frame: Frame, reference: Scan | None = None) -> Columns:
        """An empty state; no reference is used."""
        return Columns(frame)


class Columns:
    """One count for each column of text or categories."""

    def __init__(self, frame: Frame) -> None:
        names = [c.name for c in frame.columns if c.type in ("text", "category")]
        self.columns = {name: Counting(name) for name in names}

    def observe(self, number: int, batch: Batch) -> None:
        """Count the batch's cells."""
        for name, counting in self.columns.items():
            counting.add(batch.values.get(name, ()))

    def merge(self, other: Self) -> None:
        """Join the counts, column by column."""
        for name, counting in self.columns.items():
            counting.merge(other.columns[name])

    def settle(self, number: int) -> None:
        """Nothing is left to do after the one pass."""

    def result(self) -> Result:
        """One fact for each column that holds something."""
        found = [counting.found() for counting in self.columns.values()]
        return Result(facts=tuple(_fact(each) for each in found if each.kinds))


def _fact(found: ColumnFound) -> Fact:
    kinds = ", ".join(f"{each.kind} in {each.cells:,}" for each in found.kinds)
    metrics: Mapping[str, int | float | str] = {
        "cells": found.looked,
        "suggested": found.suggested,
        **{each.kind: each.cells for each in found.kinds},
    }
    return Fact(
        "personal.column",
        "medium" if found.suggested == "sensitive" else "low",
        f"the column {found.column!r} holds {kinds} of {found.looked:,} cells",
        metrics,
    )


class Credentials:
    """Makes the state of one scan."""

    spec = Spec(
        "credentials",
        1,
        "any",
        "group",
        families=("credential",),
        threats=("AML.T0055",),
        tested=False,
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Carriers:
        """An empty state; no reference is used."""
        return Carriers(frame)


class Carriers:
    """Records in which a credential stands whose form its issuer gave it."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.columns = [c.name for c in frame.columns if c.type in ("text", "category")]
        self.found: dict[str, set[int]] = {}
        self._known: dict[str, tuple[str, ...]] = {}

    def observe(self, number: int, batch: Batch) -> None:
        """Look at every cell that is long enough."""
        for name in self.columns:
            for row, cell in enumerate(batch.values.get(name, ())):
                if isinstance(cell, str) and len(cell) >= _SHORTEST_SECRET:
                    for pattern in self._look(cell):
                        self.found.setdefault(pattern, set()).add(int(batch.ids[row]))

    def merge(self, other: Self) -> None:
        """Join the carriers."""
        for pattern, records in other.found.items():
            self.found.setdefault(pattern, set()).update(records)

    def settle(self, number: int) -> None:
        """Nothing is left to do after the one pass."""

    def result(self) -> Result:
        """One group for each form; a form or checksum is no accident, so it stands."""
        groups = tuple(
            Group(
                family="credential",
                pattern=f"credentials of the form {pattern}",
                key=f"credential:{pattern}",
                carriers=np.array(sorted(records), np.int64),
                label="",
                count=len(records),
                seen=len(records),
                expected=0.0,
                statistic=float(len(records)),
                p_value=0.0,
            )
            for pattern, records in sorted(self.found.items())
        )
        return Result(groups, tried=len(self.found))

    def _look(self, cell: str) -> Sequence[str]:
        known = self._known.get(cell)
        if known is None:
            found = patterns.find(cell, categories=("credential",), minimum=patterns.HIGH)
            known = tuple(dict.fromkeys(m.pattern for m in found))
            if len(self._known) < SAMPLED:
                self._known[cell] = known
        return known
