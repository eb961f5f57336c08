"""``seal model compare``: does a suspect answer as a copy of a model of ours would?"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.comparing import Compared
    from sealwright.app.wiring import Workspace
    from sealwright.registry.compare import Test

_EXIT = {"consistent with copying": 0, "not shown": 1, "cannot tell": 2}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "suspect", metavar="SUSPECT", help="http://…/v2/models/NAME, a model file, or answers.csv"
    )
    parser.add_argument("--against", required=True, metavar="MODEL", help="the model of ours")
    parser.add_argument(
        "--published", default="", metavar="DATE", help="when the suspect was first seen"
    )
    parser.add_argument("--entry", type=int, default=-1, help="the fingerprint; else the newest")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="ask so many at most")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="THEIRS=OURS",
        help="a label of the suspect's, and what the model calls it",
    )
    parser.add_argument("--token-file", default="", metavar="FILE", help="a bearer token")
    parser.add_argument(
        "--level", choices=("weights", "framework"), default="framework", help="as in supply scan"
    )
    parser.add_argument("--html", default="", metavar="FILE", help="write a page with plots too")
    parser.add_argument("--reason", default="", help="why, for the log")


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Exit 0: consistent with copying; 1: not shown; 2: cannot tell."""
    from sealwright.app import comparing, suspects

    names = _names(args.name)
    with suspects.opened(args.suspect, args.level, args.token_file) as suspect:
        found = comparing.compare(
            workspace,
            args.against,
            suspect,
            names,
            entry=args.entry,
            published=args.published,
            most=max(0, args.most),
            reason=args.reason,
        )
    for note in workspace.settle():
        out.note(note)
    if args.html:
        from sealwright.app.comparepage import page

        Path(args.html).write_text(page(args.suspect, found), "utf-8")
        out.note(f"wrote {args.html}")
    out.emit(_shape(args.suspect, found), lambda: _text(args.suspect, found, out))
    return _EXIT[found.comparison.verdict]


def _names(given: list[str]) -> dict[str, str]:
    from sealwright.core.errors import BadInput

    if bad := next((one for one in given if "=" not in one), ""):
        raise BadInput(f"{bad!r} names no label of ours", hint="--name THEIRS=OURS")
    return {one.split("=", 1)[0]: one.split("=", 1)[1] for one in given}


def _shape(suspect: str, found: Compared) -> dict[str, Any]:
    judged, order = found.comparison, found.order
    return {
        "suspect": suspect,
        "against": found.model.ref,
        "verdict": judged.verdict,
        "why": judged.reason,
        "alternatives": list(judged.alternatives),
        "tests": [
            {
                "name": one.name,
                "asked": one.asked,
                "answered": one.answered,
                "value": one.value,
                "null": sorted(one.null),
                "bound": one.bound,
                "log10_p": one.log10_p,
                "counts": one.counts,
            }
            for one in judged.tests
        ],
        "divided_by": judged.divided_by,
        "null_models": judged.null_models,
        "null_rate_at_most": null_rate(judged.null_models),
        "asked": judged.asked,
        "answered": judged.answered,
        "agreement": judged.agreement,
        "model_agreement": judged.model_agreement,
        "faults": list(judged.faults),
        "commitment": {
            "sha256": found.commitment.commitment,
            "entry": order.entry,
            "time": order.time,
            "released": order.released if order.released >= 0 else None,
            "published": order.published or None,
            "before": order.holds,
            "why": order.why,
        },
        "entry": found.index,
    }


def null_rate(models: int) -> float:
    """The 95 % upper bound on how often independent models reach what none of ``models`` did."""
    return float(1 - 0.05 ** (1 / models)) if models else 1.0


def _text(suspect: str, found: Compared, out: Out) -> str:
    judged, order = found.comparison, found.order
    rows = [_row(one) for one in judged.tests]
    head = ["test", "answered", "suspect", "null mean", "null highest", "counts from", "p", ""]
    lines = [
        f"{suspect} against {found.model.ref}: {judged.verdict}",
        f"  why         {judged.reason}",
        f"  commitment  {order.why}",
        f"  answers     {judged.answered:,} of {judged.asked:,}; on ordinary rows it agrees with"
        f" the references on {judged.agreement:.1%}, the model on {judged.model_agreement:.1%}",
        out.table(rows, head),
        f"p is multiplied by {judged.divided_by}; the null is {judged.null_models} models that"
        f" copied nothing: by them alone, at most {null_rate(judged.null_models):.1%} of such"
        " models lie above the highest",
    ]
    if judged.alternatives:
        lines.append("the same answers would also come about if")
        lines += [f"  - {one}" for one in judged.alternatives]
    return "\n".join(lines)


def _row(one: Test) -> list[str]:
    return [
        one.name,
        f"{one.answered:,} of {one.asked:,}",
        f"{one.value:.3f}",
        f"{one.null_mean:.3f}",
        f"{one.null_highest:.3f}",
        f"{one.bound:.3f}" if one.bound <= 1 else "never",
        power(one.log10_p),
        "counts" if one.counts else "",
    ]


def power(log10_p: float) -> str:
    """``3e-12`` of a logarithm."""
    if log10_p >= -0.005:
        return "1"
    if log10_p > -2:
        return f"{10**log10_p:.2f}"
    whole = math.floor(log10_p)
    digit = round(10 ** (log10_p - whole))
    return f"1e{whole + 1}" if digit == 10 else f"{digit}e{whole}"
