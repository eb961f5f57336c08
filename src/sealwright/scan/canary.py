"""States what would have been seen: plants k poisoned rows in a copy and looks for them.

Found in 29 of 29 injections means a power of at least 0.9 at 95 % confidence (0.9**29 < 0.05).
A scan that can answer "had these rows been those" from its settled state is asked that instead
of being run again. Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.scan.batches import picked
from sealwright.scan.ensemble import Live, Silent, Source, run, share
from sealwright.scan.interface import Batch, Detector, Frame, Group, Planter, Result

COUNTS = (5, 10, 20, 50)
REPEATS = 29
COVERED = 0.9


class Tried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``found`` of ``tried`` injections of ``count`` rows; tries end with the first miss."""

    count: int
    found: int
    tried: int


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``smallest`` count of one family found in every injection; 0 where none was."""

    family: str
    smallest: int
    counts: tuple[Tried, ...]
    detectors: tuple[str, ...] = ()


@runtime_checkable
class Swappable(Protocol):
    """A settled scan that knows what it would say had some rows been others."""

    def swapped(self, before: Batch, after: Batch) -> Result:
        """The result with ``before``'s rows replaced by ``after``'s (same ids); state unchanged."""
        ...


def power(
    source: Source,
    frame: Frame,
    planter: Planter,
    detectors: Sequence[Detector],
    *,
    counts: Sequence[int] = COUNTS,
    repeats: int = REPEATS,
    settled: Sequence[Live] | None = None,
    spent: Callable[[], bool] = lambda: False,
) -> Seen:
    """The smallest count that ``detectors`` find in all ``repeats`` injections.

    From the largest count down; the first miss ends a count and all below it. ``settled`` are the
    scans of the version itself, where they are at hand. ``frame.alpha`` must be their share.
    Once ``spent`` says so nothing more is planted: a count that was not tried to the end is not
    one that was found.
    """
    batches = list(source())
    fitting = [one for one in detectors if planter.family in one.spec.families]
    live = settled if settled is not None else _settle(batches, frame, fitting)
    tried: list[Tried] = []
    smallest = 0
    for count in sorted(counts, reverse=True):
        found = missed = 0
        for number in range(repeats):
            if spent():
                break
            seed = seed_of(frame.seed, count, number)
            planted, carriers = planter.plant(batches, frame, count, seed)
            if not covered(batches, planted, frame, fitting, live, carriers):
                missed = 1
                break
            found += 1
        tried.append(Tried(count, found, found + missed))
        if found < repeats:
            break
        smallest = count
    names = tuple(one.spec.name for one in fitting)
    return Seen(planter.family, smallest, tuple(reversed(tried)), names)


def settled(source: Source, frame: Frame, detectors: Sequence[Detector]) -> list[Live]:
    """The scans of the version as it is, for ``power`` over several planters."""
    live = [Live(one, frame, None) for one in detectors]
    run(source, frame, live, Silent())
    return live


def at_share(frame: Frame, detectors: Sequence[Detector], alpha: float) -> Frame:
    """The frame that ``screen`` would give these detectors."""
    return msgspec.structs.replace(frame, alpha=share(detectors, alpha))


def _settle(batches: Sequence[Batch], frame: Frame, detectors: Sequence[Detector]) -> list[Live]:
    return settled(lambda: batches, frame, detectors)


def covered(
    batches: Sequence[Batch],
    planted: Sequence[Batch],
    frame: Frame,
    detectors: Sequence[Detector],
    live: Sequence[Live],
    carriers: npt.NDArray[np.int64],
) -> bool:
    """Are nine tenths of ``carriers``, the rows that were planted, held? ``live`` are settled scans
    of ``batches``; who can be asked about swapped rows is, the others look at ``planted`` anew."""
    known = {one.spec.name: one for one in live}
    groups: list[Group] = []
    for detector in detectors:
        one = known.get(detector.spec.name)
        if one is not None and isinstance(one.scan, Swappable):
            result = one.scan.swapped(picked(batches, carriers), picked(planted, carriers))
        else:
            again = Live(detector, frame, None)
            run(lambda: planted, frame, [again], Silent())
            result = again.verdict().result or Result()
        groups += [group for group in result.groups if group.p_value <= frame.alpha]
    flagged = np.concatenate([np.empty(0, np.int64), *(group.carriers for group in groups)])
    return float(np.mean(np.isin(carriers, flagged))) >= COVERED


def seed_of(seed: int, count: int, number: int) -> int:
    """Of injection ``number`` of ``count`` rows."""
    return int(np.random.SeedSequence([seed, count, number]).generate_state(1)[0])
