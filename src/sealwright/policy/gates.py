"""The gates: facts in, a decision out, and the statement that keeps it.

``decide`` is pure and never raises on what the log says: what cannot be judged is denied.
``enforce`` turns a denial into ``GateDenied``; ``policy.replay`` judges a decision again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, GateDenied
from sealwright.core.predicates import DECISION
from sealwright.core.records import Artifact, Decision, Json, Statement
from sealwright.evidence import jcs
from sealwright.evidence.history import History
from sealwright.policy import cedar, facts
from sealwright.policy.cedar import Verdict
from sealwright.policy.context import Context
from sealwright.policy.draw import Drawn, draw
from sealwright.policy.facts import Facts, Gate
from sealwright.policy.policyset import PolicySet

NOT_ACTIVE = "policy.not-active"
EMPTY = "policy.empty"
ERROR = "policy.error"
NOTHING_PERMITS = "policy.nothing-permits"
_ACTIVATE = "seal policy activate --reason '...'"


class Judgement(msgspec.Struct, frozen=True):
    """A decision with everything it was made from; ``log_size`` entries were looked at."""

    decision: Decision
    subjects: tuple[Artifact, ...]
    context: Context
    active: PolicySet
    drawn: Drawn
    log_size: int


def decide(
    gate: Gate,
    subjects: Sequence[Artifact],
    history: History,
    context: Context,
    active: PolicySet,
) -> Judgement:
    """Judge ``subjects`` at ``gate`` by the statements of ``history``. Raises: BadInput (gate)."""
    if gate not in facts.GATES:
        raise BadInput(f"there is no gate {gate!r}", why=f"known: {', '.join(facts.GATES)}")
    try:
        drawn, fault = draw(gate, subjects, history, context, active), ""
    except BadInput as error:
        drawn = Drawn(facts.of(facts.refusing()), None, (), None, ())
        fault = f"{error.what} ({error.why})"
    decision = judge(gate, subjects, context, active, drawn, fault)
    return Judgement(decision, tuple(subjects), context, active, drawn, history.size)


def judge(
    gate: Gate,
    subjects: Sequence[Artifact],
    context: Context,
    active: PolicySet,
    drawn: Drawn,
    fault: str = "",
    engine: str = "",
) -> Decision:
    """A decision over facts already drawn; ``engine`` is the version its id speaks of."""
    values = drawn.facts.jsonable()
    resource = subjects[0].digest if subjects else ""
    verdict = active.engine.judge(gate, context.principal.name, resource, values)
    if fault:
        verdict = Verdict(False, (), verdict.warned, (fault,))
    denials = list(_denials(verdict, active, drawn))
    fill = _Fill(subjects, drawn)
    failed = tuple(rule for rule, _, _ in denials)
    if denials or not verdict.allowed:
        reasons = tuple(reason for _, reason, _ in denials)
    else:
        reasons = tuple(f"{rule.id}: {rule.reason}" for rule in verdict.decided)
    mends = tuple(dict.fromkeys(fill(mend) for _, _, mend in denials if mend))
    warnings = tuple(f"{r.id}: {r.reason}" for r in verdict.warned if r.id not in failed)
    return Decision(
        _identity(gate, subjects, context, active, drawn.facts, engine or cedar.engine_version()),
        gate,
        verdict.allowed and not denials,
        reasons,
        failed,
        mends,
        warnings,
    )


def enforce(judgement: Judgement) -> Judgement:
    """Return an allowed judgement. Raises: GateDenied naming every rule, reason and mend."""
    decision = judgement.decision
    if decision.allowed:
        return judgement
    what = ", ".join(s.name for s in judgement.subjects) or "nothing"
    raise GateDenied(
        f"{decision.gate} refused for {what}",
        why="; ".join(decision.reasons),
        rule=", ".join(decision.failed),
        hint="; or ".join(decision.mends),
        evidence=(f"decision {decision.id[:16]}",),
        decision=decision.id,
    )


def statement_of(judgement: Judgement) -> Statement:
    """The DECISION statement: everything :func:`policy.replay.replay` needs."""
    decision, drawn = judgement.decision, judgement.drawn
    predicate: dict[str, Json] = {
        "id": decision.id,
        "gate": decision.gate,
        "allowed": decision.allowed,
        "reasons": list(decision.reasons),
        "failed": list(decision.failed),
        "warnings": list(decision.warnings),
        "mends": list(decision.mends),
        "facts": drawn.facts.jsonable(),
        "facts_digest": drawn.facts.digest,
        "facts_version": facts.VERSION,
        "notes": list(drawn.notes),
        "log_size": judgement.log_size,
        "given": judgement.context.jsonable(),
        "policy": judgement.active.digest,
        "schema": judgement.active.schema_digest,
        "engine": cedar.engine_version(),
        "request": drawn.request.digest if drawn.request else "",
        "actor": judgement.context.principal.name,
        "time": clock.stamp(judgement.context.now),
    }
    subjects = judgement.subjects or (judgement.active.artifact,)
    return Statement(subjects, DECISION, predicate)


def _denials(verdict: Verdict, active: PolicySet, drawn: Drawn) -> Iterator[tuple[str, str, str]]:
    """(rule, reason, mend) of everything that denies; what no policy may waive comes first."""
    if not drawn.facts.values["policy_active"]:
        reason = f"{NOT_ACTIVE}: this policy set is not the one last activated in the log"
        yield NOT_ACTIVE, reason, _ACTIVATE
    if not active.engine.rules:
        yield EMPTY, f"{EMPTY}: the policy set is empty", "seal policy write"
    for error in verdict.errors:
        yield ERROR, f"{ERROR}: {error}", "seal policy check"
    if verdict.allowed:
        return
    told = not drawn.facts.values["policy_active"]
    forbids = [rule for rule in verdict.decided if rule.effect == "forbid"]
    for rule in forbids:
        if not (told and rule.id == NOT_ACTIVE):
            yield rule.id, f"{rule.id}: {rule.reason}", rule.mend
    if active.engine.rules and not verdict.errors and not forbids:
        reason = f"{NOTHING_PERMITS}: no rule permits it"
        yield NOTHING_PERMITS, reason, "seal policy show"


class _Fill:
    """Puts the subject and the request into a mend."""

    def __init__(self, subjects: Sequence[Artifact], drawn: Drawn) -> None:
        looser = drawn.looser[0].name if drawn.looser else ""
        self._subject = looser or (subjects[0].name if subjects else "REF")
        self._readmit = drawn.readmit.digest[:16] if drawn.readmit else "REQUEST"
        self._request = drawn.request.digest[:16] if drawn.request else "REQUEST"

    def __call__(self, mend: str) -> str:
        return (
            mend.replace("{subject}", self._subject)
            .replace("{request}", self._request)
            .replace("{readmit}", self._readmit)
        )


def _identity(
    gate: Gate,
    subjects: Sequence[Artifact],
    context: Context,
    active: PolicySet,
    drawn: Facts,
    engine: str,
) -> Digest:
    asked: dict[str, Json] = {
        "gate": gate,
        "subjects": [{"name": s.name, "digest": s.digest} for s in subjects],
        "given": context.jsonable(),
        "facts": drawn.digest,
        "policy": active.digest,
        "engine": engine,
    }
    return of_bytes(jcs.canonical(asked))
