"""What to look for, by how it is looked for: laid out once for all texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from sealwright.kit.patterns import (
    assigned,
    contact,
    credentials,
    finance,
    people_europe,
    people_further,
    people_world,
    tokens,
)
from sealwright.kit.patterns.interface import Category, Pattern

_FIRST = re.compile(r"\(?[9A]+")
_SAID = re.compile(r"[^\W_]+")
_SHAPES = frozenset("9A")
_APART = re.compile(r"\\[ -]")
_COMMON = frozenset("abcdefghijklmnopqrstuvwxyz 0123456789.,-")


@cache
def patterns() -> tuple[Pattern, ...]:
    """Every pattern there is."""
    people = (people_europe, people_world, people_further)
    rooms = (finance, *people, contact, credentials, tokens, assigned)
    return tuple(each for room in rooms for each in room.PATTERNS)


class Literals:
    """Literals to look for in one layout of a text, those that share a part behind that part."""

    def __init__(self) -> None:
        self.those: dict[str, list[Pattern]] = {}
        self.guarded: list[tuple[str, str, list[tuple[str, list[Pattern]]]]] = []

    def add(self, said: str, pattern: Pattern) -> None:
        """One more pattern that is tried where ``said`` stands."""
        self.those.setdefault(said, []).append(pattern)

    def settle(self) -> None:
        """Find the parts, the one that most literals have first."""
        left = dict(self.those)
        while left:
            part = max(
                sorted(_parts(left)), key=lambda p: (sum(p in each for each in left), len(p))
            )
            behind = [(said, those) for said, those in left.items() if part in said]
            self.guarded.append((_seldom(part), part, behind))
            left = {said: those for said, those in left.items() if part not in said}


def _parts(literals: Iterable[str]) -> set[str]:
    """Parts that say something: two characters with a mark among them, or three others. In
    shapes letters and digits alone say nothing."""
    found = {
        said[at : at + size]
        for said in literals
        for size in {min(2, len(said)), min(3, len(said))}
        for at in range(len(said) - size + 1)
    }
    told = {each for each in found if not each.isalnum() or (len(each) > 2 and set(each) - _SHAPES)}
    return told | set(literals)


def _seldom(part: str) -> str:
    """A character of ``part`` that plain sentences seldom hold: one is looked for in no time."""
    return next((each for each in part if each not in _COMMON), "")


class Spelling:
    """What one spelling may be: surely, or where one of ``words`` is near."""

    def __init__(self) -> None:
        self.sure: list[Pattern] = []
        self.plain: list[tuple[Pattern, frozenset[str]]] = []
        self.words: frozenset[str] = frozenset()


class Plan:
    """What to look for, by how it is looked for."""

    def __init__(self, wanted: Sequence[Pattern]) -> None:
        self.shapes: dict[str, Spelling] = {}
        self.anchors, self.folded, self.gates = Literals(), Literals(), Literals()
        self.heads: dict[str, list[tuple[str, Pattern]]] = {}
        self.inner = Literals()
        self.long = [each for each in wanted if each.long and not each.anchors]
        self.over = [each for each in wanted if each.reach < 0]
        self.digits = [each for each in wanted if each.digit]
        self.ahead = [(each.ahead, len(each.ahead), each) for each in wanted if each.ahead]
        for each in wanted:
            self._spell(each)
            if each.reach >= 0:
                self._anchor(each)
        self.first: dict[str, set[int]] = {}
        lettered = Literals()
        for said in self.shapes:
            word = _FIRST.match(said).end()  # type: ignore[union-attr]
            if "9" in said[:word]:
                self.first.setdefault(said[: word + 1], set()).add(len(said))
            else:
                lettered.those[said] = []
        for literals in (self.anchors, self.folded, self.gates, self.inner, lettered):
            literals.settle()
        self.lettered = [(part, [said for said, _ in those]) for _, part, those in lettered.guarded]

    def _spell(self, each: Pattern) -> None:
        for said in each.shapes:
            self.shapes.setdefault(said, Spelling()).sure.append(each)
        for said in each.plain:
            found = self.shapes.setdefault(said, Spelling())
            found.plain.append((each, words_of(each)[0]))
            found.words |= words_of(each)[0]

    def _anchor(self, each: Pattern) -> None:
        for said in each.gates:
            self.gates.add(said, each)
        for said in each.anchors:
            if each.long and not each.reach:
                self.heads.setdefault(said[:2], []).append((said, each))
            elif each.long:
                self.inner.add(said, each)
            else:
                (self.folded if each.fold else self.anchors).add(said, each)


@cache
def plan_of(categories: tuple[Category, ...]) -> Plan:
    """All of these categories; of all, where there are none."""
    return Plan([p for p in patterns() if not categories or p.category in categories])


@cache
def words_of(pattern: Pattern) -> tuple[frozenset[str], re.Pattern[str]]:
    """The first word of every phrase, and all of them as they stand in a text."""
    said = "|".join(_APART.sub(r"[ _.-]", re.escape(each)) for each in pattern.context)
    firsts = frozenset(_SAID.search(each)[0] for each in pattern.context)  # type: ignore[index]
    return firsts, re.compile(rf"(?<![^\W_])(?:{said})(?![^\W_])")
