"""``seal data drift``: what moved between two versions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.drifting import Drifted
    from sealwright.app.wiring import Workspace


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("ref", metavar="NEW", help="data:NAME@N; the newest version if @N is left")
    parser.add_argument("--against", metavar="OLD", help="else the version before it")
    parser.add_argument("--source", default="", metavar="COLUMN", help="who each record came from")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Compare, record, print. The gates judge the statement: 0 either way."""
    import msgspec

    from sealwright.app import drifting
    from sealwright.core.errors import BadInput
    from sealwright.intake.versions import Datasets

    catalogue = Datasets(workspace.history(), workspace.store)
    new = catalogue.resolve(args.ref)
    if args.against:
        old = catalogue.resolve(args.against)
    elif new.version > 1:
        old = catalogue.versions(new.name)[new.version - 2]
    else:
        raise BadInput(f"{new.ref} is the first version", hint="--against names another dataset's")
    with out.progress(new.ref) as progress:
        found = drifting.drift(workspace, new, old, args.source, progress)
    for note in workspace.settle():
        out.note(note)
    shape = {
        "ref": found.ref,
        "against": found.against,
        "drifted": found.alarms > 0,
        "columns": found.columns,
        "strength": found.strength,
        "alarms": msgspec.to_builtins(found.facts),
        "records": msgspec.to_builtins(found.ranks),
        "compared": found.compared,
        "report": found.report,
        "entry": found.index,
    }
    out.emit(shape, lambda: _text(found))
    return 0


def _text(found: Drifted) -> str:
    lines = [f"{fact.rule}: {fact.message}" for fact in found.facts]
    if found.ranks:
        first = ", ".join(str(rank.record) for rank in found.ranks[:5])
        lines.append(f"worth a look: records {first}")
    if not lines:
        lines = [f"nothing in {found.ref} has drifted from {found.against}"]
    if found.columns:
        lines.append(
            f"columns that moved: {found.columns:,}; the largest effect is {found.strength:,} % of"
            " the least that counts"
        )
    return "\n".join([*lines, f"{found.compared:,} comparisons, entry {found.index}"])
