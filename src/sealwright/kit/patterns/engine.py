"""Looks for every pattern in one walk over a text.

A text is laid out three times (as it is, in lower case, in shapes). Substring searches for
anchors and spellings, which cost next to nothing, decide where to look at all; only there does
a regular expression or a validator run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from sealwright.kit.patterns.interface import LOW, MEDIUM, Category, Match, Pattern
from sealwright.kit.patterns.overlap import settled
from sealwright.kit.patterns.plan import Literals, Plan, Spelling, patterns, plan_of, words_of
from sealwright.kit.patterns.shape import fold, lower, shape
from sealwright.kit.patterns.wording import apart, run_together, telling

_BEFORE, _AFTER = 100, 50
_FAR = 8
_FIGURES = re.compile("9[9A]*+")  # no lookbehind: the search then looks for a 9 alone
_MOST_FIGURES = 21
_LETTERS_BEFORE = 6
_INNER = frozenset("9A")
_JOINING = frozenset("A.,:+-/_$")
_ENDING = frozenset(' \t\r\n<>()[],;:"=|')
_HEAD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{2}")
_EXTENSION = re.compile(r"[xX][0-9]{1,6}(?![A-Za-z0-9_])")
_ACCOUNT = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?: [A-Za-z0-9]{4}){0,7} $")
_WITHIN = frozenset(("phone", "card", "national-id", "health-id"))
_UNBROKEN = bytes(
    120 if code < 128 and (chr(code).isalnum() or chr(code) in "_-+/=.~") else 32
    for code in range(256)
)
_TWENTY = re.compile(b"x" * 20 + b"x*+")  # spelled out: the search is then for a literal
DEFAULT = 50
"""Least confidence that :func:`find` yields unless told otherwise."""

CARRY = 9000
"""How much of a text is looked at again with the next chunk: more than the longest pattern."""


def find(
    text: str,
    *,
    categories: Sequence[Category] = (),
    context: str = "",
    minimum: int = DEFAULT,
) -> Iterator[Match]:
    """Every match in ``text``, by place. ``context`` is what is known of where the text stands
    (a column's name); ``categories`` empty is all of them.

    Where two kinds fit the same characters both are given, unless one is much surer.
    """
    yield from settled(every(text, categories=categories, context=context, minimum=minimum))


def every(
    text: str,
    *,
    categories: Sequence[Category] = (),
    context: str = "",
    minimum: int = DEFAULT,
) -> Iterable[Match]:
    """As :func:`find`, in no order, and every pattern that fits the same characters."""
    return _Walk(text, context, minimum).run(plan_of(tuple(sorted(categories))))


def find_in(chunks: Iterable[str], *, minimum: int = DEFAULT) -> Iterator[Match]:
    """As :func:`find`, over a text that comes in chunks; places count from its beginning.

    What lies across two chunks is found, up to :data:`CARRY` characters.
    """
    held, offset, past = "", 0, 0
    for chunk in chunks:
        held += chunk
        if len(held) < 8 * CARRY:
            continue
        sure = len(held) - CARRY
        for match in find(held, minimum=minimum):
            if past - offset < match.end <= sure:
                yield _moved(match, offset)
        past = offset + sure
        held, offset = held[sure - CARRY :], offset + sure - CARRY
    yield from (_moved(m, offset) for m in find(held, minimum=minimum) if m.end + offset > past)


def _moved(match: Match, offset: int) -> Match:
    return Match(
        match.kind, match.start + offset, match.end + offset, match.confidence, match.valid,
        match.pattern, match.category,
    )  # fmt: skip


@cache
def _compiled(pattern: Pattern) -> re.Pattern[str]:
    return re.compile(pattern.regex)


@cache
def _hint(pattern: Pattern) -> re.Pattern[str] | None:
    return re.compile(pattern.hint) if pattern.hint else None


class _Walk:
    """One text, laid out, and what was found in it so far."""

    def __init__(self, text: str, context: str, minimum: int) -> None:
        self.text = fold(text)
        self.low = lower(self.text)
        self.shape = shape(self.text)
        self.context = apart(context)
        self.minimum = minimum
        self.place, self.near, self.said = (-1, -1), "", frozenset[str]()
        self.every: frozenset[str] | None = None
        self.humps = False
        self.found: dict[tuple[int, int, str], Match] = {}

    def run(self, plan: Plan) -> Iterable[Match]:
        """Everything in the text, in no order."""
        self._spellings(plan)
        self._places(self.text, plan.anchors)
        self._places(self.low, plan.folded)
        self._places(self.shape, plan.gates)
        tokens = self._tokens()
        if tokens:
            self._places(self.text, plan.inner)
        for span in tokens:
            self._headed(plan, *span)
            for pattern in plan.long:
                self._search(pattern, *span)
        for pattern in plan.over:
            self._over(pattern)
        return self.found.values()

    def _tokens(self) -> list[tuple[int, int]]:
        """Unbroken strings of twenty characters and more; most texts have none."""
        marked = self.text.encode("ascii", "replace").translate(_UNBROKEN)
        return [token.span() for token in _TWENTY.finditer(marked)]

    def _headed(self, plan: Plan, start: int, end: int) -> None:
        """Every word in an unbroken string that begins as an issuer's tokens do."""
        for word in _HEAD.finditer(self.text, start, end):
            for said, pattern in plan.heads.get(word[0], ()):
                if self.text.startswith(said, word.start()):
                    self._try(pattern, word.start())

    def _places(self, layout: str, wanted: Literals) -> None:
        find = layout.find
        for seldom, part, behind in wanted.guarded:
            if seldom not in layout or part not in layout:
                continue
            for said, those in behind:
                at = find(said)
                while at >= 0:
                    inside = at and self.shape[at - 1] in _INNER
                    for pattern in those:
                        if not (inside and pattern.alone):
                            self._try(pattern, at)
                    at = find(said, at + len(said))

    def _over(self, pattern: Pattern) -> None:
        layout = self.low if pattern.fold else self.text
        if any(layout.count(each) >= pattern.least for each in pattern.anchors):
            hint = _hint(pattern)
            if hint is None or hint.search(self.text):
                self._search(pattern, 0, len(self.text))

    def _search(self, pattern: Pattern, start: int, end: int) -> None:
        for match in _compiled(pattern).finditer(self.text, start, end):
            self._judge(pattern, match)

    def _figured(self) -> Iterator[tuple[int, int]]:
        """Where the words lie that have a digit after at most six letters."""
        layout = self.shape
        for figures in _FIGURES.finditer(layout):
            start, end = figures.span()
            if end - start > _MOST_FIGURES:
                continue
            least = start - _LETTERS_BEFORE
            while start and start > least and layout[start - 1] == "A":
                start -= 1
            if layout[start - 1 : start] not in _INNER:
                yield start, end

    def _spellings(self, plan: Plan) -> None:
        """Every word with a digit in it: spellings that begin with just that word."""
        layout, first, seen = self.shape, plan.first, False
        for start, end in self._figured():
            seen, before = True, layout[start - 1 : start]
            if self.text[start] == "0" and before not in _JOINING:
                for pattern in plan.digits:
                    self._try(pattern, start)
            if before == " " and layout[start - 2] == "A":
                self._ahead(plan, start)
            for said in (layout[start:end], layout[start : end + 1]):
                if said in first:
                    self._spelled(plan, first[said], start)
            if before == "(" and (said := "(" + layout[start : end + 1]) in first:
                self._spelled(plan, first[said], start - 1)
        for part, lettered in plan.lettered if seen else ():
            if part in layout:
                self._lettered(plan, lettered)

    def _ahead(self, plan: Plan, start: int) -> None:
        """What stands in capitals before a number."""
        for said, size, pattern in plan.ahead:
            at = start - size
            if at >= 0 and self.shape.startswith(said, at) and self.text[at:start].isupper():
                self._try(pattern, at)

    def _lettered(self, plan: Plan, wanted: Sequence[str]) -> None:
        """Spellings whose first word has no digit."""
        for said in wanted:
            at = self.shape.find(said)
            while at >= 0:
                self._spelled(plan, (len(said),), at)
                at = self.shape.find(said, at + 1)

    def _spelled(self, plan: Plan, sizes: Iterable[int], start: int) -> None:
        if not self._begins(start):
            return
        layout, shapes = self.shape, plan.shapes
        for size in sizes:
            end = start + size
            wanted = shapes.get(layout[start:end])
            if wanted is not None and self._ends(end):
                value = self.text[start:end]
                for pattern in wanted.sure:
                    self._keep(pattern, start, end, value, plain=False)
                if wanted.plain:
                    self._plain(wanted, start, end, value)

    def _plain(self, wanted: Spelling, start: int, end: int, value: str) -> None:
        """What tells by itself, and what a word near may begin to speak for."""
        far = self._far(wanted.words, start, end)
        near = frozenset[str]() if far else self._around(start, end)
        for pattern, words in wanted.plain:
            if pattern.bare >= self.minimum or not words.isdisjoint(near):
                self._keep(pattern, start, end, value, plain=True)

    def _begins(self, start: int) -> bool:
        """Not part of a longer number, a word, a path, a date-time, an amount or a fraction."""
        layout = self.shape
        if start:
            before = layout[start - 1]
            if before in "9A_$€£+":
                return False
            if (
                before in "-./,:"
                and start > 1
                and layout[start - 2] in ("9" if before in ":," else "9A")
            ):
                return False
            if before == "?" and self.text[start - 1].isalnum():
                return False
        return True

    def _ends(self, end: int) -> bool:
        """Nothing of that goes on here."""
        layout = self.shape
        if end < len(layout):
            after = layout[end]
            if after in "9A_%" and not (after == "A" and _EXTENSION.match(self.text, end)):
                return False
            if after in "-./,:+@" and end + 1 < len(layout):
                following = layout[end + 1]
                if following == "9" or (following == "A" and after in "-/@"):
                    return False
            if after == "?" and self.text[end].isalnum():
                return False
        return True

    def _try(self, pattern: Pattern, at: int) -> None:
        match_at = _compiled(pattern).match
        if not pattern.reach:
            match = match_at(self.text, at)
            if match:
                self._judge(pattern, match)
            return
        if pattern.reach > _FAR:
            nearest = at
            while nearest > max(0, at - pattern.reach) and self.text[nearest - 1] not in _ENDING:
                nearest -= 1
            match = match_at(self.text, nearest)
            if match:
                self._judge(pattern, match)
                return
        for start in range(max(0, at - pattern.reach), at + 2):
            match = match_at(self.text, start)
            if match:
                self._judge(pattern, match)
                return

    def _judge(self, pattern: Pattern, match: re.Match[str]) -> None:
        group = "v" if "v" in match.re.groupindex and match["v"] is not None else 0
        start, end = match.span(group)
        said = match[0] if pattern.whole else match[group]
        if pattern.trim:
            size = pattern.trim(said)
            said, end = said[:size], start + size
            if not size or self.shape[end : end + 1] in ("9", "A"):
                return
        self._keep(pattern, start, end, said, plain=pattern.wants_context)

    def _keep(self, pattern: Pattern, start: int, end: int, said: str, *, plain: bool) -> None:
        if (start, end, pattern.name) in self.found:
            return
        if plain and pattern.bare < self.minimum and not self._near(pattern, start, end):
            return
        holds = pattern.validator(said) if pattern.validator else None
        if holds is False or (holds is None and pattern.validator and pattern.strict):
            return
        confidence = pattern.confidence
        goes_on = self.shape[start - 1 : start] == " " and pattern.kind in _WITHIN
        if goes_on and _ACCOUNT.search(self.text, max(0, start - 40), start):
            return
        if pattern.context and self._near(pattern, start, end):
            confidence = min(99, confidence + 15)
        elif plain:
            confidence = LOW if _is_time(said) else pattern.bare
        elif goes_on and " " in said and self.shape[start - 2] == "9" and pattern.kind != "card":
            confidence = LOW
        if holds is None and pattern.validator:
            confidence -= 20
        if confidence >= max(1, self.minimum):
            self.found[start, end, pattern.name] = Match(
                pattern.kind, start, end, confidence, bool(holds), pattern.name, pattern.category
            )

    def _far(self, words: frozenset[str], start: int, end: int) -> bool:
        """Whether none of ``words`` is near; most are nowhere in the text."""
        if self.every is None:
            plain = telling(self.low) | telling(self.context)
            self.every = plain.union(*run_together(self.text))
            self.humps = self.every != plain
        return words.isdisjoint(self.every) or words.isdisjoint(self._around(start, end))

    def _around(self, start: int, end: int) -> frozenset[str]:
        """The words near a place, and those of the caller's context."""
        if self.place != (start, end):
            near = slice(max(0, start - _BEFORE), end + _AFTER)
            names = apart(self.text[near]) if self.humps else ""
            self.place = (start, end)
            self.near = f"{self.context}\n{self.low[near]}\n{names}"
            self.said = telling(self.near)
        return self.said

    def _near(self, pattern: Pattern, start: int, end: int) -> bool:
        firsts, phrases = words_of(pattern)
        if self._far(firsts, start, end):
            return False
        return phrases.search(self.near) is not None


def _is_time(said: str) -> bool:
    """Bare digits that are a time of 2001 to 2035: seconds, milliseconds, or year to minute."""
    if len(said) in (10, 13):
        return "1000000000" <= said[:10] < "2100000000"
    if len(said) in (12, 14) and "2000" < said[:4] < "2036":
        return said[4:6] < "13" and said[8:10] < "24" and said[10:12] < "60"
    return False


__all__ = ["CARRY", "DEFAULT", "MEDIUM", "every", "find", "find_in", "patterns", "settled"]
