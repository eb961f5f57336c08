"""Run a past run again, on its own code and data, and compare what comes out.

Exit codes: 0 identical, 1 different (each file is named), 2 the environment is not here.
"""

from __future__ import annotations

import argparse
import sys

from sealwright.app.cli.out import Out


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("ref", metavar="run:ID", help="a run that ended well")


def run(args: argparse.Namespace, out: Out) -> int:
    """Reproduce every stage of the run; the worst outcome is the exit code."""
    from sealwright.app import pastruns, referring, reproducing, wiring

    workspace = wiring.open_workspace()
    ref = referring.run(args.ref, workspace.history())

    def listen(channel: str, data: bytes) -> None:
        sys.stderr.write(data.decode("utf-8", "replace"))

    stages = []
    for past in pastruns.past_runs(workspace, ref):
        out.note(f"seal: {past.stage} again, on the code and data it was sealed with")
        stages.append((past, reproducing.reproduce(workspace, past, listen)))
    notes = workspace.settle()
    report = {
        "run": ref.name,
        "outcome": max(stages, key=lambda one: one[1].exit_code)[1].outcome,
        "stages": [
            {
                "stage": past.stage,
                "outcome": found.outcome,
                "differences": [
                    {"path": x.path, "kind": x.kind, "cause": x.cause} for x in found.differences
                ],
                "lacking": list(found.lacking),
            }
            for past, found in stages
        ],
        "notes": notes,
    }
    out.emit(
        report,
        lambda: "\n".join(
            f"{past.stage}: {found.outcome}"
            + "".join(f"\n  {line}" for line in found.lines() if line != "identical")
            for past, found in stages
        ),
    )
    return max(found.exit_code for _, found in stages)
