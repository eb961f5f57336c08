"""``seal redteam extraction``: what thieves make of a model within a budget."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from decimal import Decimal

    from sealwright.app.extracting import Tested, Wish
    from sealwright.policy.extracted import Budget

FIDELITIES = ("full", "top1", "label")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("model", metavar="MODEL", help="model:NAME@N")
    parser.add_argument(
        "--data",
        metavar="REF",
        default="",
        help="records the model is asked; else the newest dataset it was made from",
    )
    parser.add_argument(
        "--budget",
        type=int,
        default=0,
        metavar="N",
        help="queries of one thief; if left, what [serve] in seal.toml lets a caller have",
    )
    parser.add_argument("--bits", type=int, default=0, help="the same in ceiling bits")
    parser.add_argument(
        "--cells", type=int, default=0, help="stop at so many cells; if left, as [serve] does"
    )
    parser.add_argument(
        "--plain", action="store_true", help="the budget alone: no cells, pace or walks of [serve]"
    )
    parser.add_argument(
        "--fidelity", choices=FIDELITIES, default="top1", help="what of an answer is released"
    )
    parser.add_argument(
        "--thieves",
        metavar="NAMES",
        default="",
        help="some, with commas; NAME*N for N accounts. All of them once if left",
    )
    arguments_common(parser)
    parser.add_argument("--html", metavar="FILE", help="write the curves as a page too")


def arguments_common(parser: argparse.ArgumentParser) -> None:
    """Describe what every test by copies has."""
    parser.add_argument(
        "--target", metavar="SHARE", default="0.9", help="agreement a copy may have; 0.9"
    )
    parser.add_argument(
        "--shape", metavar="HxW", default="", help="the columns are pixels of such a picture"
    )
    parser.add_argument("--seed", type=int, default=0, help="of every choice; one of ours if left")
    parser.add_argument("--reason", default="", help="why, for the log")


def run(args: argparse.Namespace, out: Out) -> int:
    """Exit 0 when the best copy's bound is at most the target."""
    from sealwright.app import extracting, wiring

    workspace = wiring.open_workspace()
    wish = _wish(args)
    with out.progress("thieves") as progress:
        tested = extracting.test(workspace, args.model, args.data, wish, args.reason, progress)
    for note in workspace.settle():
        out.note(note)
    if args.html:
        from sealwright.app.curves import page

        out.write(args.html, page(tested))
    out.emit(_shape(tested), lambda: _text(tested, out))
    return int(tested.test.over)


def _wish(args: argparse.Namespace) -> Wish:
    from sealwright.app.extracting import SEED, Wish

    return Wish(
        queries=args.budget,
        mbits=args.bits * 1000,
        cells=args.cells,
        fidelity=args.fidelity,
        thieves=tuple(name.strip() for name in args.thieves.split(",") if name.strip()),
        target=share_of(args.target),
        seed=args.seed or SEED,
        shape=shape_of(args.shape),
        plain=args.plain,
    )


def share_of(text: str) -> Decimal:
    """``0.9``. Raises: BadInput."""
    from decimal import Decimal, InvalidOperation

    from sealwright.core.errors import BadInput

    try:
        share = Decimal(text)
    except InvalidOperation as error:
        raise BadInput(f"{text!r} is not a share such as 0.9") from error
    if not 0 < share <= 1:
        raise BadInput(f"a target of {share}", why="a share of agreement, above 0, at most 1")
    return share


def shape_of(text: str) -> tuple[int, ...]:
    """``8x8``; nothing is none. Raises: BadInput."""
    from sealwright.core.errors import BadInput

    try:
        return tuple(int(side) for side in text.split("x")) if text else ()
    except ValueError as error:
        raise BadInput(f"{text!r} is not a shape such as 8x8") from error


def _shape(tested: Tested) -> dict[str, Any]:
    import msgspec

    return {
        "model": tested.model,
        "data_ref": tested.data,
        **msgspec.to_builtins(tested.test),
        "over": tested.test.over,
        "fit": dict(tested.fit),
        "curves": [
            {
                "thief": curve.thief,
                "points": [
                    {
                        "queries": point.reading.queries,
                        "mbits": point.reading.mbits,
                        "cells": point.reading.cells,
                        "agreement": round(point.agreed / curve.of, 4),
                    }
                    for point in curve.points
                ],
            }
            for curve in tested.curves
        ],
        "entry": tested.index,
    }


def _guard(budget: Budget) -> str:
    """What of it was on."""
    paced = ", ".join(f"{cells:,} cells by {mbits // 1000:,} bits" for mbits, cells in budget.pace)
    said = [
        f"{budget.mbits // 1000:,} bits",
        f"{budget.cells:,} cells" if budget.cells else "any cells",
        f"a pace of {paced}" if paced else "no pace",
        "walks charged" if budget.walks else "walks not charged",
        "no monitors",
    ]
    return "; ".join(said)


def _text(tested: Tested, out: Out) -> str:
    test = tested.test
    rows = [
        [
            one.thief,
            one.agreement,
            one.gain,
            f"{one.queries:,}",
            f"{one.mbits // 1000:,}",
            f"{one.cells:,}",
            f"{one.accounts:,}",
        ]
        for one in sorted(test.thieves, key=lambda one: one.agreement, reverse=True)
    ]
    head = ["thief", "agreement", "gain", "queries", "bits", "cells", "accounts"]
    fit = ", ".join(
        f"{count // 1000 if unit == 'mbits' else count:,} {'bits' if unit == 'mbits' else unit}"
        for unit, count in tested.fit
    )
    word = "above" if test.over else "within"
    return "\n".join(
        [
            f"{tested.model}, asked as {test.budget.fidelity}; {test.held_out:,} records of"
            f" {tested.data} judge the copies",
            "",
            out.table(rows, head),
            "",
            f"guard               {_guard(test.budget)}",
            f"without a question  {test.no_questions}   from {test.public} public records alone",
            f"best copy           {test.agreement}   {test.best}; at most {test.bound} (95 %)",
            f"target              {test.target}   {word} it",
            f"a budget that fits  {fit}   (0: none of those tried)",
            f"entry               {tested.index}",
        ]
    )
