"""The offline index of advisories: update it, and say how old it is.

seal supply advisories                              what is held, and how old it is
seal supply advisories update --from all.zip        OSV records; also https:…
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    words = parser.add_subparsers(dest="word", metavar="WORD")
    update = words.add_parser("update", help="read advisories, and sign the index made of them")
    update.add_argument(
        "--from", dest="sources", required=True, action="append", metavar="DIR|ZIP|URL"
    )
    update.add_argument(
        "--ecosystem",
        dest="ecosystems",
        action="append",
        default=[],
        metavar="NAME",
        help="a distribution to take beside PyPI: Debian:12, Alpine:v3.19, Ubuntu:24.04, Debian",
    )
    update.add_argument("--attribution", default="", help="what the source's licence asks to say")
    update.add_argument("--exploited", metavar="FILE", help="known exploitation, as CISA lists it")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the word; show the index where there is none."""
    from sealwright.app import wiring

    workspace = wiring.open_workspace()
    return _update(workspace, args, out) if args.word == "update" else _show(workspace, out)


def _update(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import advising, advisorysource

    with out.progress("advisories"):
        kept = Path(args.exploited) if args.exploited else None
        index = advisorysource.read(args.sources, args.attribution, kept, args.ecosystems)
    sha256, receipt = advising.update(workspace, index)
    for name in index.skipped[:5]:
        out.note(f"note: {name} could not be read and is not in the index")
    shape = {
        "sha256": sha256,
        "advisories": len(index.advisories),
        "packages": len(index.by_package),
        "ecosystems": sorted(index.ecosystems),
        "newest": index.newest,
        "skipped": list(index.skipped),
        "index": receipt.index,
    }
    text = (
        f"{len(index.advisories):,} advisories on {len(index.by_package):,} packages of"
        f" {', '.join(sorted(index.ecosystems)) or 'nothing in full'},"
        f" newest {index.newest[:10]}; log entry {receipt.index}"
    )
    if index.skipped:
        text += f"\n{len(index.skipped)} records could not be read"
    out.emit(shape, text)
    return 0


def _show(workspace: Workspace, out: Out) -> int:
    from sealwright.app import advising

    found = advising.held(workspace, workspace.history(), workspace.clock())
    index = found.index
    shape: dict[str, Any] = {
        "sha256": found.sha256,
        "usable": not found.rule,
        "rule": found.rule,
        "why": found.why,
        "age_days": found.age_days,
        "advisories": len(index.advisories) if index else 0,
        "ecosystems": sorted(index.ecosystems) if index else [],
        "newest": index.newest if index else "",
        "source": index.source if index else "",
        "attribution": index.attribution if index else "",
    }
    if index is None:
        text = f"no usable index: {found.why}\nmend: {advising.mend_index()}"
    else:
        text = (
            f"{len(index.advisories):,} advisories from {index.source}, newest"
            f" {index.newest[:10]} ({found.age_days} days ago)"
        )
        if index.attribution:
            text += f"\n{index.attribution}"
        if found.rule:
            text += f"\n{found.rule}: {found.why}\nmend: {advising.mend_index()}"
    out.emit(shape, text)
    return int(bool(found.rule))
