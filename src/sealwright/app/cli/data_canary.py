"""``seal data canary``: records that nobody has business with, and what happens to who does."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from sealwright.app.canaries import Found, Made
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    one = words.add_parser("make", help="decoys that look like a dataset's records")
    one.add_argument("ref", metavar="REF", help="data:NAME@N; the newest version if @N is left")
    one.add_argument("--name", required=True, help="what to call them: something worth stealing")
    one.add_argument("--count", type=int, default=100, help="how many records (100)")
    one.add_argument("--reason", default="", help="why; goes into the log, where others read it")
    for word, said in (
        ("arm", "hold whoever opens a version of it from now on"),
        ("disarm", "no longer"),
    ):
        one = words.add_parser(word, help=said)
        one.add_argument("name", metavar="NAME", help="a dataset")
        one.add_argument("--reason", required=True, help="why; goes into the log")
    words.add_parser("list", help="what is armed; the log does not say")
    one = words.add_parser("look", help="whether files hold values of armed decoys")
    one.add_argument("file", metavar="FILE", nargs="+", help="text of any kind: a dump, a paste")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Run the word; ``look`` is refused (1) where it found something."""
    from sealwright.app import canaries

    if args.word == "make":
        return _make(workspace, args, out)
    if args.word == "list":
        names = canaries.names(workspace)
        out.emit(
            {"armed": names},
            lambda: "\n".join(f"data:{name}" for name in names) or "nothing is armed",
        )
        return 0
    if args.word == "look":
        return _look(workspace, args, out)
    name, on = args.name.removeprefix("data:"), args.word == "arm"
    index = canaries.arm(workspace, name, on, args.reason)
    said = (
        f"armed: whoever opens a version of data:{name} is quarantined, you too; entry {index}"
        " of the log does not say what was armed"
        if on
        else f"data:{name} is an ordinary dataset again"
    )
    out.emit({"name": name, "armed": on, "entry": index}, lambda: said)
    return 0


def _make(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import canaries
    from sealwright.intake.versions import Datasets

    source = Datasets(workspace.history(), workspace.store).resolve(args.ref)
    with out.progress(f"data:{args.name}") as progress:
        made = canaries.make(workspace, source, args.name, args.count, args.reason, progress)
    for note in (*made.added.notes, *workspace.settle()):
        out.note(note)
    shape = {
        "ref": made.added.dataset.ref,
        "path": made.path,
        "rows": made.rows,
        "marked": made.marked,
    }
    out.emit(shape, lambda: _made(made))
    return 0


def _made(made: Made) -> str:
    dataset = made.added.dataset
    marked = (
        f"{made.marked:,} of their values can be recognised elsewhere"
        if made.marked
        else "none of their values is long enough to be recognised elsewhere"
    )
    return (
        f"{dataset.ref}  {made.rows:,} decoys, in {made.path}; {marked}\n"
        f"they are not armed yet: seal data canary arm {dataset.name} --reason '...'"
    )


def _look(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    from sealwright.app import canaries

    with out.progress("looking") as progress:
        found = canaries.look(workspace, args.file, progress)
    out.emit(
        {"found": [msgspec.to_builtins(one) for one in found], "files": len(args.file)},
        lambda: _found(found, len(args.file)),
    )
    return 1 if found else 0


def _found(found: list[Found], files: int) -> str:
    if not found:
        return f"no value of an armed decoy in {files} file{'s' * (files != 1)}"
    lines = []
    for one in found:
        held = f"{one.values:,} of the {one.of:,} marked values of {one.dataset}"
        lines.append(f"{one.path} holds {held} (entry {one.index})")
        lines += [f"  opened  {line}" for line in one.opened] or ["  nobody opened it here"]
    return "\n".join(lines)
