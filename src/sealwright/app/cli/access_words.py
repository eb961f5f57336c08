"""A grant as the commands show it."""

from __future__ import annotations

from typing import Any

from sealwright.core import clock
from sealwright.policy.grants import Grant


def grant_json(grant: Grant) -> dict[str, Any]:
    """The stable shape of a grant (docs/reference/json-access.md)."""
    return {
        "grant": grant.id,
        **grant.terms.jsonable(),
        "expires": clock.stamp(grant.expires),
        "approvers": list(grant.approvers),
        "ended": grant.ended,
        "used_bytes": grant.used_bytes,
        "uses": grant.uses,
        "last_used": grant.last_used,
        "reason": grant.reason,
        "time": grant.time,
    }


def grant_text(grant: Grant) -> str:
    """One line for people."""
    terms = grant.terms
    purpose = f" for {terms.purpose}" if terms.purpose else ""
    return (
        f"{terms.principal} may {terms.action} {terms.resource}{purpose}"
        f" until {clock.stamp(grant.expires)} ({grant.id[:16]})"
    )
