"""Members, teams and reviews as the commands change them, each signed by whoever decides."""

from __future__ import annotations

from collections.abc import Sequence

from sealwright.app import accessing
from sealwright.app.wiring import Workspace
from sealwright.core.errors import BadInput, GateDenied
from sealwright.core.records import Artifact, Receipt
from sealwright.policy import containment, grants, reviews, roles, teams
from sealwright.policy.accessdraw import Ledger


def set_roles(
    workspace: Workspace, name: str, held: Sequence[str], reason: str, kind: str = "person"
) -> Receipt:
    """Make somebody a member, change their roles, or (no roles) let them go.

    ``name`` may be ``team:NAME``. Signed with the present principal's own key, who must be an
    owner. Raises: BadInput, GateDenied.
    """
    kind = "team" if teams.is_team(name) else kind
    subject = containment.principal(name)
    params = roles.asked(name, kind, held)
    with workspace.lock():
        members = accessing.ledger(workspace).members
        accessing.refuse_lesser(members.roles(workspace.principal.name), "decides about members")
        kept = [m.name for m in members.present if "owner" in m.roles and m.name != name]
        if kind == "team":
            accessing.refuse_no_team(members, name)
        elif "owner" not in held and not kept:
            raise BadInput("a workspace keeps an owner", hint="make somebody else an owner first")
        accessing.require(workspace, "administer", [subject], reason=reason)
        request = accessing.signed(workspace, roles.ACTION, [subject], params, reason)
        statement = roles.statement_of(request, accessing.account_of(workspace), workspace.clock())
        return workspace.recorder.record(statement)


def set_team(workspace: Workspace, name: str, members: Sequence[str], reason: str) -> Receipt:
    """Say who is in a team from here on; nobody: there is no such team any more.

    Signed with the present principal's own key, who must be an owner. Raises: BadInput,
    GateDenied.
    """
    params = teams.asked(name, members)
    subject = teams.subject_of(name)
    with workspace.lock():
        found = accessing.ledger(workspace).members
        accessing.refuse_lesser(found.roles(workspace.principal.name), "decides about teams")
        if strangers := sorted(set(members) - {one.name for one in found.present}):
            raise BadInput(
                f"{strangers[0]} is no member",
                why="a team is made of members of the workspace",
                hint=f"an owner: seal access role {strangers[0]} ml-engineer --reason '...'",
            )
        if not members:
            accessing.refuse_no_team(found, teams.PREFIX + name)
        accessing.require(workspace, "administer", [subject], reason=reason)
        request = accessing.signed(workspace, teams.ACTION, [subject], params, reason)
        statement = teams.statement_of(request, accessing.account_of(workspace), workspace.clock())
        return workspace.recorder.record(statement)


def certify(workspace: Workspace, item: reviews.Item, reason: str) -> Receipt:
    """Sign that a permission is still needed. Raises: GateDenied (not yours to certify)."""
    with workspace.lock():
        found = accessing.ledger(workspace)
        account = accessing.account_of(workspace)
        if problem := reviews.refusal(found.members, account, item.id, found.history.size):
            raise GateDenied(
                f"{item.id} cannot be certified by you",
                why=problem,
                rule="access.review",
                hint="an owner or auditor: seal access review --certify " + item.id,
            )
        subject = _subject_of(item, found)
        request = accessing.signed(workspace, reviews.ACTION, [subject], {"item": item.id}, reason)
        statement = reviews.statement_of(
            subject, "certified", request, account, reason, workspace.clock()
        )
        return workspace.recorder.record(statement)


def withdraw(workspace: Workspace, item: reviews.Item, reason: str) -> Receipt:
    """Take a permission away in a review: end the grant, or let the member go."""
    with workspace.lock():
        subject = _subject_of(item, accessing.ledger(workspace))
        if item.kind == "grant":
            accessing.end_grant(workspace, subject.digest, "revoked", reason)
        elif item.kind == "team":
            set_team(workspace, item.principal.removeprefix(teams.PREFIX), (), reason)
        else:
            set_roles(workspace, item.principal, (), reason)
        statement = reviews.statement_of(
            subject, "revoked", None, accessing.account_of(workspace), reason, workspace.clock()
        )
        return workspace.recorder.record(statement)


def _subject_of(item: reviews.Item, found: Ledger) -> Artifact:
    if item.kind == "role":
        return containment.principal(item.principal)
    if item.kind == "team":
        return teams.subject_of(item.principal.removeprefix(teams.PREFIX))
    (grant,) = [g for g in found.grants.all if grants.subject_of(g).name == item.id]
    return grants.subject_of(grant)
