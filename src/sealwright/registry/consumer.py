"""A bundle before its reader's own policy. What its producer allowed is input, not proof.

Facts are drawn from the bundle's log as at the gate ``export``. What only the reader can say
is the reader's: which policy set is in force, and how long ago a witness saw the log.
Approvals count as of when the log was last seen, since they had to hold when it left.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sealwright.core import clock
from sealwright.core.errors import GateDenied
from sealwright.core.records import Artifact
from sealwright.policy import context, facts
from sealwright.policy.context import Context
from sealwright.policy.draw import draw, witness_facts
from sealwright.policy.gates import Judgement, judge
from sealwright.policy.policyset import PolicySet
from sealwright.registry import witnessed
from sealwright.registry.check import VerifiedBundle


def require(bundle: VerifiedBundle, policy: PolicySet, now: datetime) -> Judgement:
    """The judgement of ``policy``, which allows the bundle.

    Raises: GateDenied with every reason, the decision's id and the digest of the facts;
    BadInput (the export decision does not keep what it was given).
    """
    made = considered(bundle, policy, now)
    decision = made.decision
    if decision.allowed:
        return made
    raise GateDenied(
        f"{bundle.model.ref} is genuine, and your policy ({policy.profile}) does not accept it",
        why="; ".join(decision.reasons),
        rule=", ".join(decision.failed),
        hint="its owner may be able to: " + "; or ".join(decision.mends) if decision.mends else "",
        evidence=(
            f"decision {decision.id}",
            f"facts {made.drawn.facts.digest}",
            f"policy {policy.digest}",
        ),
        decision=decision.id,
    )


def considered(bundle: VerifiedBundle, policy: PolicySet, now: datetime) -> Judgement:
    """Judge without raising on a denial; recorded nowhere. Raises: BadInput."""
    model, history = bundle.model, bundle.history
    subjects = (Artifact(model.ref, model.digest),)
    told = context.from_json(bundle.decisions[-1].statement.predicate["given"], bundle.trust)  # type: ignore[arg-type]
    seen = _at(told, policy, bundle, clock.parse(bundle.as_of))
    drawn = draw("export", subjects, history, seen, policy)
    given = _at(told, policy, bundle, now)
    values = {**drawn.facts.values, **witness_facts(given, history.size), "policy_active": True}
    drawn = msgspec.structs.replace(drawn, facts=facts.of(values))
    decision = judge("export", subjects, given, policy, drawn)
    return Judgement(decision, subjects, given, policy, drawn, history.size)


def _at(told: Context, policy: PolicySet, bundle: VerifiedBundle, moment: datetime) -> Context:
    return msgspec.structs.replace(
        told,
        now=moment,
        profile=policy.profile,
        witnessed=witnessed.best(bundle.cosignatures),
    )
