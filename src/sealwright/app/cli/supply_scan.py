"""``seal supply scan``: verdicts on model files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.scanning import Scanned
    from sealwright.kit.modelfile.policy import Signed

LEVELS = ("weights", "framework", "project")
_COLOURS = {"clean": "green", "dangerous": "red", "not understood": "yellow"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("paths", metavar="PATH", nargs="+", help="files and folders")
    parser.add_argument(
        "--level",
        choices=LEVELS,
        default="framework",
        help="what a file may name: tensors; libraries' own types; also classes you signed",
    )
    parser.add_argument("--sarif", metavar="FILE", help="write the findings as SARIF 2.1.0 too")


def run(args: argparse.Namespace, out: Out) -> int:
    """Exit 0 only when every file is clean."""
    from sealwright.app.scanning import scan_paths

    with out.progress("scanning") as progress:
        files = scan_paths(args.paths, args.level, _signed(args.level), progress)
    if args.sarif:
        from sealwright.supply import modelfile, sarif

        found = modelfile.results([(one.path, one.verdict) for one in files])
        out.write(args.sarif, sarif.encode(found))
    counts = {word: sum(one.verdict.verdict == word for one in files) for word in _COLOURS}
    shape: dict[str, Any] = {
        "files": [_json(one) for one in files],
        "counts": counts,
        "level": args.level,
        "policy": files[0].verdict.policy,
    }
    out.emit(shape, lambda: _text(files, counts, out))
    return 0 if counts["clean"] == len(files) else 1


def _signed(level: str) -> tuple[Signed, ...]:
    """The classes signed in the workspace here, which level project needs."""
    if level != "project":
        return ()
    from sealwright.app import allowing, wiring

    workspace = wiring.open_workspace()
    return allowing.signed(workspace)


def _json(one: Scanned) -> dict[str, Any]:
    from sealwright.supply.modelfile import as_json

    return {"path": one.path, "sha256": one.sha256, **as_json(one.verdict)}


def _text(files: list[Scanned], counts: dict[str, int], out: Out) -> str:
    from sealwright.kit.modelfile.rules import RULES
    from sealwright.supply.modelfile import message

    lines = list[str]()
    for one in files:
        word = one.verdict.verdict
        format_ = f"  {one.verdict.format}" if one.verdict.format else ""
        lines.append(f"{out.paint(f'{word:<14}', _COLOURS[word])}  {one.path}{format_}")
        for found in one.verdict.findings[:5]:
            lines.append(f"{'':16}{message(found)}")
        if len(one.verdict.findings) > 5:
            lines.append(f"{'':16}and {len(one.verdict.findings) - 5} more")
        if word != "clean":
            lines.append(f"{'':16}mend: {RULES[one.verdict.findings[0].rule].mend}")
    total = ", ".join(f"{count:,} {word}" for word, count in counts.items())
    return "\n".join([*lines, f"{len(files):,} files: {total}"])
