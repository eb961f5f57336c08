from __future__ import annotations

import numpy as np
import pytest
from image_data import batches, frame, natural

from sealwright.scan import registry
from sealwright.scan.interface import Batch

IMAGE = [
    "image:patch",
    "image:blend",
    "image:clean-label",
    "image:flood",
    "image:warp",
    "image:sample-specific",
]


@pytest.mark.parametrize("family", IMAGE)
def test_a_planter_changes_exactly_the_records_it_names(family):
    images, labels = natural(90)
    before = batches(images, labels, 40)
    planter = registry.planter(family)
    after, carriers = planter.plant(before, frame(labels), 10, 3)
    again, same = planter.plant(before, frame(labels), 10, 3)
    pixels = np.concatenate([batch.images for batch in after])
    given = np.concatenate([batch.labels for batch in after])
    changed = np.flatnonzero((pixels != images).any((1, 2, 3)))
    assert planter.family == family
    assert len(carriers) == 10
    assert set(changed) <= set(carriers)
    assert len(changed) >= 9
    assert len(np.unique(given[carriers])) == 1
    assert (given != labels).any() == (family != "image:clean-label")
    assert (carriers == same).all()
    assert all((a.images == b.images).all() for a, b in zip(after, again, strict=True))


def test_all_to_all_moves_every_label_to_the_next():
    images, labels = natural(90)
    before = batches(images, labels, 40)
    after, carriers = registry.planter("image:all-to-all").plant(before, frame(labels), 10, 3)
    given = np.concatenate([batch.labels for batch in after])
    assert len(carriers) == 10
    assert (given[carriers] == (labels[carriers] + 1) % 3).all()
    assert set(np.flatnonzero(given != labels)) == set(carriers)


def test_a_flood_of_vectors_is_one_tight_cluster():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(100, 8)).astype(np.float32)
    labels = rng.integers(0, 2, 100).astype(np.int32)
    one = Batch(np.arange(100), labels, np.full(100, -1, np.int32), vectors=vectors)
    (after,), carriers = registry.planter("embedding:flood").plant([one], frame(labels), 12, 0)
    assert len(carriers) == 12
    assert after.vectors[carriers].std(0).max() < 0.2
    assert len(np.unique(after.labels[carriers])) == 1
