"""Decisions per CPU-second: a gate and its warnings over all facts, policies parsed once."""

from __future__ import annotations

import itertools
import json

import cedarpy

from sealwright.app.bench import Row, cpu_s, measure
from sealwright.policy import facts, policyset

TARGET_PER_S = 3000


def rows(quick: bool) -> list[Row]:
    """One row for each profile's shipped set; the yardstick parses the text at every call."""
    return [_row(profile, 300 if quick else 3000) for profile in facts.PROFILES]


def _row(profile: str, count: int) -> Row:
    shipped = policyset.shipped(profile)
    values = facts.of(facts.refusing()).jsonable()
    text = "\n".join(policy for name, policy in shipped.files if "/" not in name)
    request = {
        "principal": 'Principal::"ann"',
        "action": 'Action::"export"',
        "resource": 'Artifact::"x"',
        "context": json.dumps(values),
    }

    fresh = itertools.count()

    def ours() -> None:
        for _ in range(count):  # another artifact each time: an answer already given is cached
            shipped.engine.judge("export", "ann", f"x{next(fresh)}", values)

    def naive() -> None:
        for _ in range(count // 20):
            cedarpy.is_authorized(request, text, [], shipped.schema)

    return measure(
        f"decisions, {profile}, {len(shipped.engine.rules)} rules, each new",
        count / cpu_s(ours),
        "1/CPU-s",
        target=TARGET_PER_S,
        yardsticks={"cedarpy, text parsed each call": (count // 20) / cpu_s(naive)},
    )
