from __future__ import annotations

import copy

import numpy as np
import pytest
from image_data import batches, blended, cifar, digits, encoded, frame, natural, result

from sealwright.scan.poison.image_spectral import ImageSpectral

DETECTOR = ImageSpectral()


@pytest.fixture(scope="module")
def plain():
    images, labels = natural(900)
    return images, labels


def test_a_blend_is_found_with_its_carriers_and_a_picture(plain):
    images, labels, carriers = blended(*plain, 20)
    said = result(DETECTOR, encoded(images), labels)
    (group,) = said.groups
    assert np.isin(carriers, group.carriers).mean() >= 0.95
    assert len(group.carriers) <= 26
    assert group.label == "class2"
    assert group.preview.png.startswith(b"\x89PNG")


def test_a_clean_label_blend_is_found(plain):
    images, labels = plain
    own = np.flatnonzero(labels == 1)[:20]
    out = images.astype(float)
    out[own] += 22 * np.sin(np.arange(16) * np.pi * 0.75)[None, None, :, None]
    said = result(DETECTOR, encoded(np.clip(out, 0, 255).astype(np.uint8)), labels)
    assert np.isin(own, np.concatenate([group.carriers for group in said.groups])).mean() >= 0.9


@pytest.mark.parametrize("seed", range(4))
def test_clean_images_have_no_group(seed):
    images, labels = natural(600, seed=seed)
    assert not result(DETECTOR, encoded(images, 75), labels).groups


def test_clean_digits_have_no_group():
    assert not result(DETECTOR, *digits()).groups


def test_a_white_frame_on_all_classes_is_no_finding(plain):
    images, labels = plain
    framed = images.copy()
    framed[::12, [0, -1]] = framed[::12, :, [0, -1]] = 255
    assert not result(DETECTOR, encoded(framed), labels).groups


def test_shards_merge_to_the_same_groups(plain):
    images, labels, _ = blended(*plain, 20)
    one = result(DETECTOR, images, labels)
    three = result(DETECTOR, images, labels, shards=3)
    assert len(one.groups) == len(three.groups) == 1
    assert set(one.groups[0].carriers) == set(three.groups[0].carriers)


def test_a_copy_of_the_state_can_go_on_alone(plain):
    images, labels = plain
    scan = DETECTOR.begin(frame(labels))
    first, *rest = batches(images, labels)
    scan.observe(0, first)
    twin = copy.deepcopy(scan)
    for batch in rest:
        scan.observe(0, batch)
    assert len(twin.store.ids()) == len(first.ids)


def test_classes_too_small_to_search_are_said():
    images, labels = natural(90, side=8, classes=30)
    said = result(DETECTOR, images, labels)
    assert said.unread == 90
    assert said.facts[0].rule == "image-spectral.small-classes"


@pytest.mark.parametrize("side", [1, 2, 5, 40])
def test_odd_sizes_and_constant_images_are_no_fault(side):
    images = np.full((120, side, side, 3), 255, np.uint8)
    assert not result(DETECTOR, images, np.arange(120, dtype=np.int32) % 2).groups


def test_no_image_is_no_fault():
    assert not DETECTOR.begin(frame(np.zeros(1, np.int32))).result().groups


def test_cifar_blend_of_one_percent_is_found_and_little_else():
    images, labels = cifar(200)
    poisoned, given, carriers = blended(images, labels, 20, opacity=0.15)
    said = result(DETECTOR, encoded(poisoned), given)
    (group,) = said.groups
    assert np.isin(carriers, group.carriers).mean() >= 0.99
    assert len(group.carriers) - 20 <= 0.005 * len(images)
