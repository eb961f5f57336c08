"""access/v1: the facts that the rules of access judge. Rows: ``docs/spec/access-v1.md``.

Like facts/v1: no float, no null, no optional fact, and rounded towards refusal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from sealwright.core.errors import BadInput
from sealwright.policy.cedar import Words
from sealwright.policy.factsheet import NEVER, FactSheet, Kind, Value, checked

VERSION = "access/v1"

ACTIONS = (
    "inspect",
    "view",
    "modify",
    "train",
    "export",
    "promote",
    "deploy",
    "administer",
    "destroy",
    "egress",
)
READS = ("inspect", "view", "train", "export", "deploy")
"""Actions that open bytes; allowed, they are READ statements."""

PURPOSEFUL = ("view", "train", "export", "deploy")
TWO_PEOPLE = ("destroy", "egress")
"""Actions that people approve one by one, under a request for exactly that."""


class Row(msgspec.Struct, frozen=True):
    """One fact: its Cedar type, what it says, and what it is when unknown."""

    name: str
    kind: Kind
    meaning: str
    unknown: Value


ROWS: tuple[Row, ...] = (
    Row("approvals", "Long", "people who approved exactly this request, not the asker", 0),
    Row("budgets_passed", "Set<String>", "limits of `[watch]` that this would pass", ("unknown",)),
    Row("clock_back", "Bool", "this machine's clock is behind the newest entry of the log", True),
    Row("established", "String", "how we know who asks: `self-asserted`, `key`, `oidc`", "unknown"),
    Row("frozen", "Bool", "an artifact is frozen by a containment", True),
    Row("grant_approvals", "Long", "fewest approvals behind one of the grants used", 0),
    Row("grant_bytes_left", "Long", "smallest byte budget left before this use", 0),
    Row(
        "grant_state",
        "String",
        "`live` where grants cover every artifact; else what is wrong with the nearest:"
        " `none`, `spent`, `expired`, `not-yet`, `revoked`, `wrong-purpose`, `wrong-resource`",
        "none",
    ),
    Row("grants", "Long", "grants this would use", 0),
    Row("key_known", "Bool", "the trust root lists the key as theirs", False),
    Row("members", "Long", "members of the workspace", NEVER),
    Row("policy_active", "Bool", "this policy set is the one last activated", False),
    Row("profile", "Long", "0 solo, 1 team, 2 regulated", 2),
    Row("profile_matches", "Bool", "seal.toml names the profile of the policy set", False),
    Row("purpose", "String", "what for; from the grant where nothing was said", ""),
    Row("purpose_fits", "Bool", "the artifacts and all they come from allow this purpose", False),
    Row("purpose_given", "Bool", "there is a purpose", False),
    Row("quarantined", "Bool", "who asks is quarantined by a containment", True),
    Row("reason_given", "Bool", "the request says why", False),
    Row("reviews_overdue", "Long", "roles that nobody certified for 90 days", NEVER),
    Row("roles", "Set<String>", "the asker's roles; none for a stranger", ()),
    Row("size_bytes", "Long", "bytes this would open", NEVER),
    Row("subjects", "Long", "artifacts it is about", 0),
    Row("teams", "Set<String>", "the teams the asker is in, as `team:NAME`", ()),
)
_KINDS = {row.name: row.kind for row in ROWS}


class AccessFacts(FactSheet, frozen=True):
    """Every fact of :data:`ROWS`, each of its type."""

    version: str = VERSION


def of(values: Mapping[str, object]) -> AccessFacts:
    """Check and freeze. Raises: BadInput naming a missing, extra or ill-typed fact."""
    if odd := sorted(set(values) ^ set(_KINDS)):
        raise BadInput(f"not the facts of {VERSION}", why=f"missing or unknown: {', '.join(odd)}")
    return AccessFacts({name: checked(name, kind, values[name]) for name, kind in _KINDS.items()})


def refusing() -> dict[str, Value]:
    """Every fact at the value it has when nothing is known."""
    return {row.name: row.unknown for row in ROWS}


def words() -> Words:
    """What the schema must speak of."""
    return Words("purpose", "access", ACTIONS, json.dumps(of(refusing()).jsonable()))


def schema() -> str:
    """The Cedar schema, as ``policies/access/access-v1.cedarschema`` holds it."""
    lines = [
        f"// {VERSION}: written by Sealwright; docs/spec/access-v1.md says what each fact means.",
        "entity Principal;",
        "entity Artifact;",
        "",
        "type Facts = {",
        *(f"  {row.name}: {row.kind}," for row in ROWS),
        "};",
        "",
        'action "access";',
        'action "warn";',
    ]
    for group, prefix in (("access", ""), ("warn", "warn:")):
        names = ", ".join(f'"{prefix}{action}"' for action in ACTIONS)
        lines += [
            f'action {names} in [Action::"{group}"] appliesTo {{',
            "  principal: Principal, resource: Artifact, context: Facts",
            "};",
        ]
    return "\n".join(lines) + "\n"
