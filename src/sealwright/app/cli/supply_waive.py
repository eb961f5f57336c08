"""Take an advisory, or what looks like a credential, on yourself for at most 90 days.

seal supply waive PYSEC-2024-1 --package foo --versions '==1.2' --until +30d --reason '...'
seal supply waive secret:FINGERPRINT --until +90d --reason 'a test key of the vendor'
seal supply waive --list
seal supply waive --end REQUEST --reason '...'
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "id", metavar="ID", nargs="?", help="of an advisory, an alias of it, or secret:FINGERPRINT"
    )
    parser.add_argument("--package", default="", help="which package")
    parser.add_argument("--versions", default="", help="which of its versions, with an upper end")
    parser.add_argument("--until", default="", help="+30d or 2026-12-31T00:00:00Z; 90 days at most")
    parser.add_argument("--reason", default="", help="why; goes into the log")
    parser.add_argument("--scope", default="*", help="a stage of seal.toml; all of them if left")
    parser.add_argument(
        "--justification",
        default="accepted_for_now",
        help="one of OpenVEX's five, or accepted_for_now",
    )
    parser.add_argument("--list", action="store_true", help="every waiver, and whether it counts")
    parser.add_argument("--end", metavar="REQUEST", help="end a waiver before its time")


def run(args: argparse.Namespace, out: Out) -> int:
    """Ask for, list or end a waiver."""
    from sealwright.app import advising, wiring

    workspace = wiring.open_workspace()
    if args.list:
        return _list(workspace, out)
    if args.end:
        request = advising.end_waiver(workspace, args.end, args.reason)
        out.emit({"ended": request.digest}, f"ended waiver {request.digest[:16]}")
        return 0
    return _waive(workspace, args, out)


def _waive(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import accessing, advising
    from sealwright.core.errors import BadInput
    from sealwright.policy.waivers import Terms

    if not (args.id and args.until):
        raise BadInput(
            "a waiver names what it is about, and an end",
            hint="seal supply waive ID --package P --versions '==1.2' --until +30d --reason '...'",
        )
    until = accessing.moment(args.until, workspace.clock())
    terms = Terms(args.id, args.package, args.versions, until, args.justification, args.scope)
    request = advising.waive(workspace, terms, args.reason)
    active = [w for w in _standing(workspace).active if w.request == request.digest]
    where = f" in {args.package}{args.versions}" if args.package else ""
    text = f"waived {args.id}{where} until {until}"
    if not active:
        text = (
            f"asked to waive {args.id}; it counts once somebody else approved it\n"
            f"they: seal access approve {request.digest[:16]} --reason '...'"
        )
    out.emit({"request": request.digest, "active": bool(active), "until": until}, text)
    return 0


def _list(workspace: Workspace, out: Out) -> int:
    found = _standing(workspace)
    shape: dict[str, Any] = {
        "active": [
            {
                "request": w.request,
                "id": w.vulnerability,
                "package": w.package,
                "versions": w.versions,
                "until": w.until,
                "scope": w.scope,
                "owner": w.owner,
                "approvers": list(w.approvers),
                "reason": w.reason,
            }
            for w in found.active
        ],
        "not_counted": [{"request": d, "about": n, "why": why} for d, n, why in found.refused],
    }
    rows = [
        [w.request[:16], w.vulnerability, f"{w.package}{w.versions}", w.until, w.owner]
        for w in found.active
    ]
    head = ["waiver", "advisory", "package", "until", "owner"]
    lines = [out.table(rows, head)] if rows else ["no waiver counts"]
    lines += [f"does not count: {n} ({d[:16]}): {why}" for d, n, why in found.refused]
    out.emit(shape, "\n".join(lines))
    return 0


def _standing(workspace: Workspace) -> Any:
    from sealwright.policy import waivers
    from sealwright.policy.approvals import Book

    history = workspace.history()
    book = Book(history, workspace.trust)
    return waivers.standing(history, book, workspace.clock(), workspace.profile)
