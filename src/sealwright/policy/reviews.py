"""Access reviews: every role and grant, when it was last certified, and whether it was ever used.

Source: ``docs/spec/access-v1.md``, "Reviews".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from sealwright.core import clock
from sealwright.core.errors import BadInput, SealError
from sealwright.core.predicates import ACCESS, READ, REVIEW
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.evidence.history import History
from sealwright.policy.approvals import Book, Request
from sealwright.policy.grants import Grant, Grants
from sealwright.policy.principals import Account
from sealwright.policy.roles import Member, Members
from sealwright.policy.teams import PREFIX, Team

ACTION = "access.review"
EVERY = timedelta(days=90)
_REVIEWERS = frozenset({"owner", "auditor"})


class Item(msgspec.Struct, frozen=True):
    """One permission that stands: a member's roles, who is in a team, a grant that is not over."""

    id: str
    kind: Literal["role", "team", "grant"]
    principal: str
    what: str
    since: str
    certified: str
    due: datetime
    last_used: str

    @property
    def never_used(self) -> bool:
        """Whether the log holds no use of it."""
        return not self.last_used

    def overdue(self, now: datetime) -> bool:
        """Whether nobody certified it in time."""
        return now >= self.due


class Reviews:
    """The certifications a history holds; what does not hold is in ``refused``."""

    def __init__(self, history: History, book: Book, members: Members) -> None:
        self.refused: list[str] = []
        self._certified: dict[str, str] = {}
        for entry in history.of_type(REVIEW):
            try:
                self._take(entry, book, members)
            except (SealError, KeyError, TypeError, ValueError) as error:
                self.refused.append(f"entry {entry.index}: {error}")

    def items(
        self, history: History, members: Members, grants: Grants, now: datetime
    ) -> list[Item]:
        """All that stands, roles and teams first. A grant is over once it ended or expired."""
        used = _last_uses(history)
        out = self._standing(members, used)
        out += [
            self._grant(grant)
            for grant in grants.all.values()
            if not grant.ended and now < grant.expires
        ]
        return out

    def overdue(self, members: Members, now: datetime) -> int:
        """Roles and teams that nobody certified in time. Someone alone reviews nobody."""
        if members.alone:
            return 0
        return sum(item.overdue(now) for item in self._standing(members, {}))

    def _standing(self, members: Members, used: Mapping[str, str]) -> list[Item]:
        out = [self._role(member, used) for member in members.present]
        return out + [self._team(team, members, used) for team in members.teams.present]

    def _take(self, entry: Recorded, book: Book, members: Members) -> None:
        predicate: Mapping[str, Any] = entry.statement.predicate
        if predicate["outcome"] != "certified":
            return
        request = book.requests.get(str(predicate["request"]))
        if request is None or request.action != ACTION:
            raise BadInput("nobody asked for this review")
        if request.params.get("item") != predicate["item"]:
            raise BadInput("the review is of something else than was signed")
        time = clock.parse(str(predicate["time"]))
        asker = request.requester
        if not book.tally(request, [], time, before=entry.index).self_approved:
            raise BadInput(f"{asker.name} did not sign it")
        if problem := refusal(members, asker, str(predicate["item"]), entry.index):
            raise BadInput(problem)
        self._certified[str(predicate["item"])] = str(predicate["time"])

    def _role(self, member: Member, used: Mapping[str, str]) -> Item:
        item = f"principal:{member.name}"
        certified = self._certified.get(item, "")
        return Item(
            item,
            "role",
            member.name,
            ", ".join(member.roles),
            member.time,
            certified,
            clock.parse(max(certified, member.time)) + EVERY,
            used.get(member.name, ""),
        )

    def _team(self, team: Team, members: Members, used: Mapping[str, str]) -> Item:
        """Used when one of its members last used a role: which of their roles is not recorded."""
        principal = PREFIX + team.name
        certified = self._certified.get(principal, "")
        held = members.own_roles(principal)
        since = max([team.time, *(m.time for m in members.changes if m.name == principal)])
        return Item(
            principal,
            "team",
            principal,
            f"{', '.join(held) or 'no roles'}: {', '.join(team.members)}",
            since,
            certified,
            clock.parse(max(certified, since)) + EVERY,
            max((used.get(name, "") for name in team.members), default=""),
        )

    def _grant(self, grant: Grant) -> Item:
        item = f"grant:{grant.id[:16]}"
        certified = self._certified.get(item, "")
        terms = grant.terms
        return Item(
            item,
            "grant",
            terms.principal,
            f"{terms.action} {terms.resource}" + (f" for {terms.purpose}" if terms.purpose else ""),
            grant.time,
            certified,
            clock.parse(max(certified, grant.time)) + EVERY,
            grant.last_used,
        )


def refusal(members: Members, reviewer: Account, item: str, index: int) -> str:
    """Why somebody may not certify an item; empty where they may."""
    if _REVIEWERS.isdisjoint(members.roles_at(reviewer.name, index)):
        return f"{reviewer.name} is neither owner nor auditor"
    others = [m for m in members.present if m.name != reviewer.name]
    able = [m for m in others if not _REVIEWERS.isdisjoint(m.roles)]
    if item == f"principal:{reviewer.name}" and able:
        return f"{reviewer.name} does not certify their own roles while {able[0].name} can"
    return ""


def statement_of(
    item: Artifact,
    outcome: str,
    request: Request | None,
    actor: Account,
    reason: str,
    now: datetime,
) -> Statement:
    """The REVIEW statement; a certification stands under a signed request."""
    predicate: dict[str, Json] = {
        "item": item.name,
        "outcome": outcome,
        "request": request.digest if request else "",
        "actor": actor.name,
        "reason": reason,
        "time": clock.stamp(now),
    }
    return Statement((item,), REVIEW, predicate)


def _last_uses(history: History) -> dict[str, str]:
    """When each principal last used a role: something allowed that needed no grant."""
    out: dict[str, str] = {}
    for entry in history.of_type(READ, ACCESS):
        predicate: Mapping[str, Any] = entry.statement.predicate
        if predicate.get("allowed") is True and not predicate.get("grants"):
            out[str(predicate.get("actor"))] = str(predicate.get("time"))
    return out
