"""A bill of materials of a run or a model: CycloneDX 1.6 JSON, the same bytes each time.

seal supply bom model:fraud@1 --out bom.json
seal supply bom run:ID                          to stdout
seal supply bom model:fraud@1 --kept            the one that seal run kept when it registered it
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sealwright.app.cli.out import Out


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("ref", metavar="RUN|MODEL", help="run:ID or model:NAME@N")
    parser.add_argument("--kept", action="store_true", help="the newest bill that was kept of it")
    parser.add_argument("--out", metavar="FILE", help="write it there; to stdout if absent")


def run(args: argparse.Namespace, out: Out) -> int:
    """Write the bill, and say in the log which one it is."""
    from sealwright.app import materials, wiring
    from sealwright.core import refs
    from sealwright.supply import bom

    workspace = wiring.open_workspace()
    ref = refs.parse(args.ref)
    if args.kept:
        return _kept(args, out, materials.recorded(workspace, materials.subject_of(workspace, ref)))
    with out.progress("bill of materials"):
        collected = materials.collect(workspace, ref)
    index = materials.record(workspace, collected, materials.subject_of(workspace, ref))
    for note in workspace.settle():
        out.note(f"note: {note}")
    for finding in collected.findings:
        out.note(f"finding: {finding.message} ({finding.rule})")
    counts = bom.counts(collected.bill)
    shape: dict[str, Any] = {
        "sha256": collected.sha256,
        "counts": dict(counts),
        "observed": collected.observed,
        "findings": [{"rule": f.rule, "message": f.message} for f in collected.findings],
        "index": index,
    }
    if args.out:
        Path(args.out).write_bytes(collected.data)
        text = (
            f"wrote {args.out}: {counts['components']} components, {counts['libraries']} libraries"
            f" ({counts['unhashed']} without a digest, {counts['unlicensed']} without a licence)\n"
            f"sha256 {collected.sha256}, log entry {index}"
        )
        out.emit({**shape, "file": args.out}, text)
    else:
        shape["bom"] = bom.document(collected.bill)
        out.emit(shape, collected.data.decode())
    return 0


def _kept(args: argparse.Namespace, out: Out, data: bytes) -> int:
    import json

    from sealwright.core.digest import of_bytes

    shape: dict[str, Any] = {"sha256": of_bytes(data)}
    if args.out:
        Path(args.out).write_bytes(data)
        out.emit({**shape, "file": args.out}, f"wrote {args.out}\nsha256 {shape['sha256']}")
    else:
        out.emit({**shape, "bom": json.loads(data)}, data.decode())
    return 0
