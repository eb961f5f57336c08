"""Remove what no live version uses: leftovers of interrupted writes, segments nothing names.

Without --yes it only says what it would free.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.garbage import Garbage


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``seal gc``."""
    parser.add_argument("--yes", action="store_true", help="remove it; else only say what it is")


def run(args: argparse.Namespace, out: Out) -> int:
    """Find what nothing names, and with ``--yes`` remove it."""
    from sealwright.app import garbage, wiring

    ws = wiring.open_workspace()
    with ws.lock(), garbage.writers_kept_out(ws.store, ws.seal_dir / "tmp") as busy:
        with out.progress("looking") as progress:
            progress.advance(0, 0, "segments")
            found = garbage.find(ws.history(), ws.store, ws.clock(), busy)
        leftovers = ws.store.leftovers()
        leftover_bytes = sum(path.stat().st_size for path in leftovers)
        if args.yes:
            for path in leftovers:
                path.unlink(missing_ok=True)
            garbage.remove(found, ws.store)
    size = leftover_bytes + sum(each.size_bytes for each in found.segments)
    report = {
        "segments": [
            {"scope": each.scope, "segment": each.segment, "size_bytes": each.size_bytes}
            for each in found.segments
        ],
        "leftovers": len(leftovers),
        "freed_bytes" if args.yes else "would_free_bytes": size,
        "live": found.live,
        "too_young": found.kept_for_now,
        "busy": list(found.busy),
        "removed": bool(args.yes),
    }
    out.emit(report, lambda: _text(report, found, size))
    return 0


def _text(report: dict[str, object], found: Garbage, size: int) -> str:
    count = len(found.segments)
    verb = "removed" if report["removed"] else "would remove"
    lines = [
        f"{verb} {count} segments that nothing names and {report['leftovers']} leftovers of "
        f"interrupted writes: {size:,} bytes",
        f"{report['live']} segments live",
    ]
    if report["too_young"]:
        lines.append(f"{report['too_young']} more are named by nothing yet, but are too young")
    if found.busy:
        lines.append(f"left alone, since somebody writes to it now: {', '.join(found.busy)}")
    if not report["removed"] and (count or report["leftovers"]):
        lines.append("seal gc --yes removes them")
    return "\n".join(lines)
