"""Who you are here, and approving what others ask for.

seal access whoami             your name, key and account, and whether the trust root knows them
seal access list               what is asked for and not yet settled
seal access approve REQUEST    sign somebody's request with your own key

Someone who has no account on this machine approves from their own:

    you    seal access request REQUEST --out ask.json        and send the file
    they   seal access key                                   once; you: seal access enroll NAME FILE
    they   seal access sign ask.json --reason '...' --out yes.json
    you    seal access accept yes.json
"""

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

HELP = "who you are, and approving what others ask for"
_MOST_BYTES = 1 << 16


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    words.add_parser("whoami", help="your name, key and account here")
    listing = words.add_parser("list", help="open requests")
    listing.add_argument("--all", action="store_true", help="settled ones too")
    approve = words.add_parser("approve", help="sign a request with your own key")
    approve.add_argument("request", metavar="REQUEST", help="its digest, or the first 8 or more")
    approve.add_argument("--reason", required=True, help="why; goes into the log")
    request = words.add_parser("request", help="write a request to a file, to be signed elsewhere")
    request.add_argument("request", metavar="REQUEST")
    request.add_argument("--out", required=True, metavar="FILE")
    words.add_parser("key", help="your own public key outside any workspace; made on first use")
    sign = words.add_parser("sign", help="sign a request file; needs no workspace")
    sign.add_argument("file", metavar="FILE")
    sign.add_argument("--reason", required=True, help="why; goes into their log")
    sign.add_argument("--out", required=True, metavar="FILE")
    accept = words.add_parser("accept", help="record an approval that was signed elsewhere")
    accept.add_argument("file", metavar="FILE")
    enroll = words.add_parser("enroll", help="put a person's public key into the trust root")
    enroll.add_argument("name", metavar="NAME")
    enroll.add_argument("pem", metavar="FILE", nargs="?", help="their public key; yours if absent")
    enroll.add_argument("--reason", required=True, help="why; goes into the log")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the subcommand."""
    if args.word == "key":
        return _key(out)
    if args.word == "sign":
        return _sign(args, out)
    from sealwright.app import wiring

    words = {
        "whoami": _whoami,
        "list": _list,
        "approve": _approve,
        "request": _request,
        "accept": _accept,
        "enroll": _enroll,
    }
    return words[args.word](wiring.open_workspace(), args, out)


def _whoami(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.policy.principals import is_key_of

    account = _account(workspace)
    known = is_key_of(workspace.trust, account.name, account.key_id, workspace.log.size())
    shape = {**account.jsonable(), "established": "self-asserted", "trusted": known}
    mend = "" if known else f"\nmend: seal access enroll {account.name} --reason '...'"
    out.emit(
        {**shape, "profile": workspace.profile},
        f"{account.name}  key {account.key_id[:16]}  uid {account.uid}  host {account.host}\n"
        f"self-asserted; the trust root {'lists' if known else 'does NOT list'} this key{mend}",
    )
    return 0


def _list(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.policy.approvals import Book

    history = workspace.history()
    book = Book(history, workspace.trust)
    rows: list[dict[str, Any]] = []
    for request in book.requests.values():
        settled = _settled(history, request)
        if settled and not args.all:
            continue
        tally = book.tally(request, [], workspace.clock(), before=history.size)
        rows.append(
            {
                "request": request.digest,
                "action": request.action,
                "subjects": [s.name for s in request.subjects],
                "requester": request.requester.name,
                "reason": request.reason,
                "time": request.time,
                "approvers": list(tally.people),
                "self_approved": tally.self_approved,
                "ignored": list(tally.ignored),
                "settled": settled,
            }
        )
    head = ["request", "action", "about", "asked by", "approved by", "because"]
    cells = [
        (
            row["request"][:16],
            row["action"],
            ", ".join(row["subjects"]),
            row["requester"],
            ", ".join(row["approvers"]) or "-",
            row["reason"] or "-",
        )
        for row in rows
    ]
    out.emit({"requests": rows}, out.table(cells, head) or "nothing is asked for")
    return 0


def _settled(history: Any, request: Request) -> bool:
    """Whether the log shows that what was asked for has been allowed since."""
    from sealwright.core.predicates import DECISION, POLICY_ACTIVATION

    return any(
        entry.index > request.index
        and entry.statement.predicate.get("request") == request.digest
        and entry.statement.predicate.get("allowed", True) is True
        for entry in history.of_type(DECISION, POLICY_ACTIVATION)
    )


def _approve(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.policy import approvals

    account = _account(workspace)
    signer = workspace.keyring.signer(f"principal:{account.name}")
    with workspace.lock():
        request = approvals.find(workspace.history(), args.request)
        statement = approvals.approve(request, signer, account, args.reason, workspace.clock())
        return _record(workspace, statement, request, out)


def _record(workspace: Workspace, statement: Statement, request: Request, out: Out) -> int:
    """Append an approval, and say whether it counts."""
    from sealwright.policy.approvals import Book

    receipt = workspace.recorder.record(statement)
    history = workspace.history()
    book = Book(history, workspace.trust)
    tally = book.tally(request, [], workspace.clock(), before=history.size)
    ignored = [note for note in tally.ignored if note.startswith(f"entry {receipt.index}:")]
    own = bool(statement.predicate["self_approved"])
    shape = {
        "request": request.digest,
        "index": receipt.index,
        "self_approved": own,
        "approvers": list(tally.people),
        "ignored": ignored,
    }
    text = f"approved {request.action} ({request.digest[:16]}), log entry {receipt.index}"
    if own:
        text += "\nyour own request: recorded as self-approved; team and regulated do not count it"
    out.emit(shape, "\n".join([text, *(f"does not count: {note}" for note in ignored)]))
    return 0


def _request(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.evidence import jcs
    from sealwright.policy import approvals

    history = workspace.history()
    request = approvals.find(history, args.request)
    predicate = history.entries[request.index].statement.predicate
    Path(args.out).write_bytes(jcs.canonical(predicate))
    out.emit(
        {"request": request.digest, "file": args.out},
        f"wrote {args.out}: {request.digest}\n"
        "tell them the digest by another way; they compare it before they sign",
    )
    return 0


def _key(out: Out) -> int:
    account, signer = _person()
    pem = signer.public_pem().decode()
    out.emit({"name": account.name, "key_id": account.key_id, "pem": pem}, pem)
    return 0


def _sign(args: argparse.Namespace, out: Out) -> int:
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


def _accept(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.core.predicates import APPROVAL
    from sealwright.core.records import Recorded, Statement
    from sealwright.evidence import jcs
    from sealwright.policy import approvals

    predicate: Any = jcs.parse(_read(args.file))
    with workspace.lock():
        history = workspace.history()
        request = approvals.find(history, str(predicate.get("request", "")))
        statement = Statement((approvals.subject_of(request),), APPROVAL, predicate)
        candidate = Recorded(history.size, "0" * 64, "", statement)
        approvals.verify(candidate, {request.digest: request}, workspace.trust)
        return _record(workspace, statement, request, out)


def _enroll(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import trusting
    from sealwright.core.errors import BadInput
    from sealwright.core.refs import check_name
    from sealwright.evidence import trust as trusts
    from sealwright.evidence.keys import load_public

    name = check_name(args.name)
    mine = _account(workspace)
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


def _account(workspace: Workspace) -> Account:
    from sealwright.app.gating import context_of

    return context_of(workspace).account


def _person() -> tuple[Account, Signer]:
    """The person's own key outside any workspace, made on first use."""
    from sealwright.adapters.keyring_file import Keyring
    from sealwright.adapters.kms_file import FileKms
    from sealwright.app import wiring
    from sealwright.core.records import Principal
    from sealwright.policy.principals import here

    state = wiring.state_home() / "person"
    name = wiring.principal_name()
    role = f"principal:{name}"
    if (state / "root.json").exists():
        kms = FileKms.open(state, wiring.passphrase_asker())
    else:
        state.parent.mkdir(parents=True, exist_ok=True)
        kms, _ = FileKms.initialize(state, wiring.passphrase())
    keyring = Keyring(state, kms)
    signer = keyring.signer(role) if role in keyring.roles() else keyring.create(role)
    return here(Principal(name, signer.key_id)), signer


def _read(path: str) -> bytes:
    from sealwright.core.errors import BadInput

    data = Path(path).read_bytes()
    if len(data) > _MOST_BYTES:
        raise BadInput(f"{path} is too long to be what it should be")
    return data
