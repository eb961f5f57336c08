"""``seal model fingerprint`` and ``questions``: commit to what tells a model from all others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.owning import Fingerprinted
    from sealwright.app.wiring import Workspace


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``fingerprint``."""
    parser.add_argument("ref", metavar="MODEL", help="model:NAME@N, NAME@ALIAS or NAME")
    parser.add_argument(
        "--references", type=int, default=60, metavar="N", help="models to train beside it"
    )
    parser.add_argument(
        "--data", default="", metavar="REF", help="what it was trained on; else as recorded"
    )
    parser.add_argument("--label", default="", metavar="COLUMN", help="else the dataset's own")
    parser.add_argument("--file", default="", metavar="PATH", help="which file of the model")
    parser.add_argument(
        "--questions", type=int, default=4000, metavar="N", help="at most, for each of three tests"
    )
    parser.add_argument("--time", type=int, default=7200, metavar="S", help="seconds at most")
    parser.add_argument("--reason", default="", help="why, for the log")


def question_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``questions``."""
    parser.add_argument("ref", metavar="MODEL")
    parser.add_argument("out", metavar="OUT", help="a CSV file to write, one question a line")
    parser.add_argument("--entry", type=int, default=-1, help="the fingerprint; else the newest")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Make one."""
    from sealwright.app import owning
    from sealwright.core.errors import BadInput

    if args.questions < 100:
        raise BadInput("too few questions tell nothing", hint="--questions 4000")
    wish = owning.Wish(
        model=args.ref,
        data=args.data,
        label=args.label,
        file=args.file,
        references=args.references,
        kinship=args.questions,
        wall_s=args.time,
        reason=args.reason,
    )
    with out.progress(f"fingerprinting {args.ref}") as progress:
        made = owning.fingerprint(workspace, wish, progress)
    for note in workspace.settle():
        out.note(note)
    said = made.commitment
    shape = {
        "ref": f"model:{said.model}@{said.version}",
        "commitment": said.commitment,
        "questions": said.questions,
        "references": said.references,
        "null_references": said.null_references,
        "recipe": said.recipe,
        "released": made.released if made.released >= 0 else None,
        "entry": made.index,
    }
    out.emit(shape, lambda: _text(made))
    return 0


def run_questions(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Write the questions down, for somebody who asks them elsewhere."""
    import numpy as np

    from sealwright.app import comparing
    from sealwright.core.errors import BadInput

    path = Path(args.out)
    if path.exists():
        raise BadInput(f"{path} is there already")
    asked = comparing.questions(workspace, args.ref, args.entry)
    path.touch(mode=0o600)
    np.savetxt(path, asked, fmt="%.17g", delimiter=",")
    shape = {"ref": args.ref, "questions": len(asked), "columns": asked.shape[1], "out": str(path)}
    text = (
        f"{len(asked):,} questions are in {path}, one a line\n"
        "  keep it to yourself: whoever sees it can prepare for it"
    )
    out.emit(shape, text)
    return 0


def _text(made: Fingerprinted) -> str:
    said = made.commitment
    sets = ", ".join(f"{count:,} {name}" for name, count in said.questions.items())
    lines = [
        f"model:{said.model}@{said.version} has a fingerprint",
        f"  commitment  {said.commitment}",
        f"  questions   {sets}",
        f"  references  {said.references} by its own recipe ({said.recipe}), of which"
        f" {said.null_references} are the null",
        f"  entry       {made.index}",
    ]
    if made.released >= 0:
        lines.append(
            f"  note        the model was released before, at entry {made.released}: a comparison"
            " needs --published"
        )
    return "\n".join(lines)
