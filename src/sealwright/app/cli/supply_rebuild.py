"""Build it again, and name why it came out different: a wheel, a layer, a run, two archives.

seal supply rebuild .                                    a project, twice, in rooms of their own
seal supply rebuild . --against dist/fraud-1.0-py3-none-any.whl
seal supply rebuild rootfs/ --against layer.tar
seal supply rebuild run:ID

Exit codes: 0 equal, 1 different (each cause is named), 2 it could not be built.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.supply.rebuild import Outcome


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "target", metavar="TARGET", help="a project, a folder, a wheel, tar or OCI layout, run:ID"
    )
    parser.add_argument(
        "--against", metavar="OTHER", help="compare with this wheel, tar, layer or OCI layout"
    )
    parser.add_argument(
        "--hold",
        action="append",
        default=[],
        metavar="CAUSE",
        help="what your builds always have alike, not varied: permissions, build-path, timezone…",
    )


def run(args: argparse.Namespace, out: Out) -> int:
    """Build again and compare; 1 where it differs."""
    from sealwright.app import rebuilding, referring, wiring

    workspace = wiring.open_workspace()

    def listen(channel: str, data: bytes) -> None:
        sys.stderr.write(data.decode("utf-8", "replace"))

    if args.target.startswith("run:"):
        ref = referring.run(args.target, workspace.history())
        outcome, index = rebuilding.rerun(workspace, ref, listen)
    else:
        with out.progress("rebuild") as bar:
            outcome, index = rebuilding.rebuild_one(
                workspace,
                Path(args.target),
                Path(args.against) if args.against else None,
                _held(args.hold),
                lambda what: bar.advance(0, 0, what),
            )
    for note in workspace.settle():
        out.note(f"note: {note}")
    out.emit(_json(outcome, index), lambda: _text(outcome, out))
    return int(not outcome.equal)


def _held(causes: list[str]) -> tuple[str, ...]:
    from sealwright.core.errors import BadInput
    from sealwright.supply.rebuildplan import HOLDABLE

    for cause in causes:
        if cause not in HOLDABLE:
            raise BadInput(f"{cause} cannot be held", why=f"these can: {', '.join(HOLDABLE)}")
    return tuple(sorted(set(causes)))


def _json(outcome: Outcome, index: int) -> dict[str, Any]:
    from sealwright.supply.archivediff import CAUSES

    return {
        "kind": outcome.kind,
        "equal": outcome.equal,
        "rule": "" if outcome.equal else "supply.rebuild-differs",
        "digests": [outcome.first, outcome.second],
        "causes": [
            {"cause": one.cause, "path": one.path, "hint": CAUSES[one.cause][1]}
            for one in outcome.causes
        ],
        "how": outcome.how,
        "held": list(outcome.held),
        "tools": dict(outcome.tools),
        "index": index,
    }


def _text(outcome: Outcome, out: Out) -> str:
    from sealwright.supply.archivediff import CAUSES

    if outcome.equal:
        held = f", {', '.join(outcome.held)} held" if outcome.held else ""
        return f"equal: {outcome.kind} sha256:{outcome.first}{held}"
    rows = [[one.cause, CAUSES[one.cause][0], one.path] for one in outcome.causes]
    how = {"tried": "found by changing one thing at a time", "compared": "read from the two"}
    lines = [
        f"different: {outcome.kind} sha256:{outcome.first[:16]} and sha256:{outcome.second[:16]}"
        " (supply.rebuild-differs)",
        out.table(rows, ["cause", "what it is", "first seen in"]),
        how.get(outcome.how, ""),
    ]
    lines += [f"mend: {CAUSES[one.cause][1]}" for one in outcome.causes]
    return "\n".join(line for line in lines if line)
