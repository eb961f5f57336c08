"""The reputation of a container image, 0 to 100, from its OCI layout alone.

seal supply image ./layout --key cosign.pub --builder https://ci.example/pipeline
seal supply image ./layout --digest sha256:… --rebuilt ./second-build --least 80
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.supply.image import Score

_LEAST = 70


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "layout", metavar="OCI-LAYOUT", help="a folder, as skopeo and buildah write"
    )
    parser.add_argument("--tag", default="", help="which image, by tag or sha256:…")
    parser.add_argument("--key", action="append", default=[], metavar="PEM", help="whom you trust")
    parser.add_argument(
        "--builder", action="append", default=[], metavar="ID", help="which builders"
    )
    parser.add_argument("--digest", default="", metavar="sha256:…", help="the digest you asked for")
    parser.add_argument("--rebuilt", metavar="OCI-LAYOUT", help="what a second build gave")
    parser.add_argument("--least", type=int, default=_LEAST, help=f"refuse below; {_LEAST} if left")


def run(args: argparse.Namespace, out: Out) -> int:
    """Score; 1 below ``--least``."""
    from sealwright.app import imagescoring, wiring

    workspace = wiring.open_workspace()
    with out.progress("image"):
        scored, index = imagescoring.score(
            workspace,
            Path(args.layout),
            tag=args.tag,
            keys=[Path(path) for path in args.key],
            builders=tuple(args.builder),
            pinned=args.digest.removeprefix("sha256:"),
            rebuilt=Path(args.rebuilt) if args.rebuilt else None,
        )
    for note in workspace.settle():
        out.note(f"note: {note}")
    out.emit(_json(scored, args.least, index), lambda: _text(scored, args.least, out))
    return int(scored.score < args.least)


def _json(scored: Score, least: int, index: int) -> dict[str, Any]:
    import msgspec

    return {
        "image": f"sha256:{scored.image}",
        "score": scored.score,
        "least": least,
        "caps": list(scored.caps),
        "signals": [msgspec.to_builtins(one) for one in scored.signals],
        "index": index,
    }


def _text(scored: Score, least: int, out: Out) -> str:
    rows = [
        [
            one.name,
            f"{one.points} of {one.of}",
            one.found[0].where if one.found else one.says,
            one.found[0].rule if one.found else "",
        ]
        for one in scored.signals
    ]
    lines = [out.table(rows, ["signal", "points", "seen", "rule"]), ""]
    for one in scored.signals:
        lines += [f"  {found.rule}: {found.where}" for found in one.found[1:8]]
    lines += [f"held down to {cap}" for cap in scored.caps]
    word = "passes" if scored.score >= least else "is refused"
    lines.append(
        f"sha256:{scored.image[:16]} scores {scored.score} of 100 and {word} ({least} wanted)"
    )
    return "\n".join(lines)
