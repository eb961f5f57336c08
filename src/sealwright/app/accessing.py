"""Access as the commands use it: asked before anything opens, kept in the log, refused by name.

:func:`require` is what every command calls. The rest gives and ends grants; members, teams and
reviews are in ``app.memberships``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from sealwright.app import gating, watching
from sealwright.app.wiring import Workspace
from sealwright.core import clock, settings
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, GateDenied
from sealwright.core.records import Artifact, Decision, Json
from sealwright.policy import (
    access,
    accessfacts,
    approvals,
    grants,
    settlements,
    teams,
)
from sealwright.policy.access import Judgement
from sealwright.policy.accessdraw import Ask, Ledger
from sealwright.policy.approvals import Request
from sealwright.policy.grants import Grant, Terms
from sealwright.policy.principals import Account
from sealwright.policy.roles import Members
from sealwright.policy.views import View, view_of
from sealwright.vault import acting
from sealwright.watch import contain


def require(
    workspace: Workspace,
    action: str,
    artifacts: Sequence[Artifact],
    *,
    purpose: str = "",
    size_bytes: int = 0,
    run: str = "",
    reason: str = "",
    params: Mapping[str, Json] | None = None,
) -> Decision:
    """Whether the present principal may do ``action`` to ``artifacts``; the answer is recorded.

    ``size_bytes`` is what it would open, and counts against a grant's budget from here on.
    Where one member is alone in solo nothing is asked, and only ``view`` is recorded. For what
    people approve one by one (``destroy``, ``egress``) a refusal leaves a request for exactly
    ``params``. Raises: GateDenied, rule ``access.*``.
    """
    return judged(
        workspace,
        action,
        artifacts,
        purpose=purpose,
        size_bytes=size_bytes,
        run=run,
        reason=reason,
        params=params,
    ).decision


def judged(
    workspace: Workspace,
    action: str,
    artifacts: Sequence[Artifact],
    *,
    purpose: str = "",
    size_bytes: int = 0,
    run: str = "",
    reason: str = "",
    params: Mapping[str, Json] | None = None,
) -> Judgement:
    """As :func:`require`; returns what the decision was made from, too."""
    watching.admit(workspace)
    acting.remember(purpose=purpose, artifact=" ".join(each.name for each in artifacts))
    with workspace.lock():
        found = ledger(workspace)
        ask = msgspec.structs.replace(
            _ask(workspace, action, artifacts),
            purpose=purpose,
            size_bytes=size_bytes,
            run=run,
            reason=reason,
            params=dict(params or {}),
        )
        active = gating.policies_of(workspace)
        passed = watching.would_pass(workspace, action, artifacts, size_bytes)
        ask = msgspec.structs.replace(ask, over=tuple(contain.reason(b) for b in passed))
        judgement = access.decide(ask, found, active)
        if judgement.facts is None and action != "view":
            return judgement
        if _wants_request(judgement):
            workspace.recorder.record(
                approvals.ask(
                    f"access.{action}", artifacts, ask.params, ask.account, reason, ask.now
                )
            )
            judgement = access.decide(ask, ledger(workspace), active)
        receipt = workspace.recorder.record(access.statement_of(judgement, active.artifact))
        if passed:
            from sealwright.app import containing

            containing.contain_all(workspace, passed)
    return access.enforce(msgspec.structs.replace(judgement, index=receipt.index))


def settle(workspace: Workspace, judgement: Judgement, size_bytes: int, why: str) -> None:
    """Give back what an allowed access reserved and did not take; nothing where it took all."""
    if judgement.index < 0 or size_bytes >= judgement.ask.size_bytes:
        return
    with workspace.lock():
        read = workspace.history().entries[judgement.index]
        workspace.recorder.record(
            settlements.statement_of(read, size_bytes, why, workspace.clock())
        )


def ledger(workspace: Workspace) -> Ledger:
    """What the log says about access now."""
    return Ledger(workspace.history(), workspace.trust)


def view_for(workspace: Workspace, judgement: Judgement, dataset: str) -> View:
    """The rows and columns that the judgement's principal sees of ``dataset`` (a name)."""
    active = gating.policies_of(workspace)
    if active.access is None:
        return View()
    members = ledger(workspace).members
    held = members.roles(judgement.ask.principal.name)
    return view_of(active.access.views, dataset, held)


def whole_project(workspace: Workspace, name: str = "") -> Artifact:
    """The project, or a name in it that has no version yet, as an artifact."""
    return Artifact(name or f"workspace:{workspace.id}", workspace.trust.fingerprint)


# -- grants -----------------------------------------------------------------------------------


class Asked(msgspec.Struct, frozen=True):
    """A request for a grant, and the grant once enough people approved it."""

    request: Request
    terms: Terms
    grant: Grant | None


def ask_grant(workspace: Workspace, terms: Terms, subject: Artifact, reason: str) -> Asked:
    """Ask for a grant; asking for somebody else approves it too. Raises: BadInput, GateDenied."""
    terms = grants.checked(terms)
    if not reason.strip():
        raise BadInput("a request says why", hint="repeat it with --reason '...'")
    name = workspace.principal.name
    with workspace.lock():
        found = ledger(workspace)
        _refuse_stranger(found, terms.principal)
        if terms.principal in found.held_as(name):
            request = _asked(workspace, grants.ACTION, [subject], terms.jsonable(), reason)
        else:
            kind = terms.resource
            if not found.members.may_grant(name, kind, found.history.size):
                refuse_lesser((), f"may grant {terms.resource}")
            request = signed(workspace, grants.ACTION, [subject], terms.jsonable(), reason)
        return Asked(request, terms, answer(workspace, request))


def answer(workspace: Workspace, request: Request) -> Grant | None:
    """Give the grant that ``request`` asks for, once enough people approved it; else None."""
    if request.action != grants.ACTION:
        return None
    with workspace.lock():
        found = ledger(workspace)
        rules = gating.policies_of(workspace).access
        if request.digest in found.grants.closed or rules is None:
            return found.grants.all.get(request.digest)
        now = workspace.clock()
        people = grants.approved(request, found.book, found.members, now, found.history.size)
        if not people or not access.suffices(rules, grants.terms_of(request).action, len(people)):
            return None
        statement = grants.statement_of(request, account_of(workspace), now)
        workspace.recorder.record(statement)
        return ledger(workspace).grants.all.get(request.digest)


def end_grant(workspace: Workspace, text: str, outcome: str, reason: str) -> Digest:
    """Revoke a grant, or deny a request for one; holds from the next read on.

    The one who got it, or anybody who could have approved it. Raises: BadInput, GateDenied.
    """
    with workspace.lock():
        found = ledger(workspace)
        request = approvals.find(found.history, text.removeprefix("grant:"))
        terms = grants.terms_of(request)
        name = workspace.principal.name
        if outcome == "denied" and request.digest in found.grants.all:
            raise BadInput("it was granted already", hint=f"seal access revoke {text}")
        if outcome == "revoked" and request.digest not in found.grants.all:
            raise BadInput("it was never granted", hint=f"seal access deny {text}")
        mine = name == request.requester.name or terms.principal in found.held_as(name)
        if not mine and not found.members.may_grant(name, terms.resource, found.history.size):
            refuse_lesser((), f"may end grants on {terms.resource}")
        workspace.recorder.record(
            grants.end(request.digest, outcome, account_of(workspace), reason, workspace.clock())
        )
        return request.digest


def until(text: str, now: datetime) -> tuple[str, int]:
    """``(expires, duration_s)`` of a time, or of ``+8h`` from the grant on. Raises: BadInput."""
    if text.startswith("+"):
        return "", settings.span_s(text[1:])
    when = clock.parse(text)
    if when <= now:
        raise BadInput(f"{text} is over already")
    return clock.stamp(when), 0


def moment(text: str, now: datetime) -> str:
    """``+1h`` or a time, as a time. Raises: BadInput."""
    if text.startswith("+"):
        return clock.stamp(now + timedelta(seconds=settings.span_s(text[1:])))
    return clock.stamp(clock.parse(text))


# -- inner ------------------------------------------------------------------------------------


def _ask(workspace: Workspace, action: str, artifacts: Sequence[Artifact]) -> Ask:
    context = gating.context_of(workspace)
    return Ask(
        action=action,
        subjects=tuple(artifacts),
        principal=context.principal,
        host=context.host,
        now=context.now,
        profile=context.profile,
        trust=context.trust,
    )


def _wants_request(judgement: Judgement) -> bool:
    """Whether nothing but people's approval of exactly this is wanting, and nobody asked."""
    decision, ask = judgement.decision, judgement.ask
    return (
        not decision.allowed
        and ask.action in accessfacts.TWO_PEOPLE
        and judgement.request is None
        and set(decision.failed) <= {"access.two-approvals", "access.owner-approves"}
    )


def account_of(workspace: Workspace) -> Account:
    """Who acts here, now."""
    return gating.context_of(workspace).account


def _asked(
    workspace: Workspace,
    action: str,
    subjects: Sequence[Artifact],
    params: Mapping[str, Json],
    reason: str,
) -> Request:
    now = workspace.clock()
    statement = approvals.ask(action, subjects, params, account_of(workspace), reason, now)
    workspace.recorder.record(statement)
    return approvals.request_of(statement.predicate, workspace.log.size() - 1)


def signed(
    workspace: Workspace,
    action: str,
    subjects: Sequence[Artifact],
    params: Mapping[str, Json],
    reason: str,
) -> Request:
    """Ask, and sign what was asked with the asker's own key."""
    request = _asked(workspace, action, subjects, params, reason)
    account = account_of(workspace)
    workspace.recorder.record(
        approvals.approve(request, workspace.signer, account, reason, workspace.clock())
    )
    return request


def refuse_no_team(members: Members, name: str) -> None:
    """Raises: BadInput where ``team:NAME`` has no members."""
    if not members.teams.members(name):
        team = name.removeprefix(teams.PREFIX)
        hint = f"seal access team add {team} MEMBER --reason '...'"
        raise BadInput(f"there is no {name}", hint=hint)


def _refuse_stranger(found: Ledger, name: str) -> None:
    if teams.is_team(name):
        refuse_no_team(found.members, name)
    elif not found.members.roles(name):
        raise BadInput(
            f"{name} is no member",
            why="a grant is for somebody with a role",
            hint=f"an owner: seal access role {name} ml-engineer --reason '...'",
        )


def refuse_lesser(held: Sequence[str], what: str) -> None:
    """Raises: GateDenied where no owner is among the roles."""
    if "owner" not in held:
        raise GateDenied(
            "your roles do not let you do that",
            why=f"none of them {what}",
            rule=access.NO_RULE,
            hint="seal access whoami",
        )
