"""What a run used against what its stage used before: a spike is a finding, never a verdict.

Two rules, both deliberately blunt. A measure over a small multiple of the median of earlier
runs, and over a floor that short runs stay below, is a spike. And a run that kept every core
busy throughout, for longer than a minute, while writing next to nothing, looks like one that
worked for somebody else: that needs no history.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from sealwright.core import digest
from sealwright.core.records import Finding
from sealwright.train.spec import GIB, Plan, Usage

RULE = "room.compute-spike"
OVER_PLAN = "room.compute-over-plan"
_TIMES = 4
_FLOORS = {"cpu_ms": 60_000, "wall_ms": 60_000, "peak_bytes": GIB, "processes": 32}
_WORDS = {"cpu_ms": "ms of CPU", "wall_ms": "ms", "peak_bytes": "bytes", "processes": "processes"}
_PINNED = 0.9
_PINNED_FROM_MS = 60_000
_NEXT_TO_NOTHING = 4096


def findings(
    usage: Usage,
    earlier: Sequence[Usage],
    *,
    cores: int,
    written_bytes: int,
    pinned_from_ms: int = _PINNED_FROM_MS,
) -> tuple[Finding, ...]:
    """Spikes of ``usage`` against ``earlier`` runs of the same stage, if there were any.

    ``written_bytes`` are outputs and what was printed, together; a 0 in a usage is unknown.
    """
    found = list(_over_history(usage, earlier))
    busy = usage.cpu_ms >= _PINNED * cores * usage.wall_ms and usage.wall_ms >= pinned_from_ms
    if busy and written_bytes < _NEXT_TO_NOTHING:
        found.append(
            f"all {cores} cores were busy for {usage.wall_ms} ms, and {written_bytes} bytes"
            " came of it"
        )
    return tuple(_finding(message) for message in found)


def over_plan(usage: Usage, plan: Plan, gpus: bool) -> tuple[Finding, ...]:
    """What a run used beyond what its stage said it would; ``gpus``: whether any were bound."""
    found = [
        f"it used {used} {words}, and its stage plans for {planned}"
        for used, planned, words in (
            (usage.cpu_ms, plan.cpu_ms, "ms of CPU"),
            (usage.wall_ms, plan.wall_ms, "ms"),
            (usage.peak_bytes, plan.memory_bytes, "bytes"),
        )
        if planned and used > planned
    ]
    if gpus and plan.gpu == 0:
        found.append("GPUs were bound, and its stage plans for none")
    return tuple(
        Finding(
            OVER_PLAN,
            "high",
            digest.of_bytes(message.encode()),
            message,
            "change the stage's compute in seal.toml, or look at what the run did",
        )
        for message in found
    )


def _over_history(usage: Usage, earlier: Sequence[Usage]) -> Iterator[str]:
    for name, floor in _FLOORS.items():
        before = [getattr(one, name) for one in earlier if getattr(one, name)]
        if not before:
            continue
        used, usual = getattr(usage, name), int(statistics.median(before))
        if used > max(_TIMES * usual, floor):
            yield f"it used {used} {_WORDS[name]}, and {usual} is usual for this stage"


def _finding(message: str) -> Finding:
    return Finding(
        RULE,
        "medium",
        digest.of_bytes(message.encode()),
        message,
        "compare the code with the last run's: seal lineage; or expect it, if the data grew",
    )
