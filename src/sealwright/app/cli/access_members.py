"""``seal access``: who you are, members and roles, reviews, purposes, and the audit."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from sealwright.app import accessing, gating, memberships
from sealwright.app.cli.out import Out
from sealwright.app.wiring import Workspace
from sealwright.core import clock, refs
from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.predicates import ACCESS, READ
from sealwright.core.records import Artifact, Recorded
from sealwright.evidence.history import History
from sealwright.evidence.lineage import Graph
from sealwright.evidence.trust import Trust
from sealwright.intake.versions import Datasets
from sealwright.policy import accessreplay, views
from sealwright.policy.accessdraw import Ledger
from sealwright.policy.principals import is_key_of
from sealwright.policy.reviews import Item
from sealwright.policy.teams import check_principal, is_team
from sealwright.registry.versions import Models


def whoami(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access whoami``."""
    context = gating.context_of(workspace)
    account, established = context.account, context.principal.established
    known = is_key_of(workspace.trust, account.name, account.key_id, workspace.log.size())
    found = accessing.ledger(workspace)
    held = found.members.roles(account.name)
    inside = found.members.teams.of(account.name)
    mend = "" if known else f"\nmend: seal access enroll {account.name} --reason '...'"
    shape = {
        **account.jsonable(),
        "established": established,
        "trusted": known,
        "profile": workspace.profile,
        "roles": list(held),
        "teams": list(inside),
        "alone": found.members.alone,
    }
    out.emit(
        shape,
        f"{account.name}  key {account.key_id[:16]}  uid {account.uid}  host {account.host}\n"
        f"{established}; the trust root {'lists' if known else 'does NOT list'} this key{mend}\n"
        f"roles: {', '.join(held) or 'none'}" + (f"\nteams: {', '.join(inside)}" if inside else ""),
    )
    return 0


def role(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access role NAME ROLE...``."""
    name = check_principal(args.name)
    held = [one for text in args.role for one in text.split(",") if one]
    kind = "team" if is_team(name) else "service" if args.service else "person"
    receipt = memberships.set_roles(workspace, name, held, args.reason, kind)
    for note in workspace.settle():
        out.note(note)
    said = f"{name} is {', '.join(held)}" if held else f"{name} is no longer a member"
    if kind == "team" and not held:
        said = f"{name} has no roles"
    shape = {"member": name, "kind": kind, "roles": sorted(held), "index": receipt.index}
    out.emit(shape, f"{said} (log entry {receipt.index})")
    return 0


def review(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access review``."""
    now = workspace.clock()
    if args.certify and args.revoke:
        raise BadInput("either --certify or --revoke")
    for ID, act in ((args.certify, memberships.certify), (args.revoke, memberships.withdraw)):
        if ID:
            if not args.reason.strip():
                raise BadInput("a review says why", hint="repeat it with --reason '...'")
            act(workspace, _item(workspace, ID, now), args.reason)
            for note in workspace.settle():
                out.note(note)
    items = _items(workspace, now)
    rows = [_item_json(item, now) for item in items]
    overdue = sum(row["overdue"] for row in rows)
    shape = {
        "items": rows,
        "overdue": overdue,
        "never_used": [row["id"] for row in rows if row["never_used"]],
        "not_accepted": list(accessing.ledger(workspace).refused),
    }
    out.emit(shape, lambda: _review_text(rows, overdue, out))
    return 0


def purposes(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access purposes REF``."""
    history = workspace.history()
    ref = refs.parse(args.ref, "data")
    if ref.kind == "model":
        model = Models(history).resolve(ref)
        artifact = Artifact(model.ref, model.digest)
    else:
        artifact = Datasets(history, workspace.store).resolve(ref).artifact
    active = gating.policies_of(workspace).access
    left = views.purposes_of([artifact], active.views, Graph.of(history)) if active else None
    shape = {
        "ref": artifact.name,
        "limited": left is not None,
        "purposes": sorted(left) if left is not None else [],
    }
    words = "any purpose" if left is None else ", ".join(sorted(left)) or "no purpose at all"
    out.emit(shape, f"{artifact.name}: {words}")
    return 0


def audit(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access audit``: exits 1 where one decision does not follow from the log."""
    return _audited(workspace.history(), workspace.trust, out)


def audit_copy(args: argparse.Namespace, out: Out) -> int:
    """The same from a copied ``.seal`` (its ``tiles`` and ``trust``), without any key."""
    from sealwright.app import wiring

    if not args.trust:
        raise BadInput("whose log is it?", hint="add --trust FINGERPRINT, from somebody you trust")
    return _audited(*wiring.copied(Path(args.copy), args.trust), out)


def _audited(history: History, trust: Trust, out: Out) -> int:
    found = Ledger(history, trust)
    rows = [_replayed(entry, history, trust) for entry in history.of_type(READ, ACCESS)]
    bad = [row for row in rows if not row["replayed"]]
    shape = {
        "decisions": rows,
        "failed": len(bad),
        "backwards": list(found.backwards()),
        "not_accepted": list(found.refused),
    }
    out.emit(shape, lambda: _audit_text(shape, out))
    return 1 if bad or shape["backwards"] or found.refused else 0


def _replayed(entry: Recorded, history: History, trust: Trust) -> dict[str, Any]:
    predicate = entry.statement.predicate
    row: dict[str, Any] = {
        "index": entry.index,
        "actor": predicate.get("actor"),
        "action": predicate.get("action"),
        "allowed": predicate.get("allowed"),
        "subjects": [s.name for s in entry.statement.subjects],
        "purpose": predicate.get("purpose"),
        "size_bytes": predicate.get("size_bytes"),
        "time": predicate.get("time"),
        "replayed": True,
        "why": "",
    }
    try:
        accessreplay.replay(entry, history, trust)
    except (VerifyError, Unavailable) as error:
        row["replayed"], row["why"] = False, error.why or error.what
    return row


def _items(workspace: Workspace, now: datetime) -> list[Item]:
    found = accessing.ledger(workspace)
    return found.reviews.items(found.history, found.members, found.grants, now)


def _item(workspace: Workspace, text: str, now: datetime) -> Item:
    """One item by its id, or the beginning of a grant's. Raises: BadInput."""
    items = _items(workspace, now)
    found = [each for each in items if text in (each.id, each.id.partition(":")[2])]
    if not found and len(text.removeprefix("grant:")) >= 8:
        wanted = f"grant:{text.removeprefix('grant:')}"
        found = [each for each in items if each.id.startswith(wanted[:22]) and each.kind == "grant"]
    if len(found) != 1:
        raise BadInput(f"{text!r} is nothing that stands", hint="seal access review")
    return found[0]


def _item_json(item: Item, now: datetime) -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "principal": item.principal,
        "what": item.what,
        "since": item.since,
        "certified": item.certified,
        "due": clock.stamp(item.due),
        "overdue": item.overdue(now),
        "last_used": item.last_used,
        "never_used": item.never_used,
    }


def _review_text(rows: list[dict[str, Any]], overdue: int, out: Out) -> str:
    cells = [
        (
            row["id"],
            row["principal"],
            row["what"],
            f"{row['due']}{' OVERDUE' if row['overdue'] else ''}",
            row["last_used"] or "never",
        )
        for row in rows
    ]
    table = out.table(cells, ["id", "who", "what", "review due", "last used"])
    return f"{table}\n{overdue} overdue" if cells else "nothing to review"


def _audit_text(shape: dict[str, Any], out: Out) -> str:
    cells = [
        (
            str(row["index"]),
            row["time"],
            row["actor"],
            row["action"],
            ", ".join(row["subjects"]),
            row["purpose"] or "-",
            f"{row['size_bytes']:,}" if isinstance(row["size_bytes"], int) else "?",
            "allowed" if row["allowed"] else "refused",
            "follows" if row["replayed"] else f"DOES NOT FOLLOW: {row['why']}",
        )
        for row in shape["decisions"]
    ]
    head = ["entry", "time", "who", "did", "to", "for", "bytes", "was", "from the log"]
    lines = [out.table(cells, head) if cells else "no access was judged yet"]
    lines += [f"the clock went back: {line}" for line in shape["backwards"]]
    lines += [f"does not count: {line}" for line in shape["not_accepted"]]
    return "\n".join(lines)
