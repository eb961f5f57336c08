"""The supply chain's benches, a section each; ``seal bench supply --only SECTION`` runs one."""

from __future__ import annotations

from importlib import import_module

from sealwright.app.bench import Answer, Ask, Row
from sealwright.core.errors import BadInput

SECTIONS: dict[str, str] = {
    "modelfiles": "sealwright.app.bench.supply.modelfiles",
    "advisories": "sealwright.app.bench.supply.advisories",
    "bom": "sealwright.app.bench.supply.bills",
    "images": "sealwright.app.bench.supply.images",
    "secrets": "sealwright.app.bench.supply.secrets",
    "rebuilds": "sealwright.app.bench.supply.rebuilds",
}
"""Section → the module whose ``rows(ask)`` it is."""


def answer(ask: Ask) -> Answer:
    """The sections asked for, all where none is. Raises: BadInput (no such section)."""
    unknown = sorted(set(ask.only) - set(SECTIONS))
    if unknown:
        raise BadInput(f"no section {unknown[0]!r}", why=f"sections: {', '.join(SECTIONS)}")
    out = list[Row]()
    for name, module in SECTIONS.items():
        if not ask.only or name in ask.only:
            ask.note(f"bench supply, {name} ...")
            out.extend(import_module(module).rows(ask))
    return Answer(out, [])
