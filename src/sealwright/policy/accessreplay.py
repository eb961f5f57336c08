"""Judging a recorded access decision again, from the ledger alone.

What statements say is drawn anew from the entries the decision saw; what it was given (time,
purpose, size) is read from the statement; the rules are those its activation carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sealwright.core import clock
from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.predicates import (
    ACCESS,
    GRANT_END,
    MEMBER,
    POLICY_ACTIVATION,
    READ,
    READ_SETTLED,
    TEAM,
)
from sealwright.core.records import Principal, Recorded
from sealwright.evidence.history import History
from sealwright.evidence.trust import Trust
from sealwright.policy import access, accessfacts, cedar
from sealwright.policy.access import Judgement
from sealwright.policy.accessdraw import Ask, Ledger
from sealwright.policy.principals import Account
from sealwright.policy.replay import policy_of, until

_DECIDES = (MEMBER, TEAM, GRANT_END, POLICY_ACTIVATION, READ, READ_SETTLED)


def replay(entry: Recorded, history: History, trust: Trust | None) -> Judgement:
    """Judge again what a READ or ACCESS statement says; returns the equal judgement.

    Raises: VerifyError, rule ``access.*`` (it does not follow from the log), Unavailable
    (other facts, or rules that were never activated).
    """
    where = f"entry {entry.index}"
    predicate: Mapping[str, Any] = entry.statement.predicate
    if entry.statement.predicate_type not in (ACCESS, READ):
        raise BadInput(f"log {where} is no access decision", hint="seal access log")
    if predicate.get("facts_version") != accessfacts.VERSION:
        raise Unavailable(
            f"{where} was decided over {predicate.get('facts_version')}",
            why=f"this version of Sealwright draws {accessfacts.VERSION}",
        )
    before = until(history, _size(entry, history))
    try:
        ask = _ask(entry, trust)
        active = policy_of(predicate, before)
        judgement = access.decide(ask, Ledger(before, trust), active)
    except (KeyError, TypeError, ValueError, BadInput, msgspec.ValidationError) as error:
        raise _not(where, "access.malformed", str(error)) from error
    decision = judgement.decision
    said: dict[str, Any] = {
        "allowed": decision.allowed,
        "failed": list(decision.failed),
        "reasons": list(decision.reasons),
        "alone": judgement.facts is None,
        "facts": judgement.facts.jsonable() if judgement.facts else {},
        "grants": [grant.id for grant in judgement.grants],
        "purpose": judgement.purpose,
        "id": decision.id,
    }
    recorded = {name: predicate.get(name) for name in said}
    if predicate.get("engine") != cedar.engine_version():
        said.pop("id")
        recorded.pop("id")
    if odd := sorted(name for name, value in said.items() if recorded[name] != value):
        raise _not(where, "access.decision", f"the log gives other {', '.join(odd)}")
    read = entry.statement.predicate_type == READ
    if read is not (decision.allowed and ask.action in accessfacts.READS):
        raise _not(where, "access.decision", "a read stands there as something else")
    return judgement


def _ask(entry: Recorded, trust: Trust | None) -> Ask:
    predicate: Mapping[str, Any] = entry.statement.predicate
    given = predicate["given"]
    who = msgspec.convert(given["principal"], Account)
    principal = msgspec.convert(
        {
            "name": who.name,
            "key_id": who.key_id,
            "uid": who.uid,
            "kind": given["kind"],
            "established": given["established"],
        },
        Principal,
    )
    return Ask(
        action=str(predicate["action"]),
        subjects=entry.statement.subjects,
        principal=principal,
        host=who.host,
        now=clock.parse(given["time"]),
        profile=str(given["profile"]),
        trust=trust,
        purpose=str(given["purpose"]),
        size_bytes=int(given["size_bytes"]),
        run=str(given["run"]),
        reason=str(given["reason"]),
        params=dict(given["params"]),
        over=msgspec.convert(given["over"], tuple[str, ...]),
    )


def _size(entry: Recorded, history: History) -> int:
    """How much of the log the decision saw; nothing that decides may lie between."""
    where, size = f"entry {entry.index}", entry.statement.predicate.get("log_size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= entry.index:
        raise _not(where, "access.malformed", "it does not say how much of the log it saw")
    for unseen in history.entries[size : entry.index]:
        if unseen.statement.predicate_type in _DECIDES:
            why = f"entry {unseen.index} came before it and was not looked at"
            raise _not(where, "access.stale", why)
    return size


def _not(where: str, rule: str, why: str) -> VerifyError:
    return VerifyError(
        "an access decision does not follow from the log", where=where, why=why, rule=rule
    )
