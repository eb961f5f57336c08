"""Access: may this principal do this, now, for this purpose? Facts in, a decision out.

``decide`` is pure; ``enforce`` raises ``GateDenied``; ``replay`` judges a recorded one again
from the log alone. Source: ``docs/spec/access-v1.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, GateDenied
from sealwright.core.predicates import ACCESS, READ
from sealwright.core.records import Artifact, Decision, Json, Statement
from sealwright.evidence import jcs
from sealwright.policy import accessfacts, cedar
from sealwright.policy.accessdraw import Ask, Drawn, Ledger, draw
from sealwright.policy.accessfacts import AccessFacts
from sealwright.policy.accessset import AccessRules
from sealwright.policy.approvals import Request
from sealwright.policy.cedar import Verdict
from sealwright.policy.grants import Grant
from sealwright.policy.policyset import PolicySet

ALONE = "access.alone"
MISSING = "access.rules-missing"
ERROR = "access.error"
NO_RULE = "access.no-rule"


class Judgement(msgspec.Struct, frozen=True):
    """A decision with what it was made from. ``facts`` is None where the owner is alone.

    ``index`` is the log entry it was recorded as.
    """

    decision: Decision
    ask: Ask
    facts: AccessFacts | None
    grants: tuple[Grant, ...]
    purpose: str
    request: Request | None
    policy: Digest
    log_size: int
    index: int = -1


def decide(ask: Ask, ledger: Ledger, active: PolicySet) -> Judgement:
    """Judge by the log. Never raises on what the log says: what cannot be judged is denied."""
    if ask.action not in accessfacts.ACTIONS:
        raise BadInput(
            f"nobody can be asked about {ask.action!r}",
            why=f"known: {', '.join(accessfacts.ACTIONS)}",
        )
    if alone(ask, ledger, active):
        return _alone(ask, active, ledger.history.size)
    drawn = draw(ask, ledger, active)
    return _judge(ask, drawn, active, ledger.history.size)


def alone(ask: Ask, ledger: Ledger, active: PolicySet) -> bool:
    """Whether there is nobody to hold anything from: one member, in solo, as activated."""
    newest = ledger.timeline.newest
    rank = max(newest.rank if newest else 0, active.rank)
    held = ledger.holds.active(ask.now) or ledger.holds.unreadable
    free = rank == 0 and ask.profile == "solo" and ledger.members.alone
    return free and not held and not ask.over


def enforce(judgement: Judgement) -> Judgement:
    """Return an allowed judgement. Raises: GateDenied with rule, reasons and mend."""
    decision, ask = judgement.decision, judgement.ask
    if decision.allowed:
        return judgement
    what = ", ".join(s.name for s in ask.subjects) or "nothing"
    raise GateDenied(
        f"{ask.principal.name} may not {ask.action} {what}",
        why="; ".join(decision.reasons),
        rule=", ".join(decision.failed),
        hint="; or ".join(decision.mends),
        evidence=(f"decision {decision.id[:16]}",),
        decision=decision.id,
    )


def statement_of(judgement: Judgement, fallback: Artifact) -> Statement:
    """READ where bytes are handed out, ACCESS otherwise; ``fallback`` is a subject for none."""
    decision, ask = judgement.decision, judgement.ask
    read = decision.allowed and ask.action in accessfacts.READS
    predicate: dict[str, Json] = {
        "id": decision.id,
        "action": ask.action,
        "allowed": decision.allowed,
        "reasons": list(decision.reasons),
        "failed": list(decision.failed),
        "warnings": list(decision.warnings),
        "mends": list(decision.mends),
        "alone": judgement.facts is None,
        "facts": judgement.facts.jsonable() if judgement.facts else {},
        "facts_digest": judgement.facts.digest if judgement.facts else "",
        "facts_version": accessfacts.VERSION,
        "given": ask.jsonable(),
        "grants": [grant.id for grant in judgement.grants],
        "purpose": judgement.purpose,
        "size_bytes": ask.size_bytes,
        "run": ask.run,
        "policy": judgement.policy,
        "engine": cedar.engine_version(),
        "request": judgement.request.digest if judgement.request else "",
        "log_size": judgement.log_size,
        "actor": ask.principal.name,
        "time": clock.stamp(ask.now),
    }
    return Statement(ask.subjects or (fallback,), READ if read else ACCESS, predicate)


def _judge(ask: Ask, drawn: Drawn, active: PolicySet, size: int, engine: str = "") -> Judgement:
    rules = active.access
    resource = ask.subjects[0].digest if ask.subjects else ""
    verdict = Verdict(False, (), (), ())
    if rules is not None:
        verdict = rules.engine.judge(
            ask.action, ask.principal.name, resource, drawn.facts.jsonable()
        )
    if drawn.fault:
        verdict = Verdict(False, (), verdict.warned, (drawn.fault,))
    denials = list(_denials(ask, drawn, active, verdict))
    failed = tuple(rule for rule, _, _ in denials)
    allowed = verdict.allowed and not denials
    by_role = any(
        rule.effect == "permit" and "grant_state" not in rule.reads for rule in verdict.decided
    )
    reasons = tuple(f"{r}: {why}" for r, why, _ in denials) or tuple(
        f"{rule.id}: {rule.reason}" for rule in verdict.decided
    )
    mends = tuple(dict.fromkeys(_filled(mend, ask, drawn) for _, _, mend in denials if mend))
    identity: dict[str, Json] = {
        "action": ask.action,
        "subjects": [{"name": s.name, "digest": s.digest} for s in ask.subjects],
        "given": ask.jsonable(),
        "facts": drawn.facts.digest,
        "policy": active.digest,
        "engine": engine or cedar.engine_version(),
    }
    decision = Decision(
        of_bytes(jcs.canonical(identity)),
        f"access:{ask.action}",
        allowed,
        reasons,
        failed,
        mends,
        tuple(f"{r.id}: {r.reason}" for r in verdict.warned if r.id not in failed),
    )
    return Judgement(
        decision,
        ask,
        drawn.facts,
        () if by_role or not allowed else drawn.grants,
        str(drawn.facts.values["purpose"]),
        drawn.request,
        active.digest,
        size,
    )


def suffices(rules: AccessRules, action: str, approvals: int) -> bool:
    """Whether the rules would let a grant of ``action`` with so many approvals be used."""
    values = {
        **accessfacts.refusing(),
        "grants": 1,
        "grant_approvals": approvals,
        "grant_state": "live",
        "roles": ("service",),
    }
    verdict = rules.engine.judge(action, "", "", accessfacts.of(values).jsonable())
    return not verdict.errors and not any(
        rule.effect == "forbid" and "grant_approvals" in rule.reads for rule in verdict.decided
    )


def _alone(ask: Ask, active: PolicySet, size: int) -> Judgement:
    identity: dict[str, Json] = {
        "action": ask.action,
        "subjects": [{"name": s.name, "digest": s.digest} for s in ask.subjects],
        "given": ask.jsonable(),
        "alone": True,
    }
    decision = Decision(
        of_bytes(jcs.canonical(identity)),
        f"access:{ask.action}",
        True,
        (f"{ALONE}: solo, and nobody else is a member",),
    )
    return Judgement(decision, ask, None, (), ask.purpose, None, active.digest, size)


def _denials(
    ask: Ask, drawn: Drawn, active: PolicySet, verdict: Verdict
) -> Iterator[tuple[str, str, str]]:
    """(rule, reason, mend) of everything that denies."""
    if active.access is None:
        why = "the policy set holds no rules of access"
        yield MISSING, why, "seal policy write; seal policy activate --reason '...'"
        return
    for error in verdict.errors:
        yield ERROR, error, "seal policy show"
    if verdict.allowed or verdict.errors:
        return
    forbids = [rule for rule in verdict.decided if rule.effect == "forbid"]
    for rule in forbids:
        told = f" ({'; '.join(ask.over)})" if "budgets_passed" in rule.reads else ""
        yield rule.id, rule.reason + told, rule.mend
    if not forbids:
        yield _default(ask, drawn)


def _default(ask: Ask, drawn: Drawn) -> tuple[str, str, str]:
    """Nothing permits it: say which grant came nearest, and how to get one that does."""
    if ask.action not in _GRANTED:
        return NO_RULE, f"none of your roles lets you {ask.action}", "seal access whoami"
    mend = _REQUEST
    if drawn.pending is not None:
        mend = f"who may grant it: seal access approve {drawn.pending.digest[:16]} --reason '...'"
    why = "no role of yours lets you, and no grant does"
    grant = drawn.nearest
    if grant is None or drawn.state not in _WHY:
        return "access.no-grant", why, mend
    fill = {
        "expires": clock.stamp(grant.expires),
        "not_before": grant.terms.not_before,
        "purpose": grant.terms.purpose,
        "resource": grant.terms.resource,
        "left": f"{grant.bytes_left or 0:,}",
        "size": f"{ask.size_bytes:,}",
        "id": grant.id[:16],
    }
    return f"access.grant-{drawn.state}", _WHY[drawn.state].format(**fill), mend


def _filled(mend: str, ask: Ask, drawn: Drawn) -> str:
    purpose = str(drawn.facts.values["purpose"])
    fill = {
        "{ref}": ask.subjects[0].name if ask.subjects else "REF",
        "{action}": ask.action,
        "{purpose}": purpose or "PURPOSE",
        "{principal}": ask.principal.name,
        "{request}": drawn.request.digest[:16] if drawn.request else "REQUEST",
    }
    for name, value in fill.items():
        mend = mend.replace(name, value)
    return mend


_GRANTED = frozenset({"view", "modify", "train", "export", "promote", "deploy"})
_REQUEST = "seal access request {action} {ref} --purpose {purpose} --until +2h --reason '...'"
_WHY = {
    "spent": "the grant {id} has {left} bytes left, this takes {size}",
    "expired": "the grant {id} expired at {expires}",
    "not-yet": "the grant {id} begins at {not_before}",
    "revoked": "the grant {id} was revoked",
    "wrong-purpose": "the grant {id} is for {purpose}",
    "wrong-resource": "the grant {id} is for {resource}",
}
