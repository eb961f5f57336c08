"""``seal data survival``: how many poisoned records the predictions of a vote survive."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace
    from sealwright.scan.survival import Certificate


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    parser.add_argument("--test", metavar="REF", help="judge these records; else a fifth held out")
    parser.add_argument("--label", default="", metavar="COLUMN", help="else the dataset's own")
    parser.add_argument("--parts", type=int, default=25, help="how many models vote")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Fit, vote, print; nothing is recorded."""
    from sealwright.app import accessing, surviving
    from sealwright.intake.versions import Datasets

    catalogue = Datasets(workspace.history(), workspace.store)
    dataset = catalogue.resolve(args.ref)
    test = catalogue.resolve(args.test) if args.test else None
    accessing.require(workspace, "inspect", [dataset.artifact])
    found = surviving.certify(workspace, dataset, test, args.label, args.parts)
    shape = {
        "ref": dataset.ref,
        "parts": found.parts,
        "records": found.records,
        "tested": found.tested,
        "accuracy": found.accuracy,
        "unchanged": list(found.unchanged),
        "survives": list(found.survives),
        "median": found.median,
    }
    out.emit(shape, lambda: _text(dataset.ref, found))
    return 0


def _text(ref: str, found: Certificate) -> str:
    lines = [
        f"{ref}: {found.parts} models over {found.records:,} records vote on {found.tested:,};"
        f" accuracy {found.accuracy:.3f}"
    ]
    shown = [r for r in (1, 2, 3, 5, 8, 12, 20, 40) if r < len(found.unchanged)]
    lines += [
        f"  unchanged under {r} poisoned row{'s' * (r != 1)}: {found.unchanged[r]:.1%} of the test"
        f" rows, right and unchanged {found.survives[r]:.1%}"
        for r in shown
    ]
    return "\n".join([*lines, "a record that is edited counts as two: one gone and one new"])
