"""Counterfactuals: which fact, at which value, would make a rule that refused pass.

Found by asking Cedar again, so what is said here is what the rule does. The values tried are
those the rule itself speaks of, one step either side of its numbers, and the other facts it
compares with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product

import msgspec

from sealwright.policy import facts
from sealwright.policy.cedar import Rule
from sealwright.policy.factsheet import Value
from sealwright.policy.gates import Judgement, judge

_MOST_FACTS_CHANGED = 2
_KINDS = {row.name: row.kind for row in facts.ROWS}


class Counterfactual(msgspec.Struct, frozen=True):
    """A rule that refused: the facts it read, and the smallest change that makes it pass.

    ``change`` is empty where no change of one or two facts does.
    """

    rule: str
    reason: str
    mend: str
    read: Mapping[str, Value]
    change: Mapping[str, Value]


def counterfactuals(judgement: Judgement) -> tuple[Counterfactual, ...]:
    """One for each policy that refused, in the decision's order."""
    rules = judgement.active.engine.rules
    return tuple(
        _counterfactual(rules[rule], judgement)
        for rule in judgement.decision.failed
        if rule in rules
    )


def would_pass(judgement: Judgement, change: Mapping[str, Value]) -> bool:
    """Whether the gate would open with those facts changed."""
    values = facts.of({**judgement.drawn.facts.values, **change})
    drawn = msgspec.structs.replace(judgement.drawn, facts=values)
    gate = judgement.decision.gate
    return judge(
        gate,  # type: ignore[arg-type]
        judgement.subjects,
        judgement.context,
        judgement.active,
        drawn,
    ).allowed


def _counterfactual(rule: Rule, judgement: Judgement) -> Counterfactual:
    values = judgement.drawn.facts.values
    read = {name: values[name] for name in rule.reads if name in values}
    change = next(_passing(rule, judgement, read), {})
    return Counterfactual(rule.id, rule.reason, rule.mend, read, change)


def _passing(
    rule: Rule, judgement: Judgement, read: Mapping[str, Value]
) -> Iterator[Mapping[str, Value]]:
    for count in range(1, _MOST_FACTS_CHANGED + 1):
        for names in combinations(read, count):
            options = [list(_candidates(name, rule, read)) for name in names]
            for picked in product(*options):
                change = dict(zip(names, picked, strict=True))
                if not _fires(rule, judgement, change):
                    yield change


def _fires(rule: Rule, judgement: Judgement, change: Mapping[str, Value]) -> bool:
    values = facts.of({**judgement.drawn.facts.values, **change})
    verdict = judgement.active.engine.judge(
        judgement.decision.gate,
        judgement.context.principal.name,
        judgement.subjects[0].digest if judgement.subjects else "",
        values.jsonable(),
    )
    return bool(verdict.errors) or rule in verdict.decided


def _candidates(name: str, rule: Rule, read: Mapping[str, Value]) -> Iterator[Value]:
    """Values to try for one fact, nearest first."""
    kind, now = _KINDS[name], read[name]
    words = [literal for literal in rule.literals if isinstance(literal, str)]
    if kind == "Bool":
        yield not now
    elif kind == "String":
        yield from (word for word in words if word != now)
    elif kind == "Set<String>" and isinstance(now, tuple):
        yield tuple(item for item in now if item not in words)
        yield tuple({*now, *words})
        yield ()
    elif isinstance(now, int):
        numbers = {n for n in rule.literals if isinstance(n, int) and not isinstance(n, bool)}
        numbers |= {v for v in read.values() if isinstance(v, int) and not isinstance(v, bool)}
        near = {0} | {n + step for n in numbers for step in (-1, 0, 1)}
        fits = {n for n in near if 0 <= n <= facts.NEVER and n != now}
        yield from sorted(fits, key=lambda n: (abs(n - now), n))
