"""Credentials in files: provider formats with their checksums, assignments, keys in PEM.

seal supply secrets .                     also notebooks, base64, gzip, the strings of pickles
seal supply secrets a.py --sarif out.sarif  where there is no workspace, nothing is waived
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.secretscanning import Looked


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("paths", metavar="PATH", nargs="+", help="files or folders")
    parser.add_argument("--sarif", metavar="FILE", help="write what is open as SARIF 2.1.0 too")


def run(args: argparse.Namespace, out: Out) -> int:
    """Scan; 1 when something is open. No value is ever printed."""
    from sealwright.app import secretscanning, wiring

    workspace = wiring.find_workspace()
    known = secretscanning.baseline(workspace) if workspace else secretscanning.without_workspace()
    with out.progress("secrets"):
        looked = secretscanning.look(known, secretscanning.files_below(args.paths))
    if args.sarif:
        from sealwright.supply import sarif

        found = secretscanning.results(looked.open, lasting=workspace is not None)
        out.write(args.sarif, sarif.encode(found))
    if workspace is None:
        out.note("no workspace here: nothing is waived, and fingerprints are of this run only")
    shape = {
        "files": looked.files,
        "open": [dict(secretscanning.jsonable(hit)) for hit in looked.open],
        "waived": [dict(secretscanning.jsonable(hit)) for hit in looked.waived],
        "cut": list(looked.cut),
    }
    out.emit(shape, lambda: _text(looked, out, workspace is not None))
    return int(bool(looked.open))


def _text(looked: Looked, out: Out, lasting: bool) -> str:
    lines = []
    if looked.open:
        rows = [[h.place, h.kind, h.pattern, h.coat, h.fingerprint] for h in looked.open]
        lines += [out.table(rows, ["where", "kind", "as", "in", "fingerprint"]), ""]
    lines.append(
        f"{looked.files:,} files: {len(looked.open)} credentials, {len(looked.waived)} waived"
    )
    lines += [f"only the first part of {path} was read" for path in looked.cut]
    if looked.open:
        first = looked.open[0].fingerprint
        lines.append(
            "take it out, and change it where it is used: seal secret set NAME keeps it for a run"
        )
        waive = f"or, if it is none: seal supply waive secret:{first} --until +90d --reason '...'"
        lines += [waive] if lasting else []
    return "\n".join(lines)
