"""``seal redteam replay``: what copies are worth of what the heaviest callers were told."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.replaying import Looked, Wish


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    from sealwright.app.cli.redteam_extraction import arguments_common

    parser.add_argument("model", metavar="MODEL", help="model:NAME@N, as it is served")
    parser.add_argument(
        "--data",
        metavar="REF",
        default="",
        help="records that judge the copies; else the newest dataset it was made from",
    )
    parser.add_argument(
        "--heaviest", type=int, default=0, metavar="N", help="link groups, with the most rows; 5"
    )
    arguments_common(parser)


def run(args: argparse.Namespace, out: Out) -> int:
    """Exit 0 when every copy's bound is at most the target."""
    from sealwright.app import replaying, wiring

    workspace = wiring.open_workspace()
    wish = _wish(args)
    with out.progress("copies") as progress:
        looked = replaying.replay(workspace, args.model, args.data, wish, args.reason, progress)
    for note in workspace.settle():
        out.note(note)
    out.emit(_shape(looked), lambda: _text(looked, out))
    return int(looked.replay.over)


def _wish(args: argparse.Namespace) -> Wish:
    from sealwright.app.cli.redteam_extraction import shape_of, share_of
    from sealwright.app.extracting import SEED
    from sealwright.app.replaying import HEAVIEST, Wish
    from sealwright.core.errors import BadInput

    if args.heaviest < 0:
        raise BadInput(f"{args.heaviest} link groups", why="one or more")
    return Wish(
        heaviest=args.heaviest or HEAVIEST,
        target=share_of(args.target),
        seed=args.seed or SEED,
        shape=shape_of(args.shape),
    )


def _shape(looked: Looked) -> dict[str, Any]:
    import msgspec

    return {
        "model": looked.model,
        "data_ref": looked.data,
        **msgspec.to_builtins(looked.replay),
        "over": looked.replay.over,
        "entry": looked.index,
    }


def _text(looked: Looked, out: Out) -> str:
    replay = looked.replay
    rows = [
        [
            one.group or "(all together)",
            f"{one.callers:,}",
            f"{one.asked:,}",
            f"{one.used:,}",
            one.agreement,
            one.gain,
            one.bound,
        ]
        for one in replay.every
    ]
    head = ["group", "callers", "rows asked", "rows used", "agreement", "gain", "at most"]
    word = "above" if replay.over else "within"
    lines = [
        f"{looked.model}, {replay.since} to {replay.until}; {replay.held_out:,} records of"
        f" {looked.data} judge the copies",
        "",
        out.table(rows, head),
        "",
        f"without a question  {replay.no_questions}   from {replay.public} public records alone",
        f"target              {replay.target}   {word} it",
        f"entry               {looked.index}",
    ]
    if replay.unrecorded:
        lines.insert(-1, f"unrecorded          {replay.unrecorded:,} kept rows, not used")
    return "\n".join(lines)
