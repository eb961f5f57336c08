"""Turn a scanned model into safetensors and plain parameters, in the room.

seal supply convert downloaded.pt --to safetensors      the original goes into quarantine
seal supply convert model:fraud@1 --to safetensors      becomes the next version of the model
"""

from __future__ import annotations

import argparse

from sealwright.app.cli.out import Out
from sealwright.app.cli.supply_scan import LEVELS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a file, or model:NAME@N")
    parser.add_argument("--to", choices=("safetensors",), required=True, help="the format")
    parser.add_argument("--out", default="", help="a folder to make; MODEL.converted if left")
    parser.add_argument("--level", choices=LEVELS[:2], default="framework", help="as in scan")
    parser.add_argument("--reason", default="", help="why, for the log")


def run(args: argparse.Namespace, out: Out) -> int:
    """Convert one model."""
    from sealwright.app import converting, wiring

    workspace = wiring.open_workspace()
    made = converting.convert(workspace, args.model, args.level, args.out, args.reason)
    for note in workspace.settle():
        out.note(note)
    shape = {
        "original": {"name": made.original.name, "digest": made.original.digest},
        "folder": str(made.folder),
        "files": [{"path": path, "sha256": digest} for path, digest in made.files],
        "model": made.model.ref if made.model else None,
        "quarantined": made.quarantined or None,
        "entry": made.index,
    }
    lines = [f"{made.original.name} is in {made.folder}: {', '.join(p for p, _ in made.files)}"]
    if made.model:
        lines.append(f"  model       {made.model.ref}")
    if made.quarantined:
        lines.append(f"  quarantine  {made.quarantined}")
    out.emit(shape, "\n".join([*lines, f"  entry       {made.index}"]))
    return 0
