"""Who is a member of the workspace, in which roles: from signed requests, walked in log order.

The account that made the workspace is its first owner. From then on a ``member`` statement
holds only under a request that an owner signed with their own key.
Source: ``docs/spec/access-v1.md``, "Members".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from sealwright.core import clock
from sealwright.core.errors import BadInput, SealError
from sealwright.core.predicates import MEMBER, WORKSPACE
from sealwright.core.records import Json, Recorded, Statement
from sealwright.evidence.history import History
from sealwright.evidence.trust import Trust
from sealwright.policy.approvals import Book, Request
from sealwright.policy.principals import Account, is_key_of

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


class Member(msgspec.Struct, frozen=True):
    """A member as log entry ``index`` left them; ``time`` is when."""

    name: str
    kind: Literal["person", "service"]
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
        self._now: dict[str, Member] = {}
        for entry in history.of_type(WORKSPACE, MEMBER):
            try:
                member = self._read(entry, book, trust)
            except (SealError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
                self.refused.append(f"entry {entry.index}: {error}")
                continue
            self.changes.append(member)
            self._now[member.name] = member

    @property
    def present(self) -> tuple[Member, ...]:
        """Who is a member now, longest first."""
        return tuple(m for m in self._now.values() if m.roles)

    @property
    def alone(self) -> bool:
        """Whether nobody but the first owner is a member."""
        return len(self.present) < 2

    def roles(self, name: str) -> tuple[str, ...]:
        """Somebody's roles now; none for a stranger."""
        member = self._now.get(name)
        return member.roles if member else ()

    def roles_at(self, name: str, index: int) -> tuple[str, ...]:
        """Somebody's roles just before log entry ``index``."""
        roles: tuple[str, ...] = ()
        for member in self.changes:
            if member.index >= index:
                break
            if member.name == name:
                roles = member.roles
        return roles

    def may_grant(self, name: str, resource: str, index: int) -> bool:
        """Whether somebody's roles let them approve grants on ``resource`` at that entry."""
        kind = resource.partition(":")[0]
        return not _MAY_GRANT.get(kind, frozenset()).isdisjoint(self.roles_at(name, index))

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
        roles = checked_roles(tuple(predicate["roles"]), empty=True)
        member = Member(
            str(predicate["member"]),
            msgspec.convert(predicate["kind"], Literal["person", "service"]),
            roles,
            entry.index,
            str(predicate["time"]),
        )
        owners = [m.name for m in self.present if "owner" in m.roles and m.name != member.name]
        if "owner" not in roles and not owners:
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


def checked_roles(roles: Sequence[str], *, empty: bool = False) -> tuple[str, ...]:
    """Sorted, known and unrepeated. Raises: BadInput."""
    if odd := sorted(set(roles) - set(ROLES)):
        raise BadInput(f"there is no role {odd[0]!r}", why=f"known: {', '.join(ROLES)}")
    if not roles and not empty:
        raise BadInput("a member has at least one role", why=f"known: {', '.join(ROLES)}")
    return tuple(sorted(set(roles)))


def asked(name: str, kind: str, roles: Sequence[str]) -> dict[str, Json]:
    """The parameters of the request for a membership. No roles: no longer a member."""
    listed: list[Json] = list(checked_roles(roles, empty=True))
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
