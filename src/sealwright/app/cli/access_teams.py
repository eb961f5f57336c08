"""``seal access team``: several members under one name."""

from __future__ import annotations

import argparse
from typing import Any

from sealwright.app import accessing, memberships
from sealwright.app.cli.out import Out
from sealwright.app.wiring import Workspace
from sealwright.core.errors import BadInput
from sealwright.policy.roles import Members
from sealwright.policy.teams import PREFIX, checked_members


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access team add|remove|list``."""
    if args.does == "list":
        rows = teams_json(accessing.ledger(workspace).members)
        out.emit({"teams": rows}, lambda: teams_text(rows, out) or "no teams")
        return 0
    name = args.team.removeprefix(PREFIX)
    named = set(checked_members(args.members))
    with workspace.lock():
        before = set(accessing.ledger(workspace).members.teams.members(PREFIX + name))
        if args.does == "remove" and (strange := sorted(named - before)):
            raise BadInput(f"{strange[0]} is not in team:{name}", hint="seal access team list")
        after = before | named if args.does == "add" else before - named if named else set()
        receipt = memberships.set_team(workspace, name, sorted(after), args.reason)
    for note in workspace.settle():
        out.note(note)
    said = f"team:{name} is {', '.join(sorted(after))}" if after else f"team:{name} is no more"
    out.emit(
        {"team": name, "members": sorted(after), "index": receipt.index},
        f"{said} (log entry {receipt.index})",
    )
    return 0


def teams_json(members: Members) -> list[dict[str, Any]]:
    """The stable shape of the teams there are (docs/reference/json-access.md)."""
    return [
        {
            "team": team.name,
            "members": list(team.members),
            "roles": list(members.own_roles(PREFIX + team.name)),
            "since": team.time,
        }
        for team in members.teams.present
    ]


def teams_text(rows: list[dict[str, Any]], out: Out) -> str:
    """A table for people; nothing where there is no team."""
    cells = [
        (PREFIX + r["team"], ", ".join(r["members"]), ", ".join(r["roles"]) or "-", r["since"])
        for r in rows
    ]
    return out.table(cells, ["team", "members", "roles", "since"]) if cells else ""
