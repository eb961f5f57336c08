from __future__ import annotations

import numpy as np
import pytest
from image_data import batches, cifar, digits, encoded, frame, natural, result

from sealwright.scan import registry
from sealwright.scan.poison.embedding_flood import rooted
from sealwright.scan.poison.image_duplicates import ImageDuplicates
from sealwright.scan.poison.near import MOST_PAIRS

DETECTOR = ImageDuplicates()


@pytest.mark.parametrize("seed", range(3))
def test_a_flood_is_found_though_brightened_and_noisy(seed):
    images, labels = natural(400, side=24)
    planted, carriers = registry.planter("image:flood").plant(
        batches(images, labels), frame(labels), 30, seed
    )
    pixels = np.concatenate([batch.images for batch in planted])
    given = np.concatenate([batch.labels for batch in planted])
    said = result(DETECTOR, pixels, given)
    flagged = np.concatenate([group.carriers for group in said.groups])
    assert np.isin(carriers, flagged).mean() >= 0.9
    assert np.isin(flagged, carriers).mean() >= 0.95
    assert said.groups[0].preview.png


def test_a_flood_is_found_though_every_copy_is_moved_and_has_an_edge_of_its_own():
    images, labels = natural(300, side=32)
    rng = np.random.default_rng(0)
    wide = np.pad(images[0], ((1, 1), (1, 1), (0, 0)), "reflect")
    for at in range(40):
        down, right = rng.integers(0, 3, 2)
        images[at] = wide[down : down + 32, right : right + 32]
    (group,) = result(DETECTOR, images, labels).groups
    assert list(group.carriers) == list(range(40))


def test_encoding_a_flood_anew_does_not_hide_it():
    images, labels = natural(300, side=24)
    images[:30] = images[0]
    images[:15] = encoded(images[:15], 60)
    (group,) = result(DETECTOR, images, labels).groups
    assert list(group.carriers) == list(range(30))


def test_pairs_of_near_copies_are_a_fact_and_no_group():
    images, labels = natural(300, side=24)
    images[1::2] = images[::2]
    said = result(DETECTOR, images, labels)
    assert not said.groups
    assert said.facts[0].rule == "image-duplicates.some"
    assert said.facts[0].metrics["copies"] == 150


def test_images_too_small_to_tell_apart_are_counted():
    said = result(DETECTOR, *digits())
    assert not said.groups
    assert said.unread == 1797


def test_cifar_near_copies_are_no_flood():
    images, labels = cifar(300)
    assert not result(DETECTOR, images, labels).groups


def test_plain_images_are_counted_and_not_called_copies():
    said = result(DETECTOR, np.full((60, 16, 16, 3), 9, np.uint8), np.zeros(60, np.int32))
    assert not said.groups
    assert said.facts[0].metrics["plain"] == 60


def test_nearly_everything_copied_is_one_group_in_linear_work():
    bits = np.random.default_rng(0).integers(0, 256, (600, 32), dtype=np.uint8)
    bits[20:] = bits[0]
    root = rooted(bits)
    assert (root[20:] == 0).all()
    assert (root[:20] == np.arange(20)).all()
    assert MOST_PAIRS < 600


def test_shards_merge_to_the_same_group():
    images, labels = natural(300, side=24)
    images[:30] = images[0]
    one, three = (result(DETECTOR, images, labels, shards=n).groups for n in (1, 3))
    assert list(one[0].carriers) == list(three[0].carriers)
