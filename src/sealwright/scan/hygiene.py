"""What hygiene detectors share: rules over one text at a time, counted by label.

A rule names something that text hardly ever holds by itself. Its carriers are a group when there
are more of them than nature's rate explains, or when they lean to one label more than chance
lets them; both at the detector's share of the error, over all rules and both tests. Fewer are a
fact. Source: docs/reference/detectors.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, lgamma, log
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.interface import Batch, Fact, Frame, Group, Preview, Result

TESTS = 2
FEWEST = 5
"""Fewer carriers than this lean to nothing."""
_SHOWN, _AROUND = 6, 40


class Rule(msgspec.Struct, frozen=True):
    """``look(text)`` is where in a text the rule applies, -1 for nowhere.

    ``natural`` bounds the share of records that carry it in ordinary data; 0 where there is no
    such bound and only the labels can tell.
    """

    key: str
    says: str
    natural: float
    look: Callable[[str], int]


class Marks:
    """Carriers of each rule, with their labels, and how many records have each label."""

    def __init__(self, frame: Frame, family: str, rules: Sequence[Rule]) -> None:
        self.frame, self.family, self.rules = frame, family, rules
        self.columns = [c.name for c in frame.columns if c.type in ("text", "category")]
        self.found: dict[str, dict[int, int]] = {rule.key: {} for rule in rules}
        self.lines: dict[str, dict[int, str]] = {rule.key: {} for rule in rules}
        self.totals: npt.NDArray[np.int64] = np.zeros(len(frame.labels) + 1, np.int64)

    def observe(self, number: int, batch: Batch) -> None:
        """Look at every text of the batch."""
        self.totals += np.bincount(batch.labels + 1, minlength=len(self.totals))
        for name in self.columns:
            for row, text in enumerate(batch.values.get(name, ())):
                if isinstance(text, str) and text:
                    self._look(text, int(batch.ids[row]), int(batch.labels[row]))

    def merge(self, other: Self) -> None:
        """Join carriers and add counts."""
        self.totals += other.totals
        for key, carriers in other.found.items():
            self.found[key] |= carriers
            joined = self.lines[key] | other.lines[key]
            self.lines[key] = dict(sorted(joined.items())[:_SHOWN])

    def settle(self, number: int) -> None:
        """Nothing is left to do after the one pass."""

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result had ``before``'s records been ``after``'s; this state stays as it is."""
        gone = set(before.ids.tolist())
        other = Marks(self.frame, self.family, self.rules)
        other.totals = self.totals - np.bincount(before.labels + 1, minlength=len(self.totals))
        for key in self.found:
            other.found[key] = {r: label for r, label in self.found[key].items() if r not in gone}
            other.lines[key] = {r: line for r, line in self.lines[key].items() if r not in gone}
        other.observe(0, after)
        return other.result()

    def result(self) -> Result:
        """A group for each rule that has carriers; its p-value says whether it stands."""
        groups, facts = [], []
        for rule in self.rules:
            carriers = self.found[rule.key]
            if not carriers:
                continue
            group = self._group(rule, carriers)
            groups.append(group)
            if group.p_value > self.frame.alpha:
                facts.append(
                    Fact(
                        f"{self.family}.{rule.key}",
                        "low",
                        f"{group.count:,} records hold {rule.says}",
                        {"records": group.count},
                    )
                )
        standing = tuple(each for each in groups if each.p_value <= self.frame.alpha)
        return Result(standing, facts=tuple(facts), tried=len(self.rules) * TESTS)

    def _look(self, text: str, record: int, label: int) -> None:
        for rule in self.rules:
            at = rule.look(text)
            if at < 0:
                continue
            self.found[rule.key][record] = label
            lines = self.lines[rule.key]
            if record not in lines and (len(lines) < _SHOWN or record < max(lines)):
                lines[record] = ascii(text[max(0, at - _AROUND) : at + _AROUND])[1:-1]
                self.lines[rule.key] = dict(sorted(lines.items())[:_SHOWN])

    def _group(self, rule: Rule, carriers: dict[int, int]) -> Group:
        count, rows = len(carriers), max(1, int(self.totals.sum()))
        label, seen, share = self._leaning(carriers)
        tries = len(self.rules) * TESTS
        rare = poisson_tail(count, rule.natural * rows) if rule.natural else 1.0
        lean = 1.0
        if label >= 0 and count >= FEWEST:
            lean = binomial_tail(seen, count, share) * len(self.frame.labels)
        return Group(
            family=self.family,
            pattern=rule.says,
            key=f"{self.family}:{rule.key}",
            carriers=np.array(sorted(carriers), np.int64),
            label=self.frame.labels[label] if label >= 0 else "",
            count=count,
            seen=seen,
            expected=share * count,
            statistic=float(count),
            p_value=min(1.0, min(rare, lean) * tries),
            preview=Preview(lines=tuple(self.lines[rule.key].values())),
        )

    def _leaning(self, carriers: dict[int, int]) -> tuple[int, int, float]:
        """The label that carriers lean to most: its code, how many have it, its share of all."""
        labels = np.array([label for label in carriers.values() if label >= 0], np.int64)
        known = self.totals[1:]
        if not len(labels) or not known.sum():
            return -1, len(carriers), 1.0
        counts = np.bincount(labels, minlength=len(known))
        shares = known / known.sum()
        best = int(np.argmax(counts / np.maximum(shares, 1e-12) * (counts > 0)))
        return best, int(counts[best]), float(shares[best])


def poisson_tail(count: int, mean: float) -> float:
    """P(X >= count) for a Poisson variable."""
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    below = sum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(count))
    # far out the sum rounds to one: the next term bounds what is left
    tail = exp(count * log(mean) - mean - lgamma(count + 1)) / (1 - min(0.999, mean / (count + 1)))
    return min(1.0, max(1 - below, 0.0) if below < 0.999 else tail)


def binomial_tail(seen: int, count: int, share: float) -> float:
    """P(X >= seen) of ``count`` draws."""
    if seen <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    return min(
        1.0,
        sum(
            exp(
                lgamma(count + 1) - lgamma(k + 1) - lgamma(count - k + 1)
                + k * log(share) + (count - k) * log(1 - share)
            )
            for k in range(seen, count + 1)
        ),
    )  # fmt: skip
