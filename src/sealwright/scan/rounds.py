"""Screens a version again without what was found, until nothing more is found.

Much poison hides behind more of it: it moves the means and the rates that the rest is held
against. A clean version is never screened twice, so its chance of being stopped stays ``alpha``.
Source: docs/spec/screening-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.ports import Progress
from sealwright.scan import ensemble, registry
from sealwright.scan.ensemble import ALPHA, Screening, Source, Verdict
from sealwright.scan.interface import Batch, Detector, Frame

MOST = 4


def screen(
    source: Source,
    frame: Frame,
    detectors: Sequence[Detector] | None = None,
    *,
    alpha: float = ALPHA,
    reference: tuple[Source, Frame] | None = None,
    progress: Progress | None = None,
) -> Screening:
    """As :func:`ensemble.screen`; groups that only a later round found stand beside the first's."""
    found = ensemble.screen(
        source, frame, detectors, alpha=alpha, reference=reference, progress=progress
    )
    chosen = list(
        registry.for_modalities(ensemble.modalities(frame)) if detectors is None else detectors
    )
    for _ in range(MOST - 1):
        carriers = found.carriers()
        again = [one for one in chosen if _found_by(found, one)]
        if not again or len(carriers) >= frame.rows // 2:
            break
        more = ensemble.screen(
            _without(source, carriers), frame, again, alpha=alpha, progress=progress
        )
        merged = _merged(found, more)
        if len(merged.carriers()) == len(carriers):
            break
        found = merged
    return found


def _found_by(found: Screening, detector: Detector) -> bool:
    return any(v.significant for v in found.verdicts if v.spec.name == detector.spec.name)


def _without(source: Source, carriers: npt.NDArray[np.int64]) -> Source:
    """Every record but the carriers, under the ids they have."""

    def rest() -> Iterator[Batch]:
        for batch in source():
            kept = ~np.isin(batch.ids, carriers, assume_unique=True)
            if kept.all():
                yield batch
            elif kept.any():
                yield _only(batch, kept)

    return rest


def _only(batch: Batch, kept: npt.NDArray[np.bool_]) -> Batch:
    return msgspec.structs.replace(
        batch,
        ids=batch.ids[kept],
        labels=batch.labels[kept],
        sources=batch.sources[kept],
        values={name: column[kept] for name, column in batch.values.items()},
        images=None if batch.images is None else batch.images[kept],
        vectors=None if batch.vectors is None else batch.vectors[kept],
    )


def _merged(first: Screening, more: Screening) -> Screening:
    """The first round's verdicts, with the significant groups of a later one added to each.

    The share of alpha is the first round's; an error of a later round changes nothing, since
    the version is stopped already.
    """
    later = {verdict.spec.name: verdict for verdict in more.verdicts}

    def both(verdict: Verdict) -> Verdict:
        other = later.get(verdict.spec.name)
        if other is None or other.result is None or verdict.result is None:
            return verdict
        new = tuple(g for g in other.result.groups if g.p_value <= verdict.alpha)
        result = msgspec.structs.replace(verdict.result, groups=(*verdict.result.groups, *new))
        return msgspec.structs.replace(verdict, result=result)

    return msgspec.structs.replace(first, verdicts=tuple(map(both, first.verdicts)))
