"""``seal access``: asking for grants, giving them, ending them, and listing what stands."""

from __future__ import annotations

import argparse
from typing import Any

from sealwright.app import accessing
from sealwright.app.cli import access_approvals as approving
from sealwright.app.cli.access_teams import teams_json, teams_text
from sealwright.app.cli.access_words import grant_json, grant_text
from sealwright.app.cli.out import Out
from sealwright.app.wiring import Workspace
from sealwright.core import predicates as p
from sealwright.core import refs, settings
from sealwright.core.errors import BadInput
from sealwright.core.records import Artifact
from sealwright.evidence.history import History
from sealwright.intake.versions import Datasets
from sealwright.policy.accessdraw import Ledger
from sealwright.policy.approvals import Request
from sealwright.policy.grants import ACTION, GRANTABLE, PROJECT, Terms
from sealwright.policy.teams import PREFIX, check_principal
from sealwright.registry.versions import Models

_ANSWERS = (p.DECISION, p.POLICY_ACTIVATION, p.GRANT, p.GRANT_END, p.MEMBER, p.TEAM, p.REVIEW)


def request(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access request ACTION RESOURCE``, or ``REQUEST --out FILE``."""
    if args.what not in GRANTABLE:
        if args.resource or not args.out:
            raise BadInput(
                f"{args.what!r} cannot be granted",
                why=f"known: {', '.join(GRANTABLE)}",
                hint="seal access request train data:NAME --purpose P --until +2h --reason '...'",
            )
        return approving.write_request(workspace, args.what, args.out, out)
    principal = PREFIX + args.team.removeprefix(PREFIX) if args.team else workspace.principal.name
    terms, subject = _terms(workspace, args, check_principal(principal))
    asked = accessing.ask_grant(workspace, terms, subject, args.reason)
    if args.out:
        approving.save(workspace, asked.request, args.out)
    return _said(workspace, asked, args.out or "", out)


def grant(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access grant PRINCIPAL ACTION RESOURCE``."""
    terms, subject = _terms(workspace, args, check_principal(args.principal))
    asked = accessing.ask_grant(workspace, terms, subject, args.reason)
    return _said(workspace, asked, "", out)


def end(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access revoke`` and ``deny``."""
    outcome = "revoked" if args.word == "revoke" else "denied"
    ended = accessing.end_grant(workspace, args.grant, outcome, args.reason)
    for note in workspace.settle():
        out.note(note)
    out.emit({"grant": ended, "outcome": outcome}, f"{outcome}: {ended[:16]}")
    return 0


def list_(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """``seal access list``."""
    found = accessing.ledger(workspace)
    now = workspace.clock()
    asked = [_request_json(found, each, now) for each in found.book.requests.values()]
    open_ = [each for each in asked if args.all or not each["settled"]]
    stands = [
        grant_json(each)
        for each in found.grants.all.values()
        if args.all or (not each.ended and now < each.expires)
    ]
    members = [
        {"name": m.name, "kind": m.kind, "roles": list(m.roles), "since": m.time}
        for m in found.members.present
    ]
    shape = {
        "requests": open_,
        "grants": stands,
        "members": members,
        "teams": teams_json(found.members),
        "not_accepted": list(found.refused),
    }
    out.emit(shape, lambda: _list_text(shape, found, out))
    return 0


def _said(workspace: Workspace, asked: accessing.Asked, file: str, out: Out) -> int:
    for note in workspace.settle():
        out.note(note)
    digest = asked.request.digest
    shape = {
        "request": digest,
        "terms": asked.terms.jsonable(),
        "granted": asked.grant is not None,
        "grant": grant_json(asked.grant) if asked.grant else None,
        "file": file,
    }
    if asked.grant:
        text = f"granted: {grant_text(asked.grant)}"
    else:
        text = (
            f"asked: {asked.terms.action} {asked.terms.resource} ({digest[:16]})\n"
            f"somebody who may grant it: seal access approve {digest[:16]} --reason '...'"
        )
    out.emit(shape, text)
    return 0


def _terms(
    workspace: Workspace, args: argparse.Namespace, principal: str
) -> tuple[Terms, Artifact]:
    now = workspace.clock()
    expires, duration = accessing.until(args.until, now)
    resource, digest, subject = _resource(workspace, args.resource)
    terms = Terms(
        principal=principal,
        action=args.what,
        resource=resource,
        digest=digest,
        purpose=args.purpose.strip(),
        not_before=accessing.moment(args.not_before, now) if args.not_before else "",
        expires=expires,
        duration_s=duration,
        bytes=settings.size_bytes(args.bytes) if args.bytes else 0,
    )
    return terms, subject


def _resource(workspace: Workspace, text: str | None) -> tuple[str, str, Artifact]:
    """What a grant is about, its digest where one version is meant, and the subject."""
    if not text:
        raise BadInput("a grant is about something", hint="data:NAME, data:NAME@N or project")
    if text == PROJECT:
        return PROJECT, "", accessing.whole_project(workspace)
    ref = refs.parse(text)
    if ref.kind == "run":
        raise BadInput("a run is nothing to grant access to", hint="data:NAME or model:NAME")
    name = f"{ref.kind}:{ref.name}"
    if "@" not in text:
        return name, "", accessing.whole_project(workspace, name)
    history = workspace.history()
    if ref.kind == "data":
        found = Datasets(history, workspace.store).resolve(ref).artifact
    else:
        model = Models(history).resolve(ref)
        found = Artifact(model.ref, model.digest)
    return found.name, found.digest, found


def _request_json(found: Ledger, request: Request, now: Any) -> dict[str, Any]:
    objection = found.members.objection(request.action)
    tally = found.book.tally(request, [], now, before=found.history.size, objection=objection)
    return {
        "request": request.digest,
        "action": request.action,
        "subjects": [s.name for s in request.subjects],
        "params": dict(request.params),
        "requester": request.requester.name,
        "reason": request.reason,
        "time": request.time,
        "approvers": list(tally.people),
        "self_approved": tally.self_approved,
        "ignored": list(tally.ignored),
        "settled": _settled(found.history, request),
    }


def _settled(history: History, request: Request) -> bool:
    """Whether the log shows an answer to what was asked for."""
    return any(
        entry.index > request.index
        and request.digest
        in (entry.statement.predicate.get("request"), entry.statement.predicate.get("grant"))
        and entry.statement.predicate.get("allowed", True) is True
        for entry in history.of_type(*_ANSWERS)
    )


def _list_text(shape: dict[str, Any], found: Ledger, out: Out) -> str:
    parts = []
    if shape["requests"]:
        cells = [
            (
                row["request"][:16],
                row["action"],
                _about(row),
                row["requester"],
                ", ".join(row["approvers"]) or "-",
                row["reason"] or "-",
            )
            for row in shape["requests"]
        ]
        head = ["request", "action", "about", "asked by", "approved by", "because"]
        parts.append(out.table(cells, head))
    if shape["grants"]:
        cells = [
            (
                row["grant"][:16],
                row["principal"],
                row["action"],
                row["resource"],
                row["purpose"] or "-",
                row["ended"] or row["expires"],
            )
            for row in shape["grants"]
        ]
        parts.append(out.table(cells, ["grant", "who", "may", "on", "for", "until"]))
    if not found.members.alone:
        who = [(m["name"], ", ".join(m["roles"]), m["since"]) for m in shape["members"]]
        parts.append(out.table(who, ["member", "roles", "since"]))
    if shape["teams"]:
        parts.append(teams_text(shape["teams"], out))
    parts += [f"does not count: {line}" for line in shape["not_accepted"]]
    return "\n\n".join(parts) or "nothing is asked for"


def _about(row: dict[str, Any]) -> str:
    if row["action"] != ACTION:
        return ", ".join(row["subjects"])
    return f"{row['params'].get('action')} {row['params'].get('resource')}"
