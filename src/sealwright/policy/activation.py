"""Which policy set is in force: the one the newest accepted activation in the log names.

The first activation opens the workspace. Later ones need a reason, and, where the set before
or the new one is team or regulated, the approvals of two who neither ask nor activate.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, GateDenied, SealError
from sealwright.core.predicates import POLICY_ACTIVATION
from sealwright.core.records import Json, Recorded, Statement
from sealwright.evidence.history import History
from sealwright.policy import cedar, facts
from sealwright.policy.approvals import Book, Request
from sealwright.policy.policyset import PolicySet, digest_of
from sealwright.policy.principals import Account
from sealwright.policy.roles import Members, members_of

ACTION = "policy.activate"
APPROVERS = 2
"""Outside solo: distinct people who neither ask nor activate."""


class Activation(msgspec.Struct, frozen=True):
    """An accepted activation: from log entry ``index`` on, ``digest`` was in force."""

    index: int
    digest: Digest
    rank: int
    files: tuple[tuple[str, str], ...]


class Timeline(msgspec.Struct, frozen=True):
    """Accepted activations in log order, and why others were not accepted."""

    accepted: tuple[Activation, ...]
    refused: tuple[str, ...]

    @property
    def newest(self) -> Activation | None:
        """What is in force now."""
        return self.accepted[-1] if self.accepted else None

    def rank_at(self, index: int) -> int:
        """The profile's rank that was in force when entry ``index`` was appended (0: none)."""
        place = bisect_left(self.accepted, index, key=lambda a: a.index)
        return self.accepted[place - 1].rank if place else 0

    def since(self, rank: int) -> int:
        """The first entry from which the profile has been at least ``rank`` without a break."""
        first = facts.NEVER
        for activation in reversed(self.accepted):
            if activation.rank < rank:
                break
            first = activation.index
        return first


def timeline(history: History, book: Book) -> Timeline:
    """Walk the log's activations. Never raises: what cannot be read is not accepted."""
    accepted: list[Activation] = []
    refused: list[str] = []
    members = members_of(history, book)
    for entry in history.of_type(POLICY_ACTIVATION):
        try:
            activation = _activation(entry)
            before = accepted[-1] if accepted else None
            problem = _problem(entry, activation, before, book, members)
        except (SealError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
            refused.append(f"entry {entry.index}: unreadable ({error})")
            continue
        if problem:
            refused.append(f"entry {entry.index}: {problem}")
        else:
            accepted.append(activation)
    return Timeline(tuple(accepted), tuple(refused))


def activate(
    policy: PolicySet,
    history: History,
    book: Book,
    actor: Account,
    reason: str,
    now: datetime,
    tests: Mapping[str, Json] | None = None,
) -> Statement:
    """The statement that puts ``policy`` in force; ``tests`` is what its cases said.

    Raises: BadInput (no reason), GateDenied with rule ``policy.second-person`` when nobody
    else has approved; the caller then records :func:`approvals.ask` for ``policy.activate``.
    """
    if not reason.strip():
        raise BadInput("an activation says why", hint="seal policy activate --reason '...'")
    before = timeline(history, book).newest
    request = book.matching(ACTION, [policy.digest], {})
    alone = before is None or max(before.rank, policy.rank) == 0
    if not alone:
        people = _others(book, members_of(history, book), request, actor, now, history.size)
        if len(people) < APPROVERS:
            raise GateDenied(
                f"the policy set needs {APPROVERS} other people",
                why="in team and regulated, whoever changes the policy is not who approves it; "
                f"approved so far by {', '.join(people) or 'nobody'}",
                rule="policy.second-person",
                hint=f"seal access approve {request.digest[:16]} --reason '...'"
                if request
                else "seal policy activate asks; two others approve",
            )
    predicate: dict[str, Json] = {
        "profile": policy.profile,
        "files": policy.listed(),
        "previous": before.digest if before else "",
        "schema": policy.schema_digest,
        "engine": cedar.engine_version(),
        "facts_version": facts.VERSION,
        "request": request.digest if request and not alone else "",
        "self_approved": alone,
        "tests": dict(tests or {}),
        "actor": actor.name,
        "key_id": actor.key_id,
        "uid": actor.uid,
        "host": actor.host,
        "reason": reason,
        "time": clock.stamp(now),
    }
    return Statement((policy.artifact,), POLICY_ACTIVATION, predicate)


def _activation(entry: Recorded) -> Activation:
    predicate: Mapping[str, Any] = entry.statement.predicate
    files = tuple((str(f["name"]), str(f["text"])) for f in predicate["files"])
    rank = facts.PROFILES.index(predicate["profile"])
    digests = {name: of_bytes(text.encode()) for name, text in files}
    named = digest_of(digests, str(predicate["schema"]), predicate["profile"])
    if named != entry.statement.subjects[0].digest:
        raise ValueError("it carries other files than it names")
    return Activation(entry.index, entry.statement.subjects[0].digest, rank, files)


def _problem(
    entry: Recorded,
    activation: Activation,
    before: Activation | None,
    book: Book,
    members: Members,
) -> str:
    predicate: Mapping[str, Any] = entry.statement.predicate
    if not str(predicate["reason"]).strip():
        return "it gives no reason"
    if before is None or max(before.rank, activation.rank) == 0:
        return ""
    actor = Account(predicate["actor"], predicate["key_id"], predicate["uid"], predicate["host"])
    request = book.requests.get(str(predicate["request"]))
    if request is None or request.action != ACTION:
        return "nobody asked for it"
    if [subject.digest for subject in request.subjects] != [activation.digest]:
        return "the request is about another policy set"
    people = _others(book, members, request, actor, clock.parse(predicate["time"]), entry.index)
    if len(people) < APPROVERS:
        return f"{len(people)} of {APPROVERS} other people approved it"
    return ""


def _others(
    book: Book,
    members: Members,
    request: Request | None,
    actor: Account,
    now: datetime,
    before: int,
) -> tuple[str, ...]:
    if request is None:
        return ()
    objection = members.objection(ACTION)
    return book.tally(request, [actor], now, before=before, objection=objection).people
