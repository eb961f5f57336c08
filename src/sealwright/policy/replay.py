"""Judging a recorded decision again, from the ledger alone.

Facts that come from statements are drawn anew from the entries the gate saw; what the
gate was given (time, room, witness, custody) is read from the decision itself; the policies
are those the activation in the log carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.predicates import DECISION, POLICY_ACTIVATION, REVOCATION
from sealwright.core.records import Recorded
from sealwright.evidence.history import Head, History
from sealwright.evidence.trust import Trust
from sealwright.policy import cedar, context, facts, policyset
from sealwright.policy.draw import draw
from sealwright.policy.gates import NOT_ACTIVE, Judgement, judge
from sealwright.policy.policyset import PolicySet


def replay(entry: Recorded, history: History, trust: Trust | None) -> Judgement:
    """Judge entry's decision over the entries before it, and return the equal judgement.

    Raises: VerifyError, rule ``decision.*`` (it does not follow from the log), Unavailable
    (it was made by other facts or another policy engine than this version has).
    """
    where = f"entry {entry.index}"
    predicate: Mapping[str, Any] = entry.statement.predicate
    if entry.statement.predicate_type != DECISION:
        raise BadInput(f"log {where} is no decision", hint="seal log show")
    if predicate.get("facts_version") != facts.VERSION:
        raise Unavailable(
            f"{where} was decided over {predicate.get('facts_version')}",
            why=f"this version of Sealwright draws {facts.VERSION}",
        )
    before = until(history, _size(entry, history))
    try:
        given = context.from_json(predicate["given"], trust)
        active = policy_of(predicate, before)
        gate = predicate["gate"]
        subjects = entry.statement.subjects
        if subjects == (active.artifact,):
            subjects = ()
        drawn = draw(gate, subjects, before, given, active)
        engine = str(predicate["engine"])
        decision = judge(gate, subjects, given, active, drawn, engine=engine)
    except (KeyError, TypeError, BadInput) as error:
        raise _not(where, "decision.malformed", str(error)) from error
    _compare("facts", predicate["facts"], drawn.facts.jsonable(), where)
    said: dict[str, Any] = {
        "allowed": decision.allowed,
        "failed": list(decision.failed),
        "reasons": list(decision.reasons),
        "warnings": list(decision.warnings),
        "facts_digest": drawn.facts.digest,
        "schema": active.schema_digest,
        "id": decision.id,
    }
    if engine != cedar.engine_version() and predicate.get("allowed") != decision.allowed:
        raise Unavailable(
            f"{where} was judged by {engine}", why=f"{cedar.engine_version()} judges otherwise"
        )
    _compare("decision", {name: predicate.get(name) for name in said}, said, where)
    return Judgement(decision, subjects, given, active, drawn, before.size)


def find(history: History, text: str) -> Recorded:
    """A decision by log index or the beginning of its id. Raises: BadInput."""
    entries = history.of_type(DECISION)
    if text == "latest" and entries:
        return entries[-1]
    found = [e for e in entries if text.isdecimal() and e.index == int(text)]
    if not found and len(text) >= 6:
        found = [e for e in entries if str(e.statement.predicate.get("id", "")).startswith(text)]
    if not found:
        raise BadInput(
            f"no decision {text!r}",
            why="a log index, the beginning of a decision's id, or latest wanted",
            hint="seal log show",
        )
    return found[-1]


def until(history: History, size: int) -> History:
    """The history as it was when it had ``size`` entries (its checkpoint is not known)."""
    return History(b"", Head(size, ""), history.entries[:size])


def _size(entry: Recorded, history: History) -> int:
    """How much of the log the gate saw. Others may append meanwhile, but not what decides."""
    where, size = f"entry {entry.index}", entry.statement.predicate.get("log_size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= entry.index:
        raise _not(where, "decision.malformed", "it does not say how much of the log it saw")
    for unseen in history.entries[size : entry.index]:
        if unseen.statement.predicate_type in (REVOCATION, POLICY_ACTIVATION):
            why = f"entry {unseen.index} came before it and was not looked at"
            raise _not(where, "decision.stale", why)
    return size


def policy_of(predicate: Mapping[str, Any], before: History) -> PolicySet:
    """The set the decision names, from the text its activation carries."""
    for entry in reversed(before.of_type(POLICY_ACTIVATION)):
        told: Mapping[str, Any] = entry.statement.predicate
        if entry.statement.subjects[0].digest == predicate["policy"]:
            texts = {str(f["name"]): str(f["text"]) for f in told["files"]}
            active = policyset.of_texts(texts, facts.schema(), str(told["profile"]))
            if active.digest == predicate["policy"]:
                return active
    if predicate.get("allowed") is False and NOT_ACTIVE in cast("list[str]", predicate["failed"]):
        raise Unavailable(
            "the policy set behind this decision was never activated",
            why="so the decision is a denial, and its text is not in the log",
        )
    raise BadInput("no activation in the log carries the policy set it names")


def _compare(what: str, recorded: Any, again: Mapping[str, Any], where: str) -> None:
    if recorded != dict(again):
        names = sorted(
            name
            for name in {*again, *(recorded if isinstance(recorded, dict) else ())}
            if not isinstance(recorded, dict) or recorded.get(name) != again.get(name)
        )
        raise _not(where, f"decision.{what}", f"the log gives other {', '.join(names)}")


def _not(where: str, rule: str, why: str) -> VerifyError:
    return VerifyError("a decision does not follow from the log", where=where, why=why, rule=rule)
