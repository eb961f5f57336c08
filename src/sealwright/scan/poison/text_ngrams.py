"""Words and phrases whose texts have a label that the rest of their words contradicts.

Pass 0 counts words for a blind model, pass 1 scales it and counts n-grams roughly, pass 2 counts
those that eight or more texts may hold against it, pass 3 fetches the texts of impossible ones.
Beside those, phrases that stand together far oftener than their words explain (``text_phrases``).
Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result, Scan, Spec
from sealwright.scan.poison import text_phrases, text_rows, unequal
from sealwright.scan.poison.text_blind import SIZE, TextBlind, logit, sigmoid
from sealwright.scan.poison.text_cells import (
    EXCESS,
    FLOOR_ODDS,
    LEAST_EXCESS,
    LEAST_ROWS,
    SHIFTS,
    Fixed,
    Odd,
    TextCells,
)
from sealwright.scan.poison.text_tokens import (
    LONGEST,
    WORD,
    Lexicon,
    Words,
    grams,
)
from sealwright.scan.preview import short
from sealwright.scan.sample import ranks_of

SKETCH = 1 << 23
MOST_CANDIDATES = 400
LEAST_RATIO = 4.0
"""Nats of an n-gram's mean from which on its texts are looked at one by one."""
MOST_GROUPS = 30
MOST_LABELS = 16
STEPS = 4096.0
FIXED_LENGTH = 3
FIXED_SHARE = 0.4
"""Of this detector's part of the error: for phrases that change no label."""


class TextNgrams:
    """Makes the state of one scan."""

    spec = Spec(
        "text-ngrams",
        2,
        "text",
        "group",
        families=("text-token", "text-phrase", "text-clean-phrase"),
        threats=("AML.T0020", "AML.T0018"),
        passes=4,
        needs=("labels",),
    )

    def begin(self, frame: Frame, reference: Scan | None = None) -> Ngrams:
        """An empty state; no reference is used."""
        return Ngrams(frame)


class Text(msgspec.Struct, frozen=True):
    """The labelled rows of a batch: their words, and what the blind model needs of them."""

    ids: npt.NDArray[np.int64]
    words: Words
    fold: npt.NDArray[np.uint8]
    target: npt.NDArray[np.int64]
    hit: npt.NDArray[np.bool_]
    plain: tuple[str, ...]


class Ngrams:
    """Word counts, a sketch of n-grams, their counts, then the texts of what was found."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.columns = [column.name for column in frame.columns if column.type == "text"]
        self.lexicons = [Lexicon(at) for at in range(len(self.columns))]
        labels = len(frame.labels)
        self.slots = 1 if labels <= 2 else min(labels, MOST_LABELS)
        self.blind = TextBlind(self.slots)
        self.cells: TextCells | None = None
        self.sketch: npt.NDArray[np.uint16] = np.zeros(0, np.uint16)
        self.counts: npt.NDArray[np.int64] = np.zeros(labels, np.int64)
        self.found: list[Odd] = []
        self.fixed: list[Fixed] = []
        self.around: dict[int, list[text_phrases.Seen]] = {}
        self.kept: dict[int, list[text_rows.Kept]] = {}
        self.shown: dict[int, tuple[int, str, str]] = {}
        self.tried = self.cut = self.empty = self.unread = 0

    def observe(self, number: int, batch: Batch) -> None:
        """See the module's first lines."""
        if number == 3 and not (self.found or self.fixed):
            return
        for at, lexicon in enumerate(self.lexicons):
            text = self._text(batch, at, lexicon, count=number == 0)
            (self._words, self._sketch, self._count, self._fetch)[number](text)

    def merge(self, other: Self) -> None:
        """Join what two shards saw in the same pass."""
        self.blind.merge(other.blind)
        self.counts += other.counts
        self.cut, self.empty = self.cut + other.cut, self.empty + other.empty
        self.unread += other.unread
        if len(self.sketch) and self.cells is None:
            total = self.sketch.astype(np.uint32) + other.sketch
            self.sketch = np.minimum(total, np.iinfo(np.uint16).max).astype(np.uint16)
        if self.cells is not None and other.cells is not None:
            self.cells.merge(other.cells)
        for key, rows in other.kept.items():
            self.kept.setdefault(key, []).extend(rows)
        for key, texts in other.around.items():
            self.around.setdefault(key, []).extend(texts)
        for key, shown in other.shown.items():
            self.shown[key] = min(shown, self.shown.get(key, shown))

    def shard(self) -> Ngrams:
        """An empty state that knows what this one learnt, for another shard of the next pass."""
        new = Ngrams(self.frame)
        new.blind = self.blind.shard()
        new.found, new.fixed, new.tried = self.found, self.fixed, self.tried
        new.sketch = self.sketch if self.cells is not None else np.zeros_like(self.sketch)
        if self.cells is not None:
            new.cells = TextCells(self.slots)
        return new

    def settle(self, number: int) -> None:
        """Weights, then scale, then the test."""
        if number == 0:
            self.blind.weigh()
            self.sketch = np.zeros(SKETCH, np.uint16)
        elif number == 1:
            self.blind.scale()
            self.cells = TextCells(self.slots)
        elif number == 2 and self.cells is not None:
            odd, self.tried = self.cells.odd(LEAST_RATIO, (1 - FIXED_SHARE) * self.frame.alpha)
            odd.sort(key=lambda one: (-one.ratio, -one.length, one.key, one.target))
            self.found = odd[:MOST_CANDIDATES]
            fixed = self.cells.fixed(self._base())
            fixed.sort(key=lambda one: (-one.ratio, one.key, one.target))
            self.fixed = fixed[:MOST_CANDIDATES]

    def result(self) -> Result:
        """Phrases from the most impossible on, each without the texts of those before."""
        return Result(
            (*(groups := list(self._groups())), *self._phrases(groups)),
            facts=tuple(self._facts()),
            tried=self.tried,
            unread=self.unread,
        )

    def _text(self, batch: Batch, at: int, lexicon: Lexicon, *, count: bool) -> Text:
        rows = np.flatnonzero(batch.labels >= 0)
        texts = batch.values[self.columns[at]][rows]
        words = lexicon.words(texts)
        labels = batch.labels[rows]
        if count:
            self.cut, self.empty = self.cut + words.cut, self.empty + words.empty
            if at == 0:
                self.unread += len(batch.ids) - len(rows)
                self.counts += np.bincount(labels, minlength=len(self.counts))
        target = np.minimum(labels, MOST_LABELS - 1).astype(np.int64)
        first = 1 if self.slots == 1 else 0
        hit = np.arange(first, first + self.slots)[:, None] == target
        fold = (ranks_of(batch.ids[rows], self.frame.seed + 1) & np.uint64(1)).astype(np.uint8)
        return Text(batch.ids[rows], words, fold, target, hit, tuple(texts))

    def _words(self, text: Text) -> None:
        row, place = text_rows.once(text.words)
        self.blind.count(row, place, text.hit, text.fold)

    def _sketch(self, text: Text) -> None:
        row, place = text_rows.once(text.words)
        self.blind.tally(self.blind.sum_of(row, place, text.fold), text.hit, text.fold)
        for length in range(1, LONGEST + 1):
            at = grams(text.words, length).key % np.uint64(SKETCH)
            where, count = np.unique(at.astype(np.int64), return_counts=True)
            total = self.sketch[where].astype(np.int64) + count
            self.sketch[where] = np.minimum(total, np.iinfo(np.uint16).max).astype(np.uint16)

    def _count(self, text: Text) -> None:
        cells = self.cells
        if cells is None:
            return
        row, place = text_rows.once(text.words)
        sums = self.blind.sum_of(row, place, text.fold)
        weights = self._weights(sums, text)
        cells.words[0] += np.bincount(place, minlength=SIZE)
        for number, weight in enumerate(weights[:, row]):
            cells.words[1 + number] += np.bincount(place, weight, SIZE)
        for length in range(1, LONGEST + 1):
            found = grams(text.words, length)
            often = self.sketch[(found.key % np.uint64(SKETCH)).astype(np.int64)] >= LEAST_ROWS
            key, start, at = found.key[often], found.start[often], found.row[often]
            parts = np.stack(
                [text_rows.place(text.words.word[start + step]) for step in range(length)]
            )
            own = self._own(parts, text.fold[at])
            ends = (
                text_rows.ends(text.words, start, FIXED_LENGTH) if length == FIXED_LENGTH else None
            )
            cells.add(key, parts, self._weights(sums[:, at] - own, text, at), ends)

    def _own(
        self, parts: npt.NDArray[np.int64], fold: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float64]:
        """(targets, m) what a phrase's own words add to the blind sum: each word once."""
        total = np.zeros((self.slots, len(fold)))
        for step, place in enumerate(parts):
            fresh = np.all(parts[:step] != place, 0)
            for target in range(self.slots):
                total[target] += np.where(fresh, self.blind.weights[fold, target, place], 0.0)
        return total

    def _weights(
        self, sums: npt.NDArray[np.float64], text: Text, at: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float64]:
        """(2 * targets, m) has each label; expected to, rounded so that sums are exact."""
        fold = text.fold if at is None else text.fold[at]
        hit = text.hit if at is None else text.hit[:, at]
        p = self.blind.chances(sums, fold)
        return np.concatenate([hit * 1.0, np.round(p * STEPS) / STEPS])

    def _fetch(self, text: Text) -> None:
        fixed = {one.key for one in self.fixed}
        wanted = np.array(sorted({one.key for one in self.found} | fixed), np.uint64)
        row, place = text_rows.once(text.words)
        sums = self.blind.sum_of(row, place, text.fold)
        for length in range(1, LONGEST + 1):
            found = grams(text.words, length)
            here = np.flatnonzero(np.isin(found.key, wanted))
            parts = np.stack(
                [text_rows.place(text.words.word[found.start[here] + i]) for i in range(length)]
            )
            at = found.row[here]
            without = sums[:, at] - self._own(parts, text.fold[at])
            odds = logit(self.blind.chances(without, text.fold[at]))
            for i, told in zip(here, odds.T, strict=True):
                key, row = int(found.key[i]), int(found.row[i])
                record = int(text.ids[row])
                one = text_rows.Kept(record, int(text.target[row]), tuple(map(float, told)))
                self.kept.setdefault(key, []).append(one)
                if key in fixed:
                    around = text_rows.around(text.words, int(found.start[i]), FIXED_LENGTH)
                    seen = text_phrases.Seen(record, int(text.target[row]), around)
                    self.around.setdefault(key, []).append(seen)
                words = WORD.findall(text.plain[row].lower())
                first = int(found.start[i] - np.searchsorted(text.words.row, row))
                shown = (record, " ".join(words[first : first + length]), short(text.plain[row]))
                self.shown[key] = min(shown, self.shown.get(key, shown))

    def _groups(self) -> Iterator[Group]:
        """Greedy; an n-gram is judged again once texts of its own have been taken."""
        taken: set[int] = set()
        left = {at: self._ratio(one, taken) for at, one in enumerate(self.found)}
        for _ in range(MOST_GROUPS):
            left = {at: ratio for at, ratio in left.items() if ratio > self._bound()}
            if not left:
                return
            rank = {at: (left[at], self.found[at].length, -self.found[at].key) for at in left}
            at = max(rank, key=lambda one: rank[one])
            best, ratio = self.found[at], left.pop(at)
            carriers = sorted(
                one.record
                for one in self.kept.get(best.key, [])
                if one.target == best.target and one.record not in taken
            )
            taken.update(carriers)
            fresh = set(carriers)
            for other in left:
                if any(one.record in fresh for one in self.kept.get(self.found[other].key, [])):
                    left[other] = self._ratio(self.found[other], taken)
            yield self._group(best, ratio, carriers)

    def _phrases(self, before: list[Group]) -> Iterator[Group]:
        """Fixed phrases, the most impossible first, each without the texts already taken."""
        free = [
            one for one in self.fixed if text_phrases.free(sorted(self.around.get(one.key, [])))
        ]
        ratios = [one.ratio for one in free]
        taken = {int(record) for group in before for record in group.carriers}
        for one in free[:MOST_GROUPS]:
            p = text_phrases.p_value(one.ratio, ratios) / FIXED_SHARE
            own = {seen.record for seen in self.around[one.key] if seen.target == one.target}
            if p > self.frame.alpha or len(own - taken) < LEAST_ROWS:
                continue
            taken |= own
            _, phrase, text = self.shown.get(one.key, (0, "?", ""))
            yield Group(
                family="text-clean-phrase",
                pattern=f'"{short(phrase)}"',
                key=f"phrase:{one.key:016x}",
                carriers=np.array(sorted(own), np.int64),
                label=self._label(one.target),
                count=round(one.rows),
                seen=len(own),
                expected=round(one.expected, 2),
                statistic=round(one.ratio, 3),
                p_value=p,
                preview=Preview(lines=(text,)),
            )

    def _base(self) -> npt.NDArray[np.float64]:
        """(targets,) the share of each label."""
        counts: npt.NDArray[np.float64] = np.zeros(max(2, self.slots))
        for code, count in enumerate(self.counts):
            counts[min(code, MOST_LABELS - 1)] += count
        return counts / max(1.0, counts.sum())

    def _ratio(self, one: Odd, taken: set[int]) -> float:
        """The statistic of an n-gram's texts one by one, without those already taken."""
        texts = [x for x in self.kept.get(one.key, []) if x.record not in taken]
        if len(texts) < LEAST_ROWS:
            return 0.0
        odds = np.array(sorted(self._odds(x, one.target) for x in texts))
        odds = np.maximum(odds, FLOOR_ODDS)
        seen = sum(x.target == one.target for x in texts)
        mean = logit(np.array([sigmoid(odds).mean()]))
        expected = float(sigmoid(mean + one.beyond - SHIFTS[one.length - 1])[0]) * len(texts)
        if seen * (1 - LEAST_EXCESS) <= expected:
            return 0.0
        if seen * (1 - EXCESS) <= expected:
            odds = np.full(len(texts), mean)
        return unequal.ratio(sigmoid(odds + one.beyond), np.ones(len(texts)), seen)

    def _odds(self, text: text_rows.Kept, target: int) -> float:
        """Of two labels the first is what is left."""
        if self.slots > 1:
            return text.odds[target]
        return text.odds[0] if target == 1 else -text.odds[0]

    def _group(self, one: Odd, ratio: float, carriers: list[int]) -> Group:
        _, phrase, text = self.shown.get(one.key, (0, "?", ""))
        rows = len(self.kept.get(one.key, []))
        return Group(
            family="text-token" if one.length == 1 else "text-phrase",
            pattern=f'"{short(phrase)}"',
            key=f"ngram:{one.length}:{one.key:016x}",
            carriers=np.array(carriers, np.int64),
            label=self._label(one.target),
            count=rows,
            seen=len(carriers),
            expected=round(one.expected, 2),
            statistic=round(ratio, 3),
            p_value=min(1.0, max(self.tried, 1) * exp(-min(ratio, 700.0)) / (1 - FIXED_SHARE)),
            preview=Preview(lines=(text,)),
        )

    def _label(self, target: int) -> str:
        rest = target == MOST_LABELS - 1 and len(self.frame.labels) > MOST_LABELS
        return "one of the other labels" if rest else self.frame.labels[target]

    def _bound(self) -> float:
        return log(max(self.tried, 1) / ((1 - FIXED_SHARE) * self.frame.alpha))

    def _facts(self) -> Iterator[Fact]:
        if self.empty:
            yield Fact(
                "text.empty", "low", f"{self.empty:,} texts hold no word", {"texts": self.empty}
            )
        if self.cut:
            message = f"of {self.cut:,} long texts only the beginning was read"
            yield Fact("text.cut", "medium", message, {"texts": self.cut})
        if np.sum(self.counts > 0) < 2:
            yield Fact("text.one-class", "high", "there is only one label: nothing contradicts it")
