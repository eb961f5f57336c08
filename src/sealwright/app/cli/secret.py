"""Secrets for runs: kept encrypted beside the keys, shown to nobody.

seal secret set API_TOKEN --reason '...'      the value from the terminal, or standard input
seal secret list                              the names, and who set them when
seal secret remove API_TOKEN --reason '...'

Setting and removing are statements in the log: name, who, why, and a keyed fingerprint.
From the second member on an owner does both.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    keep = words.add_parser("set", help="keep a value; never given as an argument")
    keep.add_argument("name", metavar="NAME", help="like an environment variable: API_TOKEN")
    keep.add_argument("--reason", required=True, help="why; goes into the log")
    words.add_parser("list", help="names, never values")
    remove = words.add_parser("remove", help="forget one")
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("--reason", required=True, help="why; goes into the log")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the subcommand."""
    from sealwright.app import wiring

    workspace = wiring.open_workspace()
    return {"set": _set, "list": _list, "remove": _remove}[args.word](workspace, args, out)


def _set(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.core import clock
    from sealwright.vault.secrets import check_name

    name = check_name(args.name)
    _require(workspace, name, args.reason)
    if sys.stdin.isatty():
        value = getpass.getpass(f"{name}: ", stream=sys.stderr)
    else:
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    time = clock.stamp(workspace.clock())
    with workspace.lock():
        fingerprint = workspace.secrets.fingerprint(name, value)
        index = _record(workspace, name, "set", fingerprint, args.reason)
        workspace.secrets.put(name, value, workspace.principal.name, time)
    _settle(workspace, out)
    how = f'secrets = {{ {name} = "broker:HOST" }}'
    out.emit(
        {"name": name, "set": True, "fingerprint": fingerprint, "index": index},
        f"kept {name} (log entry {index})\nuse it in a stage: {how}",
    )
    return 0


def _list(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    held = workspace.secrets.records()
    rows = [[one.name, one.actor, one.time] for one in held]
    out.emit(
        {"secrets": [{"name": one.name, "actor": one.actor, "time": one.time} for one in held]},
        lambda: out.table(rows, ["name", "set by", "when"]) if rows else "no secrets",
    )
    return 0


def _remove(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    _require(workspace, args.name, args.reason)
    with workspace.lock():
        fingerprint = workspace.secrets.fingerprint_of(args.name)
        index = _record(workspace, args.name, "removed", fingerprint, args.reason)
        workspace.secrets.remove(args.name)
    _settle(workspace, out)
    out.emit(
        {"name": args.name, "removed": True, "fingerprint": fingerprint, "index": index},
        f"forgot {args.name} (log entry {index})",
    )
    return 0


def _require(workspace: Workspace, name: str, reason: str) -> None:
    """An owner changes secrets; where one member is alone nobody is asked. Raises: GateDenied."""
    from sealwright.app import accessing

    subject = accessing.whole_project(workspace, f"secret:{name}")
    accessing.require(workspace, "administer", [subject], reason=reason)


def _record(workspace: Workspace, name: str, change: str, fingerprint: str, reason: str) -> int:
    """The statement, before what it says is done: what is in the log may not have come about,
    and nothing comes about that is not in the log."""
    from sealwright.core import clock
    from sealwright.core.digest import of_bytes
    from sealwright.core.errors import BadInput
    from sealwright.core.predicates import SECRET
    from sealwright.core.records import Artifact, Statement

    if not reason.strip():
        raise BadInput("it says why", hint="repeat it with --reason '...'")
    subject = Artifact(f"secret:{name}", fingerprint or of_bytes(name.encode()))
    statement = Statement(
        (subject,),
        SECRET,
        {
            "name": name,
            "change": change,
            "fingerprint": fingerprint,
            "actor": workspace.principal.name,
            "reason": reason,
            "time": clock.stamp(workspace.clock()),
        },
    )
    return workspace.recorder.record(statement).index


def _settle(workspace: Workspace, out: Out) -> None:
    for note in workspace.settle():
        out.note(note)
