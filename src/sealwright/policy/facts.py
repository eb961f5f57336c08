"""facts/v1: the integers, booleans, strings and sets that a policy may judge.

One row of :data:`ROWS` per fact; ``docs/spec/facts-v1.md`` has the same rows, and the Cedar
schema is made from them. Arithmetic happens before a fact exists and is rounded towards
refusal; there is no float, no null and no optional fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sealwright.core.errors import BadInput
from sealwright.core.records import Json
from sealwright.policy.factrows import ROWS as ROWS
from sealwright.policy.factrows import Row as Row
from sealwright.policy.factsheet import NEVER as NEVER
from sealwright.policy.factsheet import FactSheet, Value, checked

VERSION = "facts/v1"
GATES = ("train", "register", "promote", "export", "serve")
PROFILES = ("solo", "team", "regulated")
"""Laxest first; the fact ``profile`` is the index."""

SEPARATIONS = ("none", "same-uid", "same-host", "remote")
"""How far away the witness is; the fact ``witness`` is the index."""

CUSTODIES = ("unknown", "key-file", "passphrase", "external")
"""How the root key is kept; the fact ``key_custody`` is the index."""

Gate = Literal["train", "register", "promote", "export", "serve"]


NAMES = tuple(row.name for row in ROWS)
_KINDS = {row.name: row.kind for row in ROWS}


class Facts(FactSheet, frozen=True):
    """Every fact of :data:`ROWS`, each of its type."""

    version: str = VERSION


def of(values: Mapping[str, object]) -> Facts:
    """Check and freeze: a missing, extra, null, float or out-of-range fact is refused.

    Raises: BadInput naming the fact. A caller that cannot say denies.
    """
    if odd := sorted(set(values) ^ set(NAMES)):
        raise BadInput(f"not the facts of {VERSION}", why=f"missing or unknown: {', '.join(odd)}")
    return Facts({name: checked(name, _KINDS[name], values[name]) for name in NAMES})


def from_json(values: Mapping[str, Json]) -> Facts:
    """Facts as a statement keeps them. Raises: BadInput."""
    return of({k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def refusing() -> dict[str, Value]:
    """Every fact at the value it has when nothing is known: no shipped policy allows this."""
    return {row.name: row.unknown for row in ROWS}


def schema() -> str:
    """The Cedar schema of facts/v1, as ``policies/facts-v1.cedarschema`` holds it."""
    lines = [
        f"// {VERSION}: written by Sealwright; docs/spec/facts-v1.md says what each fact means.",
        '// A rule that forbids Action::"train" blocks; one that forbids Action::"warn:train"',
        "// only warns.",
        "entity Principal;",
        "entity Artifact;",
        "",
        "type Facts = {",
        *(f"  {row.name}: {row.kind}," for row in ROWS),
        "};",
        "",
        'action "gate";',
        'action "warn";',
    ]
    for group, prefix in (("gate", ""), ("warn", "warn:")):
        names = ", ".join(f'"{prefix}{gate}"' for gate in GATES)
        lines += [
            f'action {names} in [Action::"{group}"] appliesTo {{',
            "  principal: Principal, resource: Artifact, context: Facts",
            "};",
        ]
    return "\n".join(lines) + "\n"
