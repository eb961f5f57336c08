"""Approving what others ask for, here or from another account, and the keys that do it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace
    from sealwright.core.ports import Signer
    from sealwright.core.records import Statement
    from sealwright.policy.approvals import Request
    from sealwright.policy.principals import Account

_MOST_BYTES = 1 << 16


def approve(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Sign a request with your own key."""
    from sealwright.policy import approvals

    account = account_of(workspace)
    signer = workspace.signer
    with workspace.lock():
        request = approvals.find(workspace.history(), args.request)
        statement = approvals.approve(request, signer, account, args.reason, workspace.clock())
        return _record(workspace, statement, request, out)


def _record(workspace: Workspace, statement: Statement, request: Request, out: Out) -> int:
    """Append an approval, and say whether it counts."""
    from sealwright.app import accessing
    from sealwright.app.cli.access_words import grant_json, grant_text
    from sealwright.policy.approvals import Book
    from sealwright.policy.roles import members_of

    receipt = workspace.recorder.record(statement)
    history = workspace.history()
    book = Book(history, workspace.trust)
    objection = members_of(history, book).objection(request.action)
    tally = book.tally(request, [], workspace.clock(), before=history.size, objection=objection)
    ignored = [note for note in tally.ignored if note.startswith(f"entry {receipt.index}:")]
    own = bool(statement.predicate["self_approved"])
    shape: dict[str, Any] = {
        "request": request.digest,
        "index": receipt.index,
        "self_approved": own,
        "approvers": list(tally.people),
        "ignored": ignored,
    }
    grant = accessing.answer(workspace, request)
    text = f"approved {request.action} ({request.digest[:16]}), log entry {receipt.index}"
    if grant is not None:
        shape["grant"] = grant_json(grant)
        text += f"\ngranted: {grant_text(grant)}"
    elif own:
        text += "\nyour own request: recorded as self-approved; team and regulated do not count it"
    out.emit(shape, "\n".join([text, *(f"does not count: {note}" for note in ignored)]))
    return 0


def write_request(workspace: Workspace, text: str, file: str, out: Out) -> int:
    """Write a request to a file, to be signed elsewhere."""
    from sealwright.policy import approvals

    request = approvals.find(workspace.history(), text)
    save(workspace, request, file)
    out.emit(
        {"request": request.digest, "file": file},
        f"wrote {file}: {request.digest}\n"
        "tell them the digest by another way; they compare it before they sign",
    )
    return 0


def save(workspace: Workspace, request: Request, file: str) -> None:
    """A request's canonical predicate, as ``sign`` reads it."""
    from sealwright.evidence import jcs

    predicate = workspace.history().entries[request.index].statement.predicate
    Path(file).write_bytes(jcs.canonical(predicate))


def key(out: Out) -> int:
    """Show your own public key outside any workspace; made on first use."""
    account, signer = _person()
    pem = signer.public_pem().decode()
    out.emit({"name": account.name, "key_id": account.key_id, "pem": pem}, pem)
    return 0


def sign(args: argparse.Namespace, out: Out) -> int:
    """Sign a request file; needs no workspace."""
    from sealwright.core import clock
    from sealwright.evidence import jcs
    from sealwright.policy import approvals

    predicate: Any = jcs.parse(_read(args.file))
    request = approvals.request_of(predicate)
    account, signer = _person()
    statement = approvals.approve(request, signer, account, args.reason, clock.now())
    Path(args.out).write_bytes(jcs.canonical(statement.predicate))
    about = ", ".join(f"{s.name} ({s.digest[:16]})" for s in request.subjects)
    out.emit(
        {"request": request.digest, "file": args.out, "action": request.action},
        f"signed {request.action} of {about}, asked by {request.requester.name}:"
        f" {request.reason or 'no reason given'}\n"
        f"request {request.digest}\nwrote {args.out}",
    )
    return 0


def accept(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Record an approval that was signed elsewhere."""
    from sealwright.app.cli import access_login
    from sealwright.core.predicates import APPROVAL
    from sealwright.core.records import Recorded, Statement
    from sealwright.evidence import jcs
    from sealwright.policy import approvals

    data = _read(args.file)
    if access_login.is_acceptance(data):
        return access_login.accept(workspace, data, args, out)
    predicate: Any = jcs.parse(data)
    with workspace.lock():
        history = workspace.history()
        request = approvals.find(history, str(predicate.get("request", "")))
        statement = Statement((approvals.subject_of(request),), APPROVAL, predicate)
        candidate = Recorded(history.size, "0" * 64, "", statement)
        approvals.verify(candidate, {request.digest: request}, workspace.trust)
        return _record(workspace, statement, request, out)


def enroll(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Put a person's public key into the trust root."""
    from sealwright.app import trusting
    from sealwright.core.errors import BadInput
    from sealwright.core.refs import check_name
    from sealwright.evidence import trust as trusts
    from sealwright.evidence.keys import load_public

    name = check_name(args.name)
    mine = account_of(workspace)
    if args.pem:
        public = load_public(_read(args.pem))
    elif name == mine.name:
        public = load_public(workspace.keyring.public_pem(f"principal:{name}"))
    else:
        raise BadInput(f"whose key is {name}'s?", hint=f"seal access enroll {name} FILE")
    if any(k.key_id == public.key_id and k.role == "principal" for k in workspace.trust.keys):
        raise BadInput("the trust root lists this key already", hint="seal access whoami")
    added = trusts.key_of_public(public, "principal", name, first_index=workspace.log.size())
    new, receipt = trusting.extend(workspace, (*workspace.trust.keys, added), args.reason)
    out.emit(
        {"name": name, "key_id": public.key_id, "trust": new.digest, "index": receipt.index},
        f"the trust root now lists {name}'s key {public.key_id[:16]} (version {new.version},"
        f" log entry {receipt.index})",
    )
    return 0


def account_of(workspace: Workspace) -> Account:
    """Who acts here, now."""
    from sealwright.app.gating import context_of

    return context_of(workspace).account


def _person() -> tuple[Account, Signer]:
    """The person's own key outside any workspace, made on first use."""
    from sealwright.app import wiring
    from sealwright.core.records import Principal
    from sealwright.policy.principals import here

    name = wiring.principal_name()
    home = wiring.person_home(name)
    if home.public() is None:
        signer, _ = home.make(wiring.person_passphrase() or wiring.passphrase())
    else:
        signer = home.unlock()
    return here(Principal(name, signer.key_id)), signer


def _read(path: str) -> bytes:
    from sealwright.core.reading import small_file

    return small_file(Path(path), _MOST_BYTES)
