"""One detector of tables alone, in rounds, on frozen attacks that were opened.

``python scripts/held_out_alone.py table-pairs scripts/heldout_patterns.py 5%``: what it finds at
its share of the error, of the first seed; the data beside the others (``SEAL_SHARED_DATA``).
"""

from __future__ import annotations

import sys

from sealwright.app.bench.poison.data import folder
from sealwright.app.bench.poison.heldout import _SHARES, _set, opened
from sealwright.app.bench.poison.planted import Planted
from sealwright.app.bench.poison.trial import Plan, scored
from sealwright.scan import registry, rounds
from sealwright.scan.ensemble import ALPHA, modalities, share


def main(detector: str, path: str, amount: str) -> None:
    """One line an attack."""
    module = opened(path)
    for name, kind in module.cases():
        if kind != "table":
            continue
        made = module.make(name, amount, 0, folder())
        rows = _set(made, 0)
        every = registry.for_modalities(modalities(rows.frame))
        ours = [one for one in every if one.spec.name == detector]
        said = rounds.screen(rows.source, rows.frame, ours, alpha=share(every, ALPHA))
        planted = Planted(
            rows, rows, made.planted, made.covers,
            made.test, made.test_labels, made.attacked, made.wanted,
        )  # fmt: skip
        got = scored(Plan(name, "", _SHARES[amount], 0), planted, said, 0)
        print(f"{name}: {100 * got.found / got.planted:.1f} % of {got.planted} found, {100 * got.flagged / got.clean:.2f} % of clean rows held", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:4])
