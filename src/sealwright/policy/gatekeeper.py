"""What a caller needs of a gate: decide, keep the decision, ask for approval, or raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from sealwright.core.ports import Recorder, Signer
from sealwright.core.records import Artifact
from sealwright.evidence.history import History
from sealwright.policy import approvals
from sealwright.policy.approvals import Book
from sealwright.policy.context import Context
from sealwright.policy.facts import NEVER, Gate
from sealwright.policy.factsheet import Value
from sealwright.policy.gates import Judgement, decide, enforce, statement_of
from sealwright.policy.policyset import PolicySet
from sealwright.policy.roles import members_of
from sealwright.policy.whatif import would_pass

_APPROVED: dict[str, Value] = {"approvals": NEVER, "reason_given": True}
_SELF: dict[str, Value] = {"self_approved": True}


class Desk(msgspec.Struct, frozen=True):
    """Where decisions are made: the log as it is now, what records, the policy set at hand.

    ``signer`` is the asker's own key, for approving their own request where that is allowed.
    """

    history: Callable[[], History]
    recorder: Recorder
    active: PolicySet
    signer: Signer | None = None


def require(gate: Gate, subjects: Sequence[Artifact], context: Context, desk: Desk) -> Judgement:
    """Decide and record; returns only what was allowed.

    Where nothing but an approval is wanting, the request is recorded (``readmit`` for
    evidence of a looser profile); where the asker may approve it and gave a reason, their
    approval too, signed with their key. Raises: GateDenied.
    """
    judgement = decide(gate, subjects, desk.history(), context, desk.active)
    if not judgement.decision.allowed and _ask(judgement, desk):
        judgement = decide(gate, subjects, desk.history(), context, desk.active)
    desk.recorder.record(statement_of(judgement))
    return enforce(judgement)


def _ask(judgement: Judgement, desk: Desk) -> bool:
    """Record what would bring the approvals; whether anything was recorded."""
    context, drawn = judgement.context, judgement.drawn
    # what else is wrong must be mended first, and would change what is approved
    approved: dict[str, Value] = {**_APPROVED, "readmit_approvals": NEVER}
    if not judgement.subjects or not would_pass(judgement, {**approved, **_SELF}):
        return False
    recorded = False
    if drawn.looser and not would_pass(judgement, _APPROVED) and drawn.readmit is None:
        reason = context.reason or f"needed by {judgement.decision.gate}"
        desk.recorder.record(
            approvals.ask("readmit", drawn.looser, {}, context.account, reason, context.now)
        )
        recorded = True
    others = {"readmit_approvals": NEVER} if drawn.looser else {}
    if would_pass(judgement, {**others, "reason_given": True}):
        return recorded
    if drawn.request is None:
        gate = judgement.decision.gate
        desk.recorder.record(
            approvals.ask(
                gate,
                judgement.subjects,
                context.params,
                context.account,
                context.reason,
                context.now,
            )
        )
        recorded = True
    return _approve_own(judgement, desk) or recorded


def _approve_own(judgement: Judgement, desk: Desk) -> bool:
    """Approve one's own request, where the policy lets one and a reason was given."""
    context = judgement.context
    alone = would_pass(judgement, {**_SELF})
    if not (alone and context.reason.strip() and desk.signer):
        return False
    history = desk.history()
    book = Book(history, context.trust)
    if not members_of(history, book).may_approve(judgement.decision.gate, context.account.name):
        return False
    digests = [subject.digest for subject in judgement.subjects]
    request = book.matching(judgement.decision.gate, digests, context.params)
    if request is None:
        return False
    desk.recorder.record(
        approvals.approve(request, desk.signer, context.account, context.reason, context.now)
    )
    return True
