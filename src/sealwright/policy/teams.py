"""Teams: a name for several members. What names a team is judged by who is in it at that time.

Grants and roles can name ``team:NAME``; a team approves nothing and holds no other team.
Source: ``docs/spec/access-v1.md``, "Teams".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from sealwright.core import clock
from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput
from sealwright.core.predicates import TEAM
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.core.refs import check_name
from sealwright.policy.approvals import Request
from sealwright.policy.principals import Account

ACTION = "access.team"
PREFIX = "team:"


class Team(msgspec.Struct, frozen=True):
    """A team as log entry ``index`` left it; ``time`` is when. No members: it is gone."""

    name: str
    members: tuple[str, ...]
    index: int
    time: str


class Teams:
    """Who was in which team when. Filled in log order by ``roles.Members``."""

    def __init__(self) -> None:
        self.changes: list[Team] = []
        self._now: dict[str, Team] = {}

    def take(self, team: Team) -> None:
        """A team is from here on what ``team`` says."""
        self.changes.append(team)
        self._now[team.name] = team

    def let_go(self, name: str, index: int, time: str) -> None:
        """Who is no member of the workspace is in no team."""
        for team in [each for each in self._now.values() if name in each.members]:
            left = tuple(one for one in team.members if one != name)
            self.take(Team(team.name, left, index, time))

    @property
    def present(self) -> tuple[Team, ...]:
        """The teams that have members now."""
        return tuple(team for team in self._now.values() if team.members)

    def members(self, principal: str) -> tuple[str, ...]:
        """Who ``team:NAME`` stands for now; nobody where it is no team."""
        team = self._now.get(principal.removeprefix(PREFIX)) if is_team(principal) else None
        return team.members if team else ()

    def members_at(self, principal: str, index: int) -> tuple[str, ...]:
        """Who ``team:NAME`` stood for just before log entry ``index``."""
        members: tuple[str, ...] = ()
        for team in self.changes:
            if team.index >= index:
                break
            if PREFIX + team.name == principal:
                members = team.members
        return members

    def of(self, name: str) -> tuple[str, ...]:
        """The teams somebody is in now, as principals."""
        return tuple(sorted(PREFIX + t.name for t in self.present if name in t.members))

    def of_at(self, name: str, index: int) -> tuple[str, ...]:
        """The teams somebody was in just before log entry ``index``, as principals."""
        found: dict[str, bool] = {}
        for team in self.changes:
            if team.index >= index:
                break
            found[PREFIX + team.name] = name in team.members
        return tuple(sorted(team for team, inside in found.items() if inside))


def is_team(principal: str) -> bool:
    """Whether a principal is ``team:NAME``."""
    return principal.startswith(PREFIX)


def check_principal(text: str) -> str:
    """A person's or service's name, or ``team:NAME``. Raises: BadInput."""
    check_name(text.removeprefix(PREFIX))
    return text


def checked_members(members: Sequence[str]) -> tuple[str, ...]:
    """Sorted and unrepeated names, none of them a team. Raises: BadInput."""
    if nested := next((name for name in members if is_team(name)), ""):
        raise BadInput(
            f"{nested} cannot be in a team",
            why="a team holds people and services, so that one look says who is in it",
            hint="name its members",
        )
    return tuple(sorted({check_name(name) for name in members}))


def asked(name: str, members: Sequence[str]) -> dict[str, Json]:
    """The parameters of the request for a team as it shall be. No members: no longer a team."""
    listed: list[Json] = list(checked_members(members))
    return {"team": check_name(name), "members": listed}


def subject_of(name: str) -> Artifact:
    """A team as a statement's subject."""
    return Artifact(PREFIX + name, of_bytes((PREFIX + name).encode()))


def statement_of(request: Request, actor: Account, now: datetime) -> Statement:
    """The TEAM statement that answers a request, once it is signed."""
    predicate: dict[str, Json] = {
        **{name: request.params[name] for name in _ASKED},
        "request": request.digest,
        "actor": actor.name,
        "reason": request.reason,
        "time": clock.stamp(now),
    }
    return Statement(request.subjects, TEAM, predicate)


def read(entry: Recorded, known: Iterable[str]) -> Team:
    """A team from its entry; ``known`` are the members of the workspace. Raises: BadInput, …"""
    predicate: Mapping[str, Any] = entry.statement.predicate
    members = checked_members(msgspec.convert(predicate["members"], tuple[str, ...]))
    if strangers := sorted(set(members) - set(known)):
        raise BadInput(f"{strangers[0]} is no member of the workspace")
    name, time = check_name(str(predicate["team"])), str(predicate["time"])
    return Team(name, members, entry.index, time)


def is_asked(entry: Recorded, request: Request | None) -> bool:
    """Whether the statement says what its request asked for."""
    predicate: Mapping[str, Any] = entry.statement.predicate
    return (
        request is not None
        and request.action == ACTION
        and all(request.params.get(name) == predicate[name] for name in _ASKED)
    )


_ASKED = ("team", "members")
