"""The guard: what it costs, what it stops, whom it troubles; ``--only SECTION`` runs one.

Source: docs/benchmarks.md.
"""

from __future__ import annotations

import os
from importlib import import_module

from sealwright.app.bench import Answer, Ask, Plate, Row
from sealwright.core.errors import BadInput

SECTIONS: dict[str, str] = {
    "budget": "sealwright.app.bench.guard.budget",
    "overhead": "sealwright.app.bench.guard.overhead",
    "detect": "sealwright.app.bench.guard.detect",
    "links": "sealwright.app.bench.guard.links",
    "thieves": "sealwright.app.bench.guard.thieves",
    "units": "sealwright.app.bench.guard.units",
    "owner": "sealwright.app.bench.guard.owner",
    "egress": "sealwright.app.bench.guard.egress",
    "proxy": "sealwright.app.bench.guard.proxy",
}
"""Section → the module whose ``rows(ask)`` it is, or whose ``answer(ask)``: rows and plates."""


def answer(ask: Ask) -> Answer:
    """The sections asked for, all where none is. Raises: BadInput (no such section)."""
    unknown = sorted(set(ask.only) - set(SECTIONS))
    if unknown:
        raise BadInput(f"no section {unknown[0]!r}", why=f"sections: {', '.join(SECTIONS)}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows, plates = list[Row](), list[Plate]()
    for name, where in SECTIONS.items():
        if ask.only and name not in ask.only:
            continue
        ask.note(f"bench guard, {name} ...")
        module = import_module(where)
        part = module.answer(ask) if hasattr(module, "answer") else Answer(module.rows(ask), [])
        rows += part.rows
        plates += part.plates
    return Answer(rows, plates)
