"""``seal data classify``: kinds of personal data by column, and the level a person confirms."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sealwright.core.errors import BadInput
from sealwright.core.sensitivity import NAMED, highest

if TYPE_CHECKING:
    from sealwright.app.classifying import Found
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace
    from sealwright.intake.versions import Dataset


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    parser.add_argument("--names", action="store_true", help="names and places too, by Presidio")
    parser.add_argument("--confirm", choices=NAMED, help="you confirm this level; it can only rise")
    parser.add_argument("--reason", default="", help="why; goes into the log")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Look, and record what a person confirms."""
    from sealwright.app import classifying
    from sealwright.intake.versions import Datasets
    from sealwright.kit.patterns import names

    dataset = Datasets(workspace.history(), workspace.store).resolve(args.ref)
    finder = names.finder() if args.names else None
    if args.confirm:
        _refuse_lowering(dataset, args.confirm)
    with out.progress(f"looking at {dataset.ref}") as progress:
        found = classifying.look(workspace, dataset, progress, finder)
    entry = -1
    if args.confirm:
        entry = classifying.confirm(workspace, dataset, found, args.confirm, args.reason)
        for note in workspace.settle():
            out.note(note)
    shape = {
        **classifying.shape_of(found, dataset),
        "confirmed": args.confirm or "",
        "entry": entry,
    }
    out.emit(shape, lambda: _text(found, dataset, args.confirm, out))
    return 0


def _refuse_lowering(dataset: Dataset, level: str) -> None:
    if highest((dataset.signed.sensitivity, level)) != level:
        raise BadInput(
            f"{dataset.ref} is {dataset.signed.sensitivity} already",
            why="what was signed is not made less by a confirmation",
            hint="a version that says less: seal data mask, tokenize or generalise, with --confirm",
        )


def _text(found: Found, dataset: Dataset, confirmed: str, out: Out) -> str:
    cells = [
        [each.column, kind.kind, f"{kind.cells:,}", f"{each.looked:,}", kind.by, each.suggested]
        for each in found.columns
        for kind in each.kinds
    ]
    head = ["column", "kind", "cells", "of", "by", "suggests"]
    lines = [out.table(cells, head)] if cells else ["no known kind of personal data was found"]
    if confirmed:
        lines.append(f"{found.ref} is {confirmed}, as you confirmed")
    elif found.suggested and highest((dataset.signed.sensitivity, found.suggested)) != (
        dataset.signed.sensitivity
    ):
        lines.append(
            f"suggested: {found.suggested}; nothing is enforced until somebody confirms it:\n"
            f"  seal data classify {found.ref} --confirm {found.suggested} --reason '...'"
        )
    return "\n".join(lines)
