from __future__ import annotations

import numpy as np
import pytest
from image_data import frame

from sealwright.scan import registry
from sealwright.scan.interface import Batch
from sealwright.scan.poison.embedding_flood import EmbeddingFlood


def vectors(count: int = 900, width: int = 64, seed: int = 0) -> Batch:
    """Classes of a few loose sub-clusters with heavy tails, as learned features have."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count).astype(np.int32)
    centres = rng.normal(size=(3, 4, width))
    rows = centres[labels, rng.integers(0, 4, count)]
    rows = rows + rng.standard_t(5, (count, width)) @ rng.normal(size=(width, width)) * 0.15
    held = rows.astype(np.float32)
    return Batch(np.arange(count), labels, np.full(count, -1, np.int32), vectors=held)


def result(detector, batch: Batch):
    scan = detector.begin(frame(batch.labels))
    for number in range(detector.spec.passes):
        for at in range(0, len(batch.ids), 300):
            cut = np.s_[at : at + 300]
            part = Batch(batch.ids[cut], batch.labels[cut], batch.sources[cut])
            held = None if batch.vectors is None else batch.vectors[cut]
            scan.observe(number, Batch(part.ids, part.labels, part.sources, vectors=held))
        scan.settle(number)
    return scan.result()


DETECTOR = EmbeddingFlood()


def test_a_flood_is_found_with_its_carriers():
    batch = vectors()
    (planted,), carriers = registry.planter("embedding:flood").plant(
        [batch], frame(batch.labels), 25, 1
    )
    (group,) = result(EmbeddingFlood(), planted).groups
    assert set(group.carriers) == set(carriers)
    assert group.preview.lines


@pytest.mark.parametrize("seed", range(5))
def test_clean_vectors_have_no_group(seed):
    assert not result(DETECTOR, vectors(seed=seed)).groups


def test_vectors_that_are_not_finite_or_constant_are_no_fault():
    batch = vectors(200)
    batch.vectors[:50] = np.nan
    batch.vectors[50:60] = np.inf
    batch.vectors[:, 3] = 1.0
    result(DETECTOR, batch)
    batch.vectors[:] = 0.0
    assert not result(DETECTOR, batch).groups


def test_records_without_vectors_are_counted():
    labels = np.zeros(50, np.int32)
    batch = Batch(np.arange(50), labels, np.full(50, -1, np.int32))
    assert result(DETECTOR, batch).unread == 50
