"""Secrets for runs: kept encrypted beside the keys, shown to nobody.

seal secret set API_TOKEN      the value from the terminal, unseen, or from standard input
seal secret list               the names, and who set them when
seal secret remove API_TOKEN
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
    words.add_parser("list", help="names, never values")
    remove = words.add_parser("remove", help="forget one")
    remove.add_argument("name", metavar="NAME")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the subcommand."""
    from sealwright.app import wiring

    workspace = wiring.open_workspace()
    return {"set": _set, "list": _list, "remove": _remove}[args.word](workspace, args, out)


def _set(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.core import clock
    from sealwright.vault.secrets import check_name

    name = check_name(args.name)
    if sys.stdin.isatty():
        value = getpass.getpass(f"{name}: ", stream=sys.stderr)
    else:
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    time = clock.stamp(workspace.clock())
    workspace.secrets.put(name, value, workspace.principal.name, time)
    how = f'secrets = {{ {name} = "broker:HOST" }}'
    out.emit({"name": name, "set": True}, f"kept {name}\nuse it in a stage: {how}")
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
    workspace.secrets.remove(args.name)
    out.emit({"name": args.name, "removed": True}, f"forgot {args.name}")
    return 0
