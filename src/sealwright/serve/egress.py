"""Text on its way out: secrets, personal data, canaries and memorised runs of words are taken out.

A stream is held back by a bounded window, so that nothing leaves that a later piece completes:
what goes out does not depend on how the text was cut into pieces. What was found is counted by
rule id; its contents are neither kept nor reported. docs/spec/text-egress-v1.md has the rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from sealwright.kit import patterns
from sealwright.serve import jsontext
from sealwright.serve.canaries import Canaries, from_end, places, squash
from sealwright.serve.memorised import Memorised, Run, spans_of, words_of

Action = Literal["redact", "cut", "report"]
Kind = Literal["text", "json"]

HOLD = 160
"""Characters at the end of a stream that wait: the longest value with blanks in it, and the
words after it that say what it is. Unbroken strings and private keys wait until they end."""
STEP = 192
"""New characters between two looks at the text."""
LEFT = 128
"""Characters that already left and still say what the next ones are."""
MOST_RUN = 4096
"""An unbroken string longer than this is taken out, unread."""
MOST_KEY = 8192
"""How much after the head of a private key is taken out while its end does not come."""
MOST_HELD = 32_768
_RUN = re.compile(r"[!#$%&*+\-./0-9:=?@A-Z\\^_`a-z|~]+")
_LONG_RUN = re.compile(rf"[!#$%&*+\-./0-9:=?@A-Z\\^_`a-z|~]{{{MOST_RUN + 1},}}")
_OF_RUN = frozenset(chr(code) for code in range(128) if _RUN.match(chr(code)))
_KEY_END = re.compile(r"-----END[ A-Z0-9_]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_KIND = "private-key"
_UNBROKEN, _MEMORISED = "egress.unbroken", "egress.memorised"


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to what is found: taken out, the answer cut there, or only counted.

    ``confidence``: in percent, least for personal data and credentials (kit.patterns).
    """

    personal: Action = "redact"
    financial: Action = "redact"
    health: Action = "redact"
    credential: Action = "redact"
    network: Action = "report"
    canary: Action = "cut"
    memorised: Action = "redact"
    confidence: int = 60


class Span(NamedTuple):
    """Something found: where, the rule, what happens. ``exact``: more text changes nothing."""

    start: int
    end: int
    rule: str
    action: Action
    exact: bool = True


class Egress:
    """What to look for; one for all answers."""

    def __init__(
        self,
        policy: Policy | None = None,
        canaries: Canaries | None = None,
        memorised: Memorised | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.canaries = canaries if canaries is not None and canaries.count else None
        self.memorised = memorised if memorised is not None and len(memorised) else None

    def channel(self, kind: Kind = "text") -> Channel:
        """A filter for one text of one answer. ``json``: the text is JSON, in pieces."""
        return Channel(self, kind)

    def whole(self, text: str, kind: Kind = "text") -> tuple[str, Counter[str], bool]:
        """A whole text filtered; what was found; whether it was cut."""
        channel = self.channel(kind)
        out = channel.push(text) + channel.close()
        return out, channel.found, channel.cut


class Channel:
    """One text on its way out. ``found`` counts by rule id; ``cut``: nothing more will come."""

    def __init__(self, egress: Egress, kind: Kind) -> None:
        self.found: Counter[str] = Counter()
        self.cut = False
        self._egress = egress
        self._plain = jsontext.Plain() if kind == "json" else None
        self._left = ""
        self._held = ""
        self._at = 0  # of the first held character, counted from the text's beginning
        self._clear = 0  # before it no canary begins
        self._next = HOLD + STEP
        self._dropping = 0  # characters still to drop, of a private key
        self._in_run = False  # an unbroken string is being dropped
        self._marked_at = (-1, "")  # where the last mark stands for text up to here
        self._heard = _Heard(egress.memorised, egress.policy.memorised)

    def push(self, text: str) -> str:
        """What may leave, now that ``text`` has come too."""
        if self.cut:
            return ""
        self._held += self._plain.push(text) if self._plain else text
        return self._look(last=False) if len(self._held) >= self._next else ""

    def close(self) -> str:
        """What is left, now that nothing more will come."""
        if self.cut:
            return ""
        self._held += self._plain.close() if self._plain else ""
        return self._look(last=True)

    def _look(self, *, last: bool) -> str:
        self._drop(last)
        try:
            spans, most = self._found(last)
        except Exception:  # what cannot be looked at does not leave
            return self._end("egress.fault")
        out = self._leave(spans, len(self._held) if last else self._safe(spans, most))
        if len(self._held) > MOST_HELD:
            return out + self._end("egress.held")
        self._next = max(HOLD + STEP, len(self._held) + max(STEP, len(self._held) // 4))
        return out

    def _end(self, rule: str = "") -> str:
        if rule:
            self.found[rule] += 1
        self.cut, self._held, self._left = True, "", ""
        return ""

    def _drop(self, last: bool) -> None:
        """Go on dropping what an earlier look began to drop."""
        size = 0
        if self._in_run:
            match = _RUN.match(self._held)
            size = match.end() if match else 0
            self._in_run = size == len(self._held)
        elif self._dropping:
            match = _KEY_END.search(self._held)
            if match and match.end() <= self._dropping:
                size, self._dropping = match.end(), 0
            else:  # the end may have come in half: its characters are looked at again
                size = min(self._dropping, len(self._held) if last else len(self._held) - 100)
                size = max(size, 0)
                self._dropping -= size
        self._held, self._at = self._held[size:], self._at + size

    def _found(self, last: bool) -> tuple[list[Span], int]:
        """Everything in the held text, by place in it, and how much of it waits for nothing."""
        view = self._left + self._held
        if self._plain:
            view = jsontext.blanks(view)
        base, policy = len(self._left), self._egress.policy
        held = view[base:]
        spans: list[Span] = []
        for match in patterns.find(view, minimum=policy.confidence):
            if match.end > base:
                start, end = match.start - base, match.end - base
                rule, action = f"egress.{match.kind}", getattr(policy, match.category)
                spans.append(Span(start, end, rule, action, exact=False))
                if match.kind == _KEY_KIND and _headless(held, max(start, 0), end):
                    spans.append(Span(end, end + MOST_KEY, rule, action))
        if len(held) > MOST_RUN:
            spans += [Span(*run.span(), _UNBROKEN, "redact") for run in _LONG_RUN.finditer(held)]
        most = len(held)
        if self._egress.canaries:
            found, most = self._canaries(self._egress.canaries, held)
            spans += found
        if self._egress.memorised:
            most = min(most, self._heard.listen(held, self._at, last))
            spans += self._heard.spans(self._at)
        return sorted(spans), most

    def _canaries(self, canaries: Canaries, held: str) -> tuple[list[Span], int]:
        """Those in the held text, and where in it one may have begun. Where none had, is not
        looked at again."""
        start = max(0, self._clear - self._at)
        part = held[start:]
        squashed = squash(part)
        hits, pending = canaries.found(squashed)
        begun = pending < len(squashed)
        if not hits and part.isascii():
            open_ = len(squashed) - pending if begun else min(canaries.overlap, len(squashed))
            clear = start + from_end(part, open_)
            self._clear = self._at + clear
            return [], clear if begun else len(held)
        at, action = [start + place for place in places(part)], self._egress.policy.canary
        spans = [Span(at[one], at[end - 1] + 1, "egress.canary", action) for one, end in hits]
        return spans, at[pending] if begun else len(held)

    def _safe(self, spans: list[Span], most: int) -> int:
        """How much of the held text may be decided about now."""
        limit = min(most, len(self._held) - HOLD)
        limit = _unbroken(self._held, limit)
        for span in reversed(spans):
            if span.start < limit < span.end and not span.exact:
                limit = span.start
        return max(jsontext.unsplit(self._held, limit) if self._plain else limit, 0)

    def _leave(self, spans: list[Span], limit: int) -> str:
        """The first ``limit`` characters without what was found in them."""
        held, out, at = self._held, [], 0
        due = [span for span in spans if span.start < limit]
        self.found.update(span.rule for span in due if span.action == "report" and span.start >= 0)
        for group in _groups([span for span in due if span.action != "report"]):
            start, end = max(group[0].start, 0), max(span.end for span in group)
            out += [held[at:start], self._mark(group, held, start, end)]
            at = end
            if any(span.action == "cut" for span in group):
                self._end()
                return "".join(out)
            if group[-1].rule == _UNBROKEN and end == len(held):
                self._in_run = True
        size = max(limit, at)
        self._dropping = max(self._dropping, size - len(held))
        out.append(held[at:size])
        self._left = (self._left + held[:size])[-LEFT:]
        if self._plain:
            self._plain.passed(held[:size])
        self._held, self._at = held[size:], self._at + min(size, len(held))
        return "".join(out)

    def _mark(self, group: list[Span], held: str, start: int, end: int) -> str:
        """What stands for a group; nothing where the mark before it stands for this too."""
        rule, place = group[0].rule, self._marked_at
        self._marked_at = (self._at + end, rule)
        if group[0].start < 0 or (start == 0 and place == (self._at, rule)):
            return ""
        self.found.update(span.rule for span in group if span.rule != _MEMORISED)
        self.found.update({span.rule for span in group} & {_MEMORISED})
        said = f"[redacted:{rule.removeprefix('egress.')}]"
        if not self._plain:
            return said
        odd = jsontext.quotes_odd(held[start:end])
        inside = self._plain.inside(held[:start])
        return f"{'' if inside else chr(34)}{said}{'' if inside ^ odd else chr(34)}"


class _Heard:
    """The words of one text, and the runs of them that are memorised; by place in the text."""

    def __init__(self, memorised: Memorised | None, action: Action) -> None:
        n = memorised.words if memorised else 1
        self._memorised = memorised
        self._action = action
        self._run = Run(n)
        self._starts: list[int] = []  # of the last n - 1 words
        self._read = 0
        self._hits: list[Span] = []

    def listen(self, held: str, at: int, last: bool) -> int:
        """Read on in the text held from ``at``; how much of it waits for no more words."""
        assert self._memorised is not None  # noqa: S101
        n = self._memorised.words
        start = max(0, self._read - at)
        words = words_of(held, start)
        begun = len(held)
        if words and not last and held.endswith(words[-1]):
            begun -= len(words.pop())
        if hits := self._memorised.hits(self._run.over(words)):
            spans = spans_of(held, start)
            starts = [*self._starts, *(at + each for each, _ in spans)]
            for hit in hits:
                first = starts[len(self._starts) + hit + 1 - n]
                self._hits.append(Span(first, at + spans[hit][1], _MEMORISED, self._action))
        if words:
            end, places = begun, []
            for word in reversed(words[1 - n :]):  # between it and the next there is no word
                end = held.rindex(word, start, end)
                places.append(at + end)
            self._read = places[0] + len(words[-1])
            self._starts = [*self._starts, *reversed(places)][1 - n :]
        return max(0, min(begun, self._starts[0] - at)) if self._starts else begun

    def spans(self, at: int) -> list[Span]:
        """The memorised runs that do not end before ``at``, counted from there."""
        self._hits = [hit for hit in self._hits if hit.end > at]
        return [hit._replace(start=max(hit.start - at, 0), end=hit.end - at) for hit in self._hits]


def _unbroken(held: str, limit: int) -> int:
    """``limit``, or where the unbroken string begins that it would cut in two."""
    if limit <= 0 or held[limit : limit + 1] not in _OF_RUN:
        return limit
    at = limit
    while at and held[at - 1] in _OF_RUN:
        at -= 1
    return at if limit - at <= MOST_RUN else limit


def _headless(held: str, start: int, end: int) -> bool:
    """Whether what lies there is the head of a private key whose end is not here."""
    return not _KEY_END.search(held, start, end + MOST_KEY)


def _groups(spans: list[Span]) -> Iterator[list[Span]]:
    """Spans that touch, together."""
    group: list[Span] = []
    end = 0
    for span in spans:
        if group and span.start > end:
            yield group
            group = []
        end = max(end, span.end) if group else span.end
        group.append(span)
    if group:
        yield group


__all__ = ["Action", "Channel", "Egress", "Kind", "Policy", "Span"]
