"""Who is a member of the workspace, in which roles and teams: from signed requests, in log order.

The account that made the workspace is its first owner. From then on a ``member`` or ``team``
statement holds only under a request that an owner signed with their own key.
Source: ``docs/spec/access-v1.md``, "Members" and "Teams".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from weakref import WeakKeyDictionary

import msgspec

from sealwright.core import clock
from sealwright.core.errors import BadInput, SealError
from sealwright.core.predicates import MEMBER, TEAM, WORKSPACE
from sealwright.core.records import Json, Recorded, Statement
from sealwright.evidence.history import History
from sealwright.evidence.trust import Trust
from sealwright.policy import teams
from sealwright.policy.approvals import Approval, Book, Request
from sealwright.policy.principals import Account, is_key_of
from sealwright.policy.teams import Teams

ROLES = (
    "owner",
    "data-steward",
    "ml-engineer",
    "reviewer",
    "release-manager",
    "auditor",
    "service",
)
ACTION = "access.member"

_MAY_GRANT = {
    "data": frozenset({"owner", "data-steward"}),
    "model": frozenset({"owner", "reviewer", "release-manager"}),
    "project": frozenset({"owner"}),
}
_DECIDERS = frozenset({"owner", "reviewer", "release-manager"})
_OTHERS = frozenset({"owner", "data-steward", "reviewer", "release-manager", "auditor"})
MAY_APPROVE = {
    "train": frozenset({"owner", "data-steward", "reviewer"}),
    "register": _DECIDERS,
    "promote": _DECIDERS,
    "export": _DECIDERS,
    "serve": _DECIDERS,
    "readmit": _OTHERS,
    "policy.activate": _OTHERS,
    "containment.release": _OTHERS,
    "access.destroy": _OTHERS,
    "access.egress": _OTHERS,
    "supply.waive": _OTHERS,
    "supply.allow": _OTHERS,
    "quarantine.release": frozenset({"owner", "data-steward", "reviewer"}),
}
"""Whose approval counts for what people approve."""

_OWN_RULES = frozenset({ACTION, teams.ACTION, "access.grant", "access.review", "data.verify"})
"""Judged by what is asked for: see :meth:`Members.may_grant` and ``policy.reviews``."""


class Member(msgspec.Struct, frozen=True):
    """A member as log entry ``index`` left them; ``time`` is when. A team has roles as one."""

    name: str
    kind: Literal["person", "service", "team"]
    roles: tuple[str, ...]
    index: int
    time: str


class Members:
    """Every membership a history holds. What does not hold is in ``refused``, and changes nothing.

    ``changes`` lists them in log order; nobody is a member before their first.
    """

    def __init__(self, history: History, book: Book, trust: Trust | None) -> None:
        self.changes: list[Member] = []
        self.refused: list[str] = []
        self.teams = Teams()
        self._now: dict[str, Member] = {}
        for entry in history.of_type(WORKSPACE, MEMBER, TEAM):
            try:
                if entry.statement.predicate_type == TEAM:
                    self._take_team(entry, book, trust)
                else:
                    self._take(self._read(entry, book, trust))
            except (SealError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
                self.refused.append(f"entry {entry.index}: {error}")

    @property
    def present(self) -> tuple[Member, ...]:
        """Who is a member now, longest first. A team is none."""
        return tuple(m for m in self._now.values() if m.roles and m.kind != "team")

    @property
    def alone(self) -> bool:
        """Whether nobody but the first owner is a member."""
        return len(self.present) < 2

    def roles(self, name: str) -> tuple[str, ...]:
        """Somebody's roles now, their own and their teams'; none for a stranger."""
        return _with(self.own_roles(name), (self.own_roles(t) for t in self.teams.of(name)))

    def own_roles(self, name: str) -> tuple[str, ...]:
        """What was given to just this name, which may be a team's."""
        member = self._now.get(name)
        return member.roles if member else ()

    def roles_at(self, name: str, index: int) -> tuple[str, ...]:
        """Somebody's roles just before log entry ``index``."""
        given: dict[str, tuple[str, ...]] = {}
        for member in self.changes:
            if member.index >= index:
                break
            given[member.name] = member.roles
        inside = self.teams.of_at(name, index)
        return _with(given.get(name, ()), (given.get(team, ()) for team in inside))

    def grantees(self, principal: str, index: int) -> tuple[str, ...]:
        """Whom a grant to ``principal`` reaches at that entry: a team's members, or just them."""
        return self.teams.members_at(principal, index) if teams.is_team(principal) else (principal,)

    def objection(self, action: str) -> Callable[[Approval], str] | None:
        """Says why an approval of ``action`` does not count: by the roles when it was given."""
        if action in _OWN_RULES:
            return None
        may = MAY_APPROVE.get(action, frozenset())

        def why(approval: Approval) -> str:
            name = approval.approver.name
            held = self.roles_at(name, approval.index)
            return f"{name} held no role that may approve {action}" if may.isdisjoint(held) else ""

        return why

    def may_approve(self, action: str, name: str) -> bool:
        """Whether somebody's approval of ``action`` would count by the roles they have now."""
        return not MAY_APPROVE.get(action, frozenset()).isdisjoint(self.roles(name))

    def may_grant(self, name: str, resource: str, index: int) -> bool:
        """Whether somebody's roles let them approve grants on ``resource`` at that entry."""
        kind = resource.partition(":")[0]
        return not _MAY_GRANT.get(kind, frozenset()).isdisjoint(self.roles_at(name, index))

    def _take(self, member: Member) -> None:
        self.changes.append(member)
        self._now[member.name] = member
        if not member.roles and member.kind != "team":
            self.teams.let_go(member.name, member.index, member.time)

    def _take_team(self, entry: Recorded, book: Book, trust: Trust | None) -> None:
        predicate: Mapping[str, Any] = entry.statement.predicate
        request = book.requests.get(str(predicate["request"]))
        if request is None or not teams.is_asked(entry, request):
            raise BadInput("it is not the team that was asked for")
        self._refuse_unsigned(request, book, trust, entry)
        team = teams.read(entry, [member.name for member in self.present])
        self.teams.take(team)
        if not team.members:
            # roles of a team that is gone must not come back with another team of its name
            self._take(Member(teams.PREFIX + team.name, "team", (), team.index, team.time))

    def _read(self, entry: Recorded, book: Book, trust: Trust | None) -> Member:
        predicate: Mapping[str, Any] = entry.statement.predicate
        if entry.statement.predicate_type == WORKSPACE:
            if self.changes:
                raise BadInput("a workspace has one beginning")
            actor = str(predicate["actor"])
            return Member(actor, "person", ("owner",), entry.index, str(predicate["time"]))
        request = book.requests.get(str(predicate["request"]))
        if request is None or request.action != ACTION:
            raise BadInput("nobody asked for this membership")
        if any(request.params.get(name) != predicate[name] for name in _ASKED):
            raise BadInput("it is not the membership that was asked for")
        self._refuse_unsigned(request, book, trust, entry)
        name = str(predicate["member"])
        kind = msgspec.convert(predicate["kind"], Literal["person", "service", "team"])
        roles = roles_for(name, kind, tuple(predicate["roles"]))
        if kind == "team" and not self.teams.members(name):
            raise BadInput(f"there is no {name}")
        member = Member(name, kind, roles, entry.index, str(predicate["time"]))
        owners = [m.name for m in self.present if "owner" in m.roles and m.name != member.name]
        if kind != "team" and "owner" not in roles and not owners:
            raise BadInput("a workspace keeps an owner")
        return member

    def _refuse_unsigned(
        self, request: Request, book: Book, trust: Trust | None, entry: Recorded
    ) -> None:
        asker = request.requester
        if "owner" not in self.roles(asker.name):
            raise BadInput(f"{asker.name} is no owner")
        if not is_key_of(trust, asker.name, asker.key_id, entry.index):
            raise BadInput(f"the trust root lists no such key of {asker.name}")
        tally = book.tally(
            request, [], clock.parse(str(entry.statement.predicate["time"])), before=entry.index
        )
        if not tally.self_approved:
            raise BadInput(f"{asker.name} did not sign it")


def _with(own: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """A team adds to what a member has; it makes nobody a member."""
    return tuple(sorted({*own, *(role for held in others for role in held)})) if own else ()


_OF: WeakKeyDictionary[Book, Members] = WeakKeyDictionary()


def members_of(history: History, book: Book) -> Members:
    """The memberships of a book's history, read once, under the trust root it was verified with."""
    found = _OF.get(book)
    if found is None:
        found = _OF[book] = Members(history, book, book.trust)
    return found


def checked_roles(roles: Sequence[str], *, empty: bool = False) -> tuple[str, ...]:
    """Sorted, known and unrepeated. Raises: BadInput."""
    if odd := sorted(set(roles) - set(ROLES)):
        raise BadInput(f"there is no role {odd[0]!r}", why=f"known: {', '.join(ROLES)}")
    if not roles and not empty:
        raise BadInput("a member has at least one role", why=f"known: {', '.join(ROLES)}")
    return tuple(sorted(set(roles)))


def roles_for(name: str, kind: str, roles: Sequence[str]) -> tuple[str, ...]:
    """The roles somebody may be given. Raises: BadInput."""
    if teams.is_team(name) is not (kind == "team"):
        raise BadInput(f"{name} is no {kind}")
    if kind == "team" and "owner" in roles:
        raise BadInput(
            f"{name} cannot be owner",
            why="whoever could put somebody into the team would make an owner",
            hint="name the people: seal access role NAME owner (members: seal access team list)",
        )
    return checked_roles(roles, empty=True)


def asked(name: str, kind: str, roles: Sequence[str]) -> dict[str, Json]:
    """The parameters of the request for a membership. No roles: no longer a member."""
    listed: list[Json] = list(roles_for(name, kind, roles))
    return {"member": name, "kind": kind, "roles": listed}


def statement_of(request: Request, actor: Account, now: datetime) -> Statement:
    """The MEMBER statement that answers a request, once it is signed."""
    predicate: dict[str, Json] = {
        **{name: request.params[name] for name in _ASKED},
        "request": request.digest,
        "actor": actor.name,
        "reason": request.reason,
        "time": clock.stamp(now),
    }
    return Statement(request.subjects, MEMBER, predicate)


_ASKED = ("member", "kind", "roles")
