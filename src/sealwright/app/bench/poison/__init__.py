"""Poisoning: what the data scan finds, flags, cures and costs, beside other tools.

Sections run alone with ``--only``. The data lies beside the project; where it is absent the rows
stand without a value and say so. Source: docs/benchmarks-poison.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib import import_module

from sealwright.app.bench import Answer, Ask, Plate, Row
from sealwright.core.errors import BadInput

SECTIONS: dict[str, str] = {
    "images": "cells",
    "tables": "cells",
    "texts": "cells",
    "floods": "cells",
    "model": "model",
    "model-clean": "model",
    "clean": "clean",
    "canaries": "canaries",
    "flips": "flips",
    "drift": "drifting",
    "scaling": "scaling",
    "personal": "personal",
    "held-out": "heldout",
}
"""Section → the module of this package that holds the function of that name."""


def answer(ask: Ask) -> Answer:
    """The sections asked for, in order. Raises: BadInput (no such section)."""
    unknown = [name for name in ask.only if name not in SECTIONS]
    if unknown:
        raise BadInput(f"no section {unknown[0]!r}", why=f"known: {', '.join(SECTIONS)}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows: list[Row] = []
    plates: list[Plate] = []
    for name in ask.only or [one for one in SECTIONS if one != "held-out" or ask.held_out]:
        start = time.monotonic()
        ask.note(f"  {name} ...")
        part = section(name, ask)
        rows += part.rows
        plates += part.plates
        ask.note(f"  {name}: {time.monotonic() - start:.0f} s")
    return Answer(rows, plates)


def section(name: str, ask: Ask) -> Answer:
    """One section."""
    module = import_module(f"sealwright.app.bench.poison.{SECTIONS[name]}")
    work: Callable[..., Answer] = getattr(module, name.replace("-", "_"))
    if name == "personal":
        return work(ask.quick, ask.fixtures)
    if name == "held-out":
        return work(ask.quick, ask.held_out, jobs(ask), ask.model, ask.draws)
    if name.startswith("model"):
        return work(ask.quick, jobs(ask), ask.draws, ask.note)
    if name in ("images", "tables", "texts", "floods", "clean"):
        return work(ask.quick, jobs(ask), ask.draws)
    return work(ask.quick, jobs(ask))


def jobs(ask: Ask) -> int:
    """How many processes: one for a quick run, else one for each core, at most two."""
    if ask.jobs or ask.quick:
        return max(1, ask.jobs)
    return min(2, os.cpu_count() or 1)
