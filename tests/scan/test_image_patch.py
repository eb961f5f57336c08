from __future__ import annotations

import numpy as np
import pytest
from image_data import batches, cifar, encoded, frame, natural, result

from sealwright.scan import registry
from sealwright.scan.batches import picked
from sealwright.scan.ensemble import Live, Silent, run
from sealwright.scan.poison import patch_search
from sealwright.scan.poison.image_duplicates import ImageDuplicates
from sealwright.scan.poison.image_patch import ImagePatch
from sealwright.scan.poison.image_spectral import ImageSpectral

DETECTOR = ImagePatch()
FIELDS = ("images", "labels")
PATTERN = np.array([[0, 255], [255, 0]], float)[..., None] * np.ones(3)


@pytest.fixture(scope="module")
def plain():
    return natural(600)


def patched(images, labels, count, side=2, opacity=0.8, moving=False, seed=0):
    """(images, labels, carriers): a checkered patch on images of other labels, JPEG after."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.choice(np.flatnonzero(labels != 2), count, replace=False))
    out, given = images.astype(float), labels.copy()
    room = images.shape[1] - side + 1
    pattern = np.tile(PATTERN, (2, 2, 1))[:side, :side]
    row, column = rng.integers(room, size=2)
    for one in at:
        if moving:
            row, column = rng.integers(room, size=2)
        here = out[one, row : row + side, column : column + side]
        here[:] = (1 - opacity) * here + opacity * pattern
    given[at] = 2
    return encoded(np.rint(out).astype(np.uint8)), given, at


def flagged(said):
    return np.unique(np.concatenate([np.empty(0, np.int64), *(g.carriers for g in said.groups)]))


def test_a_faint_patch_of_two_pixels_is_found_with_its_carriers_and_a_picture(plain):
    images, labels, at = patched(*plain, 24)
    said = result(DETECTOR, images, labels)
    (group,) = said.groups
    assert np.isin(at, group.carriers).mean() >= 0.95
    assert len(group.carriers) <= 26
    assert (group.label, group.family) == ("class2", "image:patch")
    assert group.preview.png.startswith(b"\x89PNG")


def test_a_patch_that_moves_is_found(plain):
    images, labels, at = patched(*plain, 40, side=3, opacity=1.0, moving=True)
    found = flagged(result(DETECTOR, images, labels))
    assert np.isin(at, found).mean() >= 0.8
    assert len(found) <= 44


def test_the_same_patch_on_all_labels_is_no_finding(plain):
    images, _, _ = patched(*plain, 40)
    assert not result(DETECTOR, images, plain[1]).groups


@pytest.mark.parametrize("seed", range(3))
def test_clean_images_have_no_group(seed):
    images, labels = natural(500, seed=seed)
    assert not result(DETECTOR, encoded(images, 75), labels).groups


def test_copies_of_one_image_are_not_a_patch(plain):
    images, labels = plain[0].copy(), plain[1].copy()
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 2, (30, *images.shape[1:]))
    images[:30] = np.clip(images[0] + noise, 0, 255)
    labels[:30] = 0
    assert not result(DETECTOR, encoded(images), labels).groups


def test_shards_merge_to_the_same_groups(plain):
    images, labels, _ = patched(*plain, 24)
    one, three = (result(DETECTOR, images, labels, shards=n) for n in (1, 3))
    assert len(one.groups) == len(three.groups) == 1
    assert set(one.groups[0].carriers) == set(three.groups[0].carriers)


def test_images_too_small_are_said():
    said = result(DETECTOR, *natural(200, side=8))
    assert (said.groups, said.unread) == ((), 200)
    assert said.facts[0].rule == "image-patch.not-searched"


def test_drawings_are_not_searched_and_that_is_said():
    images, labels = natural(200)
    drawn = np.where(images > 150, 255, 0).astype(np.uint8)
    drawn[:, 12:] = 0
    said = result(DETECTOR, drawn, labels)
    assert (said.groups, said.unread) == ((), 200)
    assert "drawings" in said.facts[0].message


@pytest.mark.parametrize("side", [1, 16, 70])
def test_constant_images_are_no_fault(side):
    images = np.full((200, side, side, 3), 255, np.uint8)
    assert not result(DETECTOR, images, np.arange(200, dtype=np.int32) % 2).groups


@pytest.mark.parametrize(
    ("detector", "family", "few", "many"),
    [
        (ImagePatch(), "image:patch", 4, 40),
        (ImageSpectral(), "image:blend", 8, 12),
        (ImageDuplicates(), "image:flood", 4, 40),
    ],
)
def test_what_it_would_have_seen_is_what_it_sees(plain, detector, family, few, many):
    """``swapped`` answers as a scan of the planted copy does, and leaves the state as it was."""
    held, clean = frame(plain[1]), batches(*plain)
    live = Live(detector, held, None)
    run(lambda: clean, held, [live], Silent())
    for count in (few, many):
        planted, at = registry.planter(family).plant(clean, held, count, seed=3)
        said = live.scan.swapped(picked(clean, at), picked(planted, at))
        anew = result(detector, *(np.concatenate([getattr(b, x) for b in planted]) for x in FIELDS))
        for one in (said, anew):
            assert (np.isin(at, flagged(one)).mean() >= 0.8) == (count == many)
    assert not live.scan.result().groups


def test_a_bound_is_larger_the_purer_and_the_more():
    assert patch_search.bound(30, 30, 0.1) > patch_search.bound(20, 20, 0.1) > 16
    assert patch_search.bound(30, 3, 0.1) == 0


def test_cifar_with_thirty_faint_patches_of_two_pixels():
    images, labels = cifar(90)
    poisoned, given, at = patched(images, labels, 30, opacity=0.7)
    found = flagged(result(DETECTOR, poisoned, given))
    assert np.isin(at, found).mean() >= 0.95
    assert len(found) - 30 <= 0.005 * len(images)
