"""``seal data shred``: destroy what only one version needs, with a statement that says so."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.shredding import Shredded
    from sealwright.app.wiring import Workspace


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("ref", metavar="REF", help="data:NAME@N")
    parser.add_argument("--reason", required=True, help="why; goes into the log")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Shred one version."""
    from sealwright.app import shredding

    with out.progress(args.ref) as progress:
        done = shredding.version(workspace, args.ref, args.reason, progress)
    for note in workspace.settle():
        out.note(note)
    report(done, out)
    return 0


def report(done: Shredded, out: Out) -> None:
    """Say what is gone."""
    generations = ", ".join(map(str, done.destroyed))
    out.emit(
        {
            "artifact": done.artifact,
            "key": done.scope,
            "segments": done.segments,
            "kept": done.kept,
            "destroyed": list(done.destroyed),
            "index": done.index,
        },
        f"{done.artifact} is shredded: {done.segments} segments gone, {done.kept} kept for other "
        f"versions;\ngeneration {generations} of the key {done.scope} is destroyed (entry "
        f"{done.index})\nwhat was made with it outside this workspace, and plaintext, is not",
    )
