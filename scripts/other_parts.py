"""Canaries on parts of the data and with seeds that no detector was tuned on.

``python scripts/other_parts.py near-flood Adult 7 8``: of a family's 29 injections of 20 and of 50
rows, how many are found in resamples 7 and 8 of Adult.
"""

from __future__ import annotations

import sys

import msgspec

from sealwright.app.bench.poison.clean import Build, resample
from sealwright.scan import canary, registry
from sealwright.scan.ensemble import ALPHA, modalities


def main(family: str, data: str, draws: list[int]) -> None:
    """One line a resample and count."""
    planter = registry.planter(family)
    for draw in draws:
        part = resample(Build(data, draw))
        every = registry.for_modalities(modalities(part.frame))
        frame = canary.at_share(part.frame, every, ALPHA)
        frame = msgspec.structs.replace(frame, seed=frame.seed + 9_000 + draw)
        fitting = [one for one in every if family in one.spec.families]
        batches = list(part.source())
        live = canary.settled(lambda made=batches: made, frame, fitting)
        for count in (20, 50):
            found = 0
            for number in range(canary.REPEATS):
                seed = canary.seed_of(frame.seed, count, number)
                planted, carriers = planter.plant(batches, frame, count, seed)
                found += canary.covered(batches, planted, frame, fitting, live, carriers)
            print(f"{data} {draw}, {count} rows: {found} of {canary.REPEATS}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(one) for one in sys.argv[3:]])
