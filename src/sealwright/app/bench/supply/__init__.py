"""The supply chain's benches, a section each; ``seal bench supply --only SECTION`` runs one."""

from __future__ import annotations

from importlib import import_module

from sealwright.app.bench import Row

SECTIONS: dict[str, str] = {
    "modelfiles": "sealwright.app.bench.supply.modelfiles",
}
"""Section → the module whose ``rows(quick)`` it is."""


def rows(quick: bool) -> list[Row]:
    """Every section, in order."""
    out = list[Row]()
    for module in SECTIONS.values():
        out.extend(import_module(module).rows(quick))
    return out
