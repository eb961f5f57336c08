"""Just-in-time grants: who may do what with which artifact, for which purpose, until when.

A grant is a request (``access.grant``) that other people approved with their own keys; the
``grant`` statement only says from when on. Its terms are read from the request, which the
approvals sign, so nothing in the ``grant`` statement can widen them.
Source: ``docs/spec/access-v1.md``, "Grants".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, SealError
from sealwright.core.predicates import GRANT, GRANT_END, READ
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.evidence.history import History
from sealwright.policy.approvals import Book, Request
from sealwright.policy.principals import Account
from sealwright.policy.roles import Members
from sealwright.policy.settlements import settled
from sealwright.policy.teams import check_principal

ACTION = "access.grant"
GRANTABLE = ("view", "modify", "train", "export", "promote", "deploy")
PROJECT = "project"
LONGEST = timedelta(days=90)

_NEAREST = (
    "live",
    "spent",
    "expired",
    "not-yet",
    "revoked",
    "wrong-purpose",
    "wrong-resource",
)
"""States of a grant for one use of it, the one that comes closest first."""


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a grant allows. ``principal`` may be ``team:NAME``.

    ``resource`` is ``data:NAME``, ``data:NAME@N`` or ``project``. ``digest`` is set where one
    version is meant. Empty ``not_before``: at once; one of ``expires`` (a time) and
    ``duration_s`` (from the grant on) is set; ``bytes`` 0: no budget.
    """

    principal: str
    action: str
    resource: str
    digest: str = ""
    purpose: str = ""
    not_before: str = ""
    expires: str = ""
    duration_s: int = 0
    bytes: int = 0

    def jsonable(self) -> dict[str, Json]:
        """The fields, as a request keeps them."""
        out: dict[str, Json] = msgspec.to_builtins(self)
        return out

    def covers(self, artifact: Artifact) -> bool:
        """Whether the grant is about ``artifact``."""
        if self.resource == PROJECT:
            return True
        if self.digest:
            return self.digest == artifact.digest
        return self.resource == artifact.name.partition("@")[0]


class Grant(msgspec.Struct, frozen=True):
    """A grant that holds. ``approvals`` counts people who may grant it and do not get it."""

    id: Digest
    terms: Terms
    index: int
    time: str
    expires: datetime
    approvals: int
    approvers: tuple[str, ...]
    reason: str
    ended: str = ""
    used_bytes: int = 0
    uses: int = 0
    last_used: str = ""

    def state(self, artifact: Artifact, purpose: str, size: int, now: datetime) -> str:
        """One of ``live`` and what is in the way, for a use of the action it grants."""
        terms = self.terms
        if not terms.covers(artifact):
            return "wrong-resource"
        if terms.purpose and purpose and terms.purpose != purpose:
            return "wrong-purpose"
        if self.ended:
            return "revoked"
        if terms.not_before and now < clock.parse(terms.not_before):
            return "not-yet"
        if now >= self.expires:
            return "expired"
        if terms.bytes and self.used_bytes + size > terms.bytes:
            return "spent"
        return "live"

    @property
    def bytes_left(self) -> int | None:
        """None where there is no budget."""
        return max(0, self.terms.bytes - self.used_bytes) if self.terms.bytes else None


class Grants:
    """Every grant of a history, by id; what does not hold is in ``refused``."""

    def __init__(self, history: History, book: Book, members: Members) -> None:
        self.refused: list[str] = []
        self.all: dict[Digest, Grant] = {}
        for entry in history.of_type(GRANT):
            try:
                grant = _read(entry, book, members)
            except (SealError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
                self.refused.append(f"entry {entry.index}: {error}")
                continue
            self.all.setdefault(grant.id, grant)
        ends = {
            str(e.statement.predicate.get("grant")): str(e.statement.predicate.get("outcome"))
            for e in history.of_type(GRANT_END)
        }
        self.closed: frozenset[str] = frozenset({*ends, *self.all})
        used = _used(history.of_type(READ), settled(history))
        for grant_id, grant in self.all.items():
            total, uses, last = used.get(grant_id, (0, 0, ""))
            self.all[grant_id] = msgspec.structs.replace(
                grant, ended=ends.get(grant_id, ""), used_bytes=total, uses=uses, last_used=last
            )

    def of(self, principals: Collection[str], action: str) -> list[Grant]:
        """The grants of ``action`` to somebody or their teams, oldest first, over or not."""
        return [
            grant
            for grant in self.all.values()
            if grant.terms.action == action and grant.terms.principal in principals
        ]

    def nearest(
        self,
        principals: Collection[str],
        action: str,
        artifact: Artifact,
        purpose: str,
        size: int,
        now: datetime,
    ) -> tuple[str, Grant | None]:
        """The grant to use, or the one that comes closest, and its state (``none``: no grant)."""
        best: tuple[str, Grant | None] = ("none", None)
        for grant in self.of(principals, action):
            state = grant.state(artifact, purpose, size, now)
            if best[1] is None or _nearness(state, grant) <= _nearness(*best):
                best = (state, grant)
        return best


def terms_of(request: Request) -> Terms:
    """The terms a request asks for. Raises: BadInput."""
    if request.action != ACTION:
        raise BadInput(f"{request.action} is no grant")
    try:
        return checked(msgspec.convert(dict(request.params), Terms))
    except msgspec.ValidationError as error:
        raise BadInput("the request's terms cannot be read", why=str(error)) from error


def checked(terms: Terms) -> Terms:
    """Terms that make sense. Raises: BadInput."""
    check_principal(terms.principal)
    if terms.action not in GRANTABLE:
        raise BadInput(f"{terms.action!r} cannot be granted", why=f"known: {', '.join(GRANTABLE)}")
    if terms.resource != PROJECT and not terms.resource.startswith(("data:", "model:")):
        raise BadInput(
            f"{terms.resource!r} is nothing to grant access to",
            hint="data:NAME, data:NAME@N, model:NAME, model:NAME@N or project",
        )
    if bool(terms.expires) == bool(terms.duration_s):
        raise BadInput("a grant ends: at a time, or so long after it was given", hint="--until +8h")
    if not 0 <= terms.duration_s <= LONGEST.total_seconds() or terms.bytes < 0:
        raise BadInput(f"a grant lasts at most {LONGEST.days} days and has no negative budget")
    for text in (terms.not_before, terms.expires):
        if text:
            clock.parse(text)
    return terms


def statement_of(request: Request, actor: Account, now: datetime) -> Statement:
    """The GRANT statement that answers an approved request."""
    terms = terms_of(request)
    predicate: dict[str, Json] = {
        "grant": request.digest,
        "terms": terms.jsonable(),
        "expires": clock.stamp(_end(terms, now)),
        "actor": actor.name,
        "time": clock.stamp(now),
    }
    return Statement((subject_of(request.digest),), GRANT, predicate)


def end(grant: Digest, outcome: str, actor: Account, reason: str, now: datetime) -> Statement:
    """The statement that ends a grant, or closes a request. Raises: BadInput (no reason)."""
    if not reason.strip():
        raise BadInput("an end says why", hint="repeat it with --reason '...'")
    predicate: dict[str, Json] = {
        "grant": grant,
        "outcome": outcome,
        "actor": actor.name,
        "reason": reason,
        "time": clock.stamp(now),
    }
    return Statement((subject_of(grant),), GRANT_END, predicate)


def subject_of(grant: Digest) -> Artifact:
    """A grant as a statement's subject."""
    return Artifact(f"grant:{grant[:16]}", grant)


def approved(
    request: Request, book: Book, members: Members, now: datetime, before: int
) -> tuple[str, ...]:
    """Who approved a grant and counts: they may grant it, and are not among those who get it.

    Somebody who asks for another counts too, once they signed the request.
    """
    terms = terms_of(request)
    grantees = [Account(name, "") for name in members.grantees(terms.principal, before)]
    tally = book.tally(request, grantees, now, before=before)
    people = [name for name in tally.people if members.may_grant(name, terms.resource, before)]
    asker = request.requester
    if (
        tally.self_approved
        and book.people.person(asker) not in {book.people.person(each) for each in grantees}
        and members.may_grant(asker.name, terms.resource, before)
    ):
        people.append(asker.name)
    return tuple(sorted(set(people)))


def _nearness(state: str, grant: Grant | None) -> tuple[int, int]:
    """Smaller is nearer; of two, the one that more people approved."""
    return _NEAREST.index(state), -(grant.approvals if grant else 0)


def _read(entry: Recorded, book: Book, members: Members) -> Grant:
    predicate: Mapping[str, Any] = entry.statement.predicate
    request = book.requests.get(str(predicate["grant"]))
    if request is None or request.index >= entry.index:
        raise BadInput("nobody asked for this grant")
    if [s.digest for s in entry.statement.subjects] != [request.digest]:
        raise BadInput("the grant stands under another request than it answers")
    terms = terms_of(request)
    if predicate["terms"] != terms.jsonable():
        raise BadInput("the grant does not repeat the terms that were asked for")
    time = clock.parse(str(predicate["time"]))
    people = approved(request, book, members, time, entry.index)
    return Grant(
        request.digest,
        terms,
        entry.index,
        str(predicate["time"]),
        _end(terms, time),
        len(people),
        people,
        request.reason,
    )


def _end(terms: Terms, granted: datetime) -> datetime:
    longest = granted + LONGEST
    if terms.expires:
        return min(clock.parse(terms.expires), longest)
    return granted + timedelta(seconds=terms.duration_s)


def _used(reads: Iterable[Recorded], less: Mapping[int, int]) -> dict[str, tuple[int, int, str]]:
    """Bytes, uses and the last use of every grant. A read through two grants charges both."""
    out: dict[str, tuple[int, int, str]] = {}
    for entry in reads:
        predicate: Mapping[str, Any] = entry.statement.predicate
        size = less.get(entry.index, predicate.get("size_bytes"))
        listed = predicate.get("grants")
        if not isinstance(listed, list):
            continue
        # a read that does not say how much it took has taken everything
        taken = size if isinstance(size, int) and size >= 0 else 1 << 62
        for grant in listed:
            total, uses, _ = out.get(str(grant), (0, 0, ""))
            out[str(grant)] = (total + taken, uses + 1, str(predicate.get("time", "")))
    return out
