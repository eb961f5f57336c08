"""Sign a class of your own, so that model files may hold it at level project.

seal supply allow fraudkit.net.Net --source src/fraudkit/net.py --reason 'our own network'
seal supply allow fraudkit.net.Net --source src/fraudkit/net.py --end --reason 'state_dict now'
"""

from __future__ import annotations

import argparse

from sealwright.app.cli.out import Out


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("name", metavar="MODULE.CLASS", help="as the model file names it")
    parser.add_argument("--source", metavar="FILE", required=True, help="the file that defines it")
    parser.add_argument("--end", action="store_true", help="allow it no longer")
    parser.add_argument("--reason", default="", help="why; goes into the log")


def run(args: argparse.Namespace, out: Out) -> int:
    """Record the statement."""
    from sealwright.app import allowing, wiring

    workspace = wiring.open_workspace()
    done = allowing.allow(workspace, args.name, args.source, args.reason, end=args.end)
    for note in workspace.settle():
        out.note(note)
    word = "allowed no longer" if args.end else "allowed at level project"
    shape = {
        "class": args.name,
        "source": args.source,
        "allowed": not args.end,
        "entry": done.index,
        "request": done.request,
    }
    text = f"{args.name} is {word}, as {args.source} defines it\n  entry   {done.index}"
    if done.request:
        text = (
            f"asked to allow {args.name}; it counts once somebody else approved it\n"
            f"they: seal access approve {done.request[:16]} --reason '...'"
        )
    out.emit(shape, text)
    return 0
