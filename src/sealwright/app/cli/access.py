"""Who may do what: members, grants, approvals and reviews.

seal access whoami             your name, key, account and roles
seal access invite bob --role ml-engineer      somebody on another account or machine
seal access list               what is asked for, what is granted, who is a member
seal access team add fraud eli ana --reason '...'       then: role team:fraud, grant team:fraud
seal access request train data:fraud --purpose fraud-model --until +2h --reason '...'
seal access grant bob view data:fraud --purpose audit --until +8h --reason '...'
seal access approve REQUEST    sign somebody's request with your own key
seal access revoke GRANT       holds from the next read on
seal access review             roles and grants: due, overdue, never used

Someone who has no account on this machine approves from their own:

    you    seal access request REQUEST --out ask.json        and send the file
    they   seal access key                                   once; you: seal access enroll NAME FILE
    they   seal access sign ask.json --reason '...' --out yes.json
    you    seal access accept yes.json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace

HELP = "who may do what: members, grants, approvals and reviews"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    from sealwright.app.cli import access_login

    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    words.add_parser("whoami", help="your name, key, account and roles here")
    listing = words.add_parser("list", help="open requests, grants in force and members")
    listing.add_argument("--all", action="store_true", help="settled requests and past grants too")
    access_login.add_words(words)
    _configure_grants(words)
    _configure_approvals(words)
    role = words.add_parser("role", help="make somebody a member, or change their roles")
    role.add_argument("name", metavar="NAME", help="a name, or team:NAME")
    role.add_argument("role", metavar="ROLE", nargs="*", help="none: no longer a member")
    role.add_argument("--service", action="store_true", help="a service, not a person")
    role.add_argument("--reason", required=True, help="why; goes into the log")
    _configure_teams(words)
    review = words.add_parser("review", help="roles and grants: due, overdue, never used")
    review.add_argument("--certify", metavar="ID", help="it is still needed")
    review.add_argument("--revoke", metavar="ID", help="it is not: take it away")
    review.add_argument("--reason", default="", help="why; goes into the log")
    shown = words.add_parser("purposes", help="what data or a model may be used for")
    shown.add_argument("ref", metavar="REF")
    audit = words.add_parser("audit", help="judge every recorded access again, from the log alone")
    audit.add_argument("--copy", metavar="DIR", help="of a copied .seal: no keys, no workspace")
    audit.add_argument("--trust", metavar="FINGERPRINT", help="whose log it must be; with --copy")


def _configure_teams(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    team = words.add_parser("team", help="several members under one name, for roles and grants")
    does = team.add_subparsers(dest="does", required=True, metavar="WORD")
    for word, told in (
        ("add", "put members into a team; it is made with the first"),
        ("remove", "take members out; without names: the team is no more"),
    ):
        change = does.add_parser(word, help=told)
        change.add_argument("team", metavar="TEAM")
        change.add_argument("members", metavar="NAME", nargs="+" if word == "add" else "*")
        change.add_argument("--reason", required=True, help="why; goes into the log")
    does.add_parser("list", help="teams, their members and roles")


def _configure_grants(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    request = words.add_parser("request", help="ask for a grant; or write a request to a file")
    request.add_argument("what", metavar="ACTION|REQUEST", help="view, modify, train, export, ...")
    request.add_argument("resource", metavar="RESOURCE", nargs="?", help="data:NAME, data:NAME@N")
    request.add_argument("--out", metavar="FILE", help="write the request there, to be signed")
    request.add_argument("--team", metavar="TEAM", default="", help="for a team you are in")
    _configure_terms(request)
    grant = words.add_parser("grant", help="ask for somebody else, and approve it")
    grant.add_argument("principal", metavar="PRINCIPAL")
    grant.add_argument("what", metavar="ACTION", help="view, modify, train, export, ...")
    grant.add_argument("resource", metavar="RESOURCE", help="data:NAME, data:NAME@N, project")
    _configure_terms(grant)
    for word, told in (("deny", "close a request for a grant"), ("revoke", "end a grant at once")):
        end = words.add_parser(word, help=told)
        end.add_argument("grant", metavar="ID", help="the request's digest, or the first 8 or more")
        end.add_argument("--reason", required=True, help="why; goes into the log")


def _configure_terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--purpose", default="", help="what for; the data must allow it")
    parser.add_argument("--until", default="+8h", help="+2h, +7d, or 2026-01-31T12:00:00Z")
    parser.add_argument("--not-before", default="", metavar="TIME", help="+1h, or a time")
    parser.add_argument("--bytes", default="", metavar="SIZE", help="a budget: 512MiB, 2GiB")
    parser.add_argument("--reason", default="", help="why; goes into the log")


def _configure_approvals(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    approve = words.add_parser("approve", help="sign a request with your own key")
    approve.add_argument("request", metavar="REQUEST", help="its digest, or the first 8 or more")
    approve.add_argument("--reason", required=True, help="why; goes into the log")
    words.add_parser("key", help="your own public key outside any workspace; made on first use")
    sign = words.add_parser("sign", help="sign a request file; needs no workspace")
    sign.add_argument("file", metavar="FILE")
    sign.add_argument("--reason", required=True, help="why; goes into their log")
    sign.add_argument("--out", required=True, metavar="FILE")
    accept = words.add_parser("accept", help="record what somebody signed elsewhere")
    accept.add_argument("file", metavar="FILE", help="an approval, or an accepted invitation")
    accept.add_argument("--reason", default="", help="why; goes into the log")
    enroll = words.add_parser("enroll", help="put a person's public key into the trust root")
    enroll.add_argument("name", metavar="NAME")
    enroll.add_argument("pem", metavar="FILE", nargs="?", help="their public key; yours if absent")
    enroll.add_argument("--reason", required=True, help="why; goes into the log")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the subcommand."""
    from sealwright.app.cli import access_approvals as approving

    if args.word == "key":
        return approving.key(out)
    if args.word == "sign":
        return approving.sign(args, out)
    if args.word in ("invite", "login"):
        from sealwright.app.cli import access_login

        return (
            access_login.invite(args, out)
            if args.word == "invite"
            else access_login.login(args, out)
        )
    from sealwright.app import wiring
    from sealwright.app.cli import access_grants as granting
    from sealwright.app.cli import access_members as members
    from sealwright.app.cli import access_teams as teams

    if args.word == "audit" and args.copy:
        return members.audit_copy(args, out)
    words: dict[str, Callable[[Workspace, argparse.Namespace, Out], int]] = {
        "whoami": members.whoami,
        "list": granting.list_,
        "request": granting.request,
        "grant": granting.grant,
        "deny": granting.end,
        "revoke": granting.end,
        "approve": approving.approve,
        "accept": approving.accept,
        "enroll": approving.enroll,
        "role": members.role,
        "team": teams.run,
        "review": members.review,
        "purposes": members.purposes,
        "audit": members.audit,
    }
    return words[args.word](wiring.open_workspace(), args, out)
