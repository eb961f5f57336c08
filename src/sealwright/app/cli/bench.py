"""Measure this machine against the targets; every figure beside its yardstick in one run."""

from __future__ import annotations

import argparse
import os
import platform
from importlib import import_module
from typing import Any

from sealwright import __version__
from sealwright.app.bench import Answer, Ask, Plate, Row, figure
from sealwright.app.cli.out import Out
from sealwright.core.errors import BadInput

BENCHES: dict[str, tuple[str, ...]] = {
    "spine": ("records", "signing", "readd", "ledger", "store", "room", "overhead", "startup"),
    "records": ("records",),
    "signing": ("signing",),
    "readd": ("readd",),
    "ledger": ("ledger",),
    "store": ("store",),
    "room": ("room",),
    "overhead": ("overhead",),
    "startup": ("startup",),
    "policy": ("policy",),
    "access": ("access",),
    "vault": ("store", "vault"),
    "drift": ("drift",),
    "labels": ("labels",),
    "personal": ("personal",),
    "poison": ("poison",),
    "supply": ("supply",),
    "guard": ("guard",),
}
"""Every bench and the modules of ``app/bench`` it runs; ``all`` runs each module once."""

SEED = 20_260_101


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("name", metavar="NAME", help=f"one of: all, {', '.join(BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a smoke test")
    parser.add_argument("--html", metavar="FILE", help="write the rows as a page with plots too")
    parser.add_argument(
        "--only", metavar="SECTION", action="append", default=[], help="of a bench with sections"
    )
    parser.add_argument("--held-out", metavar="FILE", default="", help="poison: the frozen attacks")
    parser.add_argument(
        "--fixtures", metavar="PATH", default="", help="poison, supply: frozen fixtures"
    )
    parser.add_argument(
        "--draws", type=int, default=0, metavar="N", help="poison: at most N builds of a kind"
    )
    parser.add_argument(
        "--model", action="store_true", help="poison: screen the frozen images with a model too"
    )
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="poison, guard: processes")


def run(args: argparse.Namespace, out: Out) -> int:
    """Run the bench and print its rows."""
    modules = _modules(args.name)
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")  # CPU seconds of waiting threads would be counted too
    ask = Ask(
        args.quick,
        tuple(args.only),
        args.held_out,
        args.fixtures,
        args.jobs,
        args.draws,
        out.note,
        args.model,
    )
    rows: list[Row] = []
    plates: list[Plate] = []
    for name in modules:
        out.note(f"bench {name} ...")
        answer = _answer(name, ask)
        rows += answer.rows
        plates += answer.plates
    report = {
        "bench": args.name,
        "version": __version__,
        "machine": machine(),
        "seed": SEED,
        "quick": args.quick,
        "rows": [_row(row) for row in rows],
    }
    if args.html:
        from sealwright.app.bench.page import write_page

        write_page(args.html, report, plates)
        out.note(f"wrote {args.html}")
    out.emit(report, lambda: _table(rows, out))
    return 0


def _answer(name: str, ask: Ask) -> Answer:
    """What one module measures. Raises: BadInput (``--only`` where there are no sections)."""
    module = import_module(f"sealwright.app.bench.{name}")
    if hasattr(module, "answer"):
        found: Answer = module.answer(ask)
        return found
    if ask.only:
        raise BadInput(f"the bench {name} has no sections", why="--only is for those that have")
    return Answer(module.rows(ask.quick), [])


def machine() -> dict[str, Any]:
    """What the figures were measured on; nothing that names the machine."""
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            model = next(
                (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), ""
            )
    except OSError:
        model = platform.processor()
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _modules(name: str) -> tuple[str, ...]:
    if name == "all":
        return tuple(dict.fromkeys(module for modules in BENCHES.values() for module in modules))
    if name not in BENCHES:
        raise BadInput(f"no bench {name!r}", why=f"known: all, {', '.join(BENCHES)}")
    return BENCHES[name]


def _row(row: Row) -> dict[str, Any]:
    return {
        "what": row.what,
        "value": row.value,
        "unit": row.unit,
        "target": row.target,
        "met": row.met,
        "yardsticks": row.yardsticks,
        **({"note": row.note} if row.note else {}),
    }


def _table(rows: list[Row], out: Out) -> str:
    words = {True: "yes", False: "NO", None: "-"}
    noted = any(row.note for row in rows)
    body = [
        [
            row.what,
            figure(row.value),
            row.unit,
            row.target or "-",
            words[row.met],
            "; ".join(f"{name} {figure(value)}" for name, value in row.yardsticks.items()) or "-",
            *([row.note] if noted else []),
        ]
        for row in rows
    ]
    head = ["what", "value", "unit", "target", "met", "yardsticks", *(["note"] if noted else [])]
    return out.table(body, head)
