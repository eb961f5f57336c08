"""The log: what is in it, whether it is whole, and who else keeps watch over it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace

HELP = "show, verify, publish, witness and mirror the log"

_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    show = words.add_parser("show", help="the entries, newest last")
    show.add_argument("--index", type=int, metavar="N", help="one entry, whole")
    show.add_argument("--last", type=int, metavar="N", default=_SHOWN, help="how many (20)")
    show.add_argument("--all", action="store_true", help="every entry")
    show.add_argument("--proof", metavar="FILE", help="with --index: write its .tlog-proof")
    words.add_parser("verify", help="check every entry, copy and cosignature")
    publish = words.add_parser("publish", help="write the log as static tiles")
    publish.add_argument("directory", nargs="?", metavar="DIR", help="default: .seal/tiles")
    mirror = words.add_parser("mirror", help="bring a copy on another disk up to date")
    mirror.add_argument("directory", nargs="?", metavar="DIR", help="default: [log] mirror")
    _configure_witness(words.add_parser("witness", help="a second pair of eyes on the log"))


def _configure_witness(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    init = acts.add_parser("init", help="make a witness: its own home and key")
    init.add_argument("name", metavar="NAME", help="what the witness signs as")
    init.add_argument("--home", metavar="DIR", help="default: $XDG_STATE_HOME/sealwright-witness")
    init.add_argument("--log", metavar="VKEY", action="append", default=[], help="a log to watch")
    watch = acts.add_parser("watch", help="accept one more log, or a log's new key")
    watch.add_argument("--log", metavar="VKEY", action="append", default=[], help="which")
    serve = acts.add_parser("serve", help="answer logs until stopped")
    show = acts.add_parser("show", help="its key, its logs and what it saw last")
    for word in (watch, serve, show):
        word.add_argument("name", metavar="NAME")
        word.add_argument("--home", metavar="DIR")
    serve.add_argument("--listen", metavar="ADDRESS", default="127.0.0.1:7465")
    serve.add_argument("--tls", metavar="DIR", help="ca.pem, cert.pem, key.pem: off loopback")
    trust = acts.add_parser("trust", help="name a witness in this project's trust root")
    trust.add_argument("vkey", metavar="VKEY", help="what `seal log witness init` printed")
    trust.add_argument("--at", metavar="ADDRESS", help="where it listens; default [log] witness")
    trust.add_argument("--reason", default="a witness for the log")
    ask = acts.add_parser("ask", help="have the newest checkpoint cosigned now")
    ask.add_argument("--at", metavar="ADDRESS", help="default: [log] witness in seal.toml")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run one word; returns the exit code."""
    if args.word == "witness":
        from sealwright.app.cli import log_witness

        return log_witness.run(args, out)
    from sealwright.app import wiring

    workspace = wiring.open_workspace()
    if args.word == "show":
        return _show(args, workspace, out)
    if args.word == "verify":
        return _verify(workspace, out)
    return _copy(args, workspace, out)


def _show(args: argparse.Namespace, workspace: Workspace, out: Out) -> int:
    from sealwright.app import logview

    history = workspace.history()
    if args.index is not None:
        if not 0 <= args.index < history.size:
            raise BadInput(
                f"there is no entry {args.index}",
                why=f"the log has {logview.counted(history.size)}",
            )
        found = logview.whole(history.entries[args.index], workspace)
        if args.proof:
            found["proof"] = logview.write_proof(args.index, args.proof, workspace, history)
        out.emit(found, lambda: logview.whole_text(found))
        return 0
    if args.proof:
        raise BadInput("--proof wants --index N")
    count = history.size if args.all else max(args.last, 0)
    found = logview.listing(history, count, workspace)
    out.emit(found, lambda: logview.listing_text(found, out))
    return 0


def _verify(workspace: Workspace, out: Out) -> int:
    from sealwright.app import logcheck, logview

    checks: list[dict[str, str]] = []
    with out.progress("verifying") as progress:
        for check in logcheck.verify(workspace, progress):
            checks.append({"what": check.what, "result": check.result, "detail": check.detail})
            mark = "ok" if check.result == "ok" else f"NOT CHECKED ({check.result})"
            out.say(f"{check.what:<16} {mark:<3} {check.detail}")
    size, root = workspace.log.size(), workspace.history().root
    body: dict[str, Any] = {
        "origin": workspace.origin,
        "size": size,
        "root": root,
        "checks": checks,
    }
    out.emit(body, f"the log holds together: {logview.counted(size)}, root {root}")
    return 0


def _copy(args: argparse.Namespace, workspace: Workspace, out: Out) -> int:
    from pathlib import Path

    from sealwright.app import logview, publishing

    named = Path(args.directory) if args.directory else None
    if args.word == "publish":
        target = named or publishing.tiles(workspace)
        head = publishing.publish(workspace, target)
    else:
        head = publishing.mirror(workspace, named)
        target = named or publishing.mirror_of(workspace) or publishing.tiles(workspace)
    body = {"directory": str(target), "size": head.size, "root": head.root.hex()}
    out.emit(body, f"{target}: {logview.counted(head.size)}, root {head.root.hex()}")
    return 0
