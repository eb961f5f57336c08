"""Holding back and letting go: each step a statement first, then its effect.

:func:`hold_back` is for before an access, :func:`contain_all` acts on breaches, the rest is
what ``seal contain`` does. Spec: ``docs/spec/containment-v1.md``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sealwright.core import settings
from sealwright.core.errors import BadInput, GateDenied
from sealwright.core.locking import is_held
from sealwright.core.predicates import ACCESS, DECISION, INTENT, READ
from sealwright.core.records import Artifact, Json, Receipt
from sealwright.evidence.history import History
from sealwright.policy import approvals, containment
from sealwright.policy.activation import timeline
from sealwright.policy.approvals import Book
from sealwright.policy.containment import Containment, Holds, Step
from sealwright.policy.principals import Account, here
from sealwright.policy.roles import members_of
from sealwright.watch import contain
from sealwright.watch.contain import Hold
from sealwright.watch.contain import pardon as pardon
from sealwright.watch.rules import Breach

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

ACTOR = "sealwright-watch"
"""Who contains by itself."""

_ASK_S = 1.0
_END_S = 0.8
_POLL_S = 0.02


def hold_back(workspace: Workspace, history: History) -> None:
    """Refuse tokens again that are held back, and let the throttled wait."""
    now = workspace.clock()
    active = holds(workspace, history).active(now)
    for one in active:
        if one.step == "revoke-tokens":
            _revoke_tokens(workspace, history, one.account.name)
    each = settings.span_s(workspace.settings.watch.throttle)
    time.sleep(contain.waits_s(active, here(workspace.principal), now, each))


def contain_all(workspace: Workspace, breaches: Sequence[Breach]) -> list[str]:
    """Take the steps that breaches ask for and that are not in force; a line for each."""
    history = workspace.history()
    span = timedelta(seconds=settings.span_s(workspace.settings.watch.lasts))
    accounts = {b.principal: account_of(history, b.principal) for b in breaches}
    names = {
        subject.digest: subject.name
        for breach in breaches
        for entry in history.about(breach.artifact)
        for subject in entry.statement.subjects
    }
    active = holds(workspace, history).active(workspace.clock())
    wanted = contain.holds(breaches, active, accounts, names)
    return [_automatic(workspace, hold, span) for hold in wanted]


def take(
    workspace: Workspace,
    step: Step,
    target: Artifact,
    account: Account,
    *,
    reason: str,
    span: timedelta,
    actor: str,
    breach: Breach | None = None,
) -> tuple[Containment, Receipt | None]:
    """Take one step, and its effect; where it is in force already nothing is recorded.

    Raises: BadInput (no reason, too long, a run that will not end).
    """
    with workspace.lock():
        history = workspace.history()
        now = workspace.clock()
        found = contain.in_force(holds(workspace, history).active(now), step, target)
        receipt = None
        if found is None:
            statement = containment.statement_of(
                step,
                target,
                account,
                actor=actor,
                reason=reason,
                rule=breach.rule if breach else "",
                evidence=_evidence(breach),
                span=span,
                now=containment.latest(history, now),
            )
            receipt = workspace.recorder.record(statement)
            found = containment.read(workspace.history().entries[receipt.index])
    if step == "revoke-tokens":
        _revoke_tokens(workspace, history, account.name)
    elif step == "kill-run":
        kill(workspace, target.name.removeprefix("run:"))
    return found, receipt


def release(workspace: Workspace, held: Containment, reason: str) -> Receipt:
    """End a containment before its time, as the profile says.

    Raises: BadInput (no reason), GateDenied, rule ``containment.second-person``, once a request
    for the approvals is in the log.
    """
    actor = here(workspace.principal)
    with workspace.lock():
        history, now = workspace.history(), workspace.clock()
        book = Book(history, workspace.trust)
        statement = containment.release(held, None, actor, reason, now)
        if timeline(history, book).rank_at(history.size) > 0:
            request = book.matching(containment.ACTION, [held.id], {})
            if request is None:
                asked = approvals.ask(containment.ACTION, [held.artifact], {}, actor, reason, now)
                workspace.recorder.record(asked)
                raise _needs_people(held, approvals.digest_of(asked.predicate), ())
            members = members_of(history, book)
            people = containment.approvers(book, members, request, held, actor, now, history.size)
            if len(people) < containment.TWO_PEOPLE:
                raise _needs_people(held, request.digest, people)
            statement = containment.release(held, request, actor, reason, now)
        return workspace.recorder.record(statement)


def holds(workspace: Workspace, history: History) -> Holds:
    """Who and what is held, by this log."""
    book = Book(history, workspace.trust)
    return Holds(history, book, timeline(history, book))


def find(held: Holds, text: str) -> Containment:
    """The containment whose id starts with ``text`` (at least 8 characters). Raises: BadInput."""
    wanted = text.removeprefix("containment:")
    found = [one for key, one in held.all.items() if len(wanted) >= 8 and key.startswith(wanted)]
    if len(found) != 1:
        raise BadInput(
            f"{text!r} names {'no containment' if not found else f'{len(found)} containments'}",
            hint="seal contain list --all",
        )
    return found[0]


def account_of(history: History, name: str) -> Account:
    """The account ``name`` was last seen with; only the name where it was never seen."""
    for entry in reversed(history.of_type(DECISION, ACCESS, READ)):
        given = entry.statement.predicate.get("given")
        who = given.get("principal") if isinstance(given, dict) else None
        if isinstance(who, dict) and who.get("name") == name:
            with suppress(msgspec.ValidationError):
                return msgspec.convert(who, Account)
    return Account(name, "")


def kill(workspace: Workspace, run: str) -> bool:
    """End a live run: asked first, so that its end is recorded, then killed. Whether it lived.

    Only the process that holds the run's lock, and wrote its id there, is signalled. Raises:
    BadInput (it holds on for two seconds).
    """
    path = workspace.run_lock(run)
    pid = _holder(path)
    if pid is None:
        return False
    for number, patience_s in ((signal.SIGINT, _ASK_S), (signal.SIGKILL, _END_S)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if _let_go(path, patience_s):
            return True
    raise BadInput(f"run {run} did not end", why=f"process {pid} still holds its lock")


def _automatic(workspace: Workspace, hold: Hold, span: timedelta) -> str:
    why = contain.reason(hold.breach)
    held, _ = take(
        workspace,
        hold.step,
        hold.target,
        hold.account,
        reason=why,
        span=span,
        actor=ACTOR,
        breach=hold.breach,
    )
    return f"contained: {held.step} {held.target.name} until {held.until} ({why})"


def _evidence(breach: Breach | None) -> dict[str, Json]:
    if breach is None:
        return {}
    return {"value": breach.value, "limit": breach.limit, "artifact": breach.artifact}


def _needs_people(held: Containment, request: str, people: Sequence[str]) -> GateDenied:
    missing = containment.TWO_PEOPLE - len(people)
    return GateDenied(
        f"{held.step} of {held.target.name} stays",
        why=f"{missing} more of two people must approve who neither ask nor are held",
        rule="containment.second-person",
        hint=f"seal access approve {request[:16]} --reason '...', then release it again",
        evidence=(f"request {request[:16]}",),
    )


def _revoke_tokens(workspace: Workspace, history: History, name: str) -> None:
    """Everything issued to a principal, and to the runs they began that still run."""
    if not name:
        return
    denied, now = workspace.tokens.denied, workspace.clock()
    denied.revoke_subject(name, now)
    for entry in history.of_type(INTENT):
        run = str(entry.statement.predicate.get("run", ""))
        if entry.statement.predicate.get("actor") == name and is_held(workspace.run_lock(run)):
            denied.revoke_subject(f"run:{run}", now)


def _holder(path: Path) -> int | None:
    """The process that holds a run's lock, as it wrote there; None where nobody does."""
    if not is_held(path):
        return None
    text = path.read_text("ascii", errors="replace").strip()
    if not text.isdecimal():
        raise BadInput(f"{path.name} does not say which process holds it")
    return int(text)


def _let_go(path: Path, patience_s: float) -> bool:
    until = time.monotonic() + patience_s
    while is_held(path):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True
