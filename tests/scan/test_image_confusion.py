from __future__ import annotations

import sys

import numpy as np
import pytest
from image_data import batches, encoded, frame, natural

from sealwright.scan import canary, ensemble, registry
from sealwright.scan.interface import Batch
from sealwright.scan.poison import blind_net, residue_search
from sealwright.scan.poison.image_confusion import ImageConfusion
from sealwright.scan.poison.image_residue import residue

pytest.importorskip("torch")
DETECTOR = ImageConfusion()


@pytest.fixture(scope="module")
def plain():
    """400 images whose tint tells the label, encoded once."""
    images, labels = natural(400, side=32)
    tinted = images.astype(int) - 20
    for at, label in enumerate(labels):
        tinted[at, ..., label] += 60
    return encoded(np.clip(tinted, 0, 255).astype(np.uint8)), labels


@pytest.fixture(scope="module")
def clean(plain):
    """The settled scan of the clean version, at a share of 0.00125."""
    images, labels = plain
    here = frame(labels, alpha=0.00125)
    return canary.settled(lambda: batches(images, labels), here, [DETECTOR])


class Heard:
    def __init__(self) -> None:
        self.words: list[str] = []

    def advance(self, done: int, total: int, what: str) -> None:
        self.words.append(f"{done}/{total} {what}")


def screened(parts: list[Batch], labels: np.ndarray, told: Heard | None = None):
    """What the detector alone says at a share of 0.00125."""
    seen = ensemble.screen(
        lambda: parts, frame(labels), [DETECTOR], alpha=0.00125, progress=told or Heard()
    )
    (verdict,) = seen.verdicts
    assert verdict.error == ""
    return verdict


def planted(plain, family: str, count: int, seed: int = 1):
    images, labels = plain
    return registry.planter(family).plant(batches(images, labels), frame(labels), count, seed)


def labels_of(parts) -> np.ndarray:
    return np.concatenate([batch.labels for batch in parts])


@pytest.fixture(scope="module")
def moved(plain):
    """An all-to-all patch in 40 images: what was planted, what was said, and what was heard."""
    parts, carriers = planted(plain, "image:all-to-all", 40)
    told = Heard()
    return parts, carriers, screened(parts, labels_of(parts), told), told


def test_an_all_to_all_patch_is_found_with_its_carriers(moved):
    _, carriers, said, told = moved
    group = said.significant[0]
    assert group.family == "image:all-to-all"
    assert np.isin(carriers, group.carriers).mean() >= 0.5
    assert np.isin(group.carriers, carriers).mean() >= 0.9
    assert group.preview.png.startswith(b"\x89PNG")
    assert any("training blind models" in line for line in told.words)


def test_clean_images_have_no_group(clean):
    said = clean[0].verdict()
    assert (said.error, said.significant) == ("", ())
    assert [fact.rule for fact in said.result.facts] == ["image-confusion.model"]


def test_wrong_labels_without_a_trace_are_no_group(plain):
    images, labels = plain
    wrong = labels.copy()
    wrong[:40] = (wrong[:40] + 1) % 3
    assert screened(batches(images, wrong), wrong).significant == ()


def test_it_says_the_same_in_any_order_and_whatever_was_random_before(moved):
    import torch

    parts, _, once, _ = moved
    torch.manual_seed(6)
    wanted, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(6)
    again = screened(parts[::-1], labels_of(parts)).result
    assert torch.rand(1) == wanted
    assert torch.get_num_threads() == threads
    said = [(group.key, group.p_value, group.carriers.tolist()) for group in once.result.groups]
    assert said == [(group.key, group.p_value, group.carriers.tolist()) for group in again.groups]


def test_a_canary_asks_the_settled_scan_and_trains_nothing(plain, clean, monkeypatch):
    images, labels = plain
    monkeypatch.setattr(blind_net, "trained", None)
    seen = canary.power(
        lambda: batches(images, labels),
        frame(labels, alpha=0.00125),
        registry.planter("image:all-to-all"),
        [DETECTOR],
        counts=(40,),
        repeats=2,
        settled=clean,
    )
    assert [(one.count, one.tried) for one in seen.counts] in ([(40, 1)], [(40, 2)])
    assert clean[0].scan.result().groups == ()


@pytest.mark.parametrize(
    ("count", "side", "classes"), [(100, 16, 3), (400, 8, 3), (400, 16, 1)], ids=str
)
def test_what_it_cannot_search_is_said_and_never_a_traceback(count, side, classes):
    images, labels = natural(count, side=side, classes=classes)
    said = screened(batches(images, labels), labels)
    assert said.result.unread == count
    assert [fact.rule for fact in said.result.facts] == ["image-confusion.not-searched"]


def test_images_without_a_label_and_of_one_colour_are_let_pass(plain):
    images, labels = plain[0].copy(), plain[1].copy()
    images[:30] = 128
    labels[30:50] = -1
    said = screened(batches(images, labels), plain[1])
    assert said.result.unread == 20
    assert said.significant == ()


def test_the_residue_is_finite_and_blind_to_brightness():
    images, _ = natural(20)
    dark = (images // 2 + 20).astype(np.uint8)
    bright = (images // 2 + 60).astype(np.uint8)
    assert np.isfinite(residue(np.zeros((2, 16, 16, 3), np.uint8))).all()
    assert np.abs(residue(dark) - residue(bright)).mean() < 0.01


def test_the_bound_holds_where_the_blind_model_is_right():
    rng = np.random.default_rng(0)
    rows, classes = 1500, 4
    alarms = 0
    for _ in range(30):
        odds = rng.dirichlet(np.full(classes, 0.6), rows)
        labels = np.array([rng.choice(classes, p=one) for one in odds])
        judged = residue_search.Judged(
            rng.normal(size=(rows, 40)).astype(np.float32),
            labels,
            residue_search.evened(odds.astype(np.float32)),
            rng.permutation(rows) % residue_search.FOLDS,
        )
        alarms += residue_search.searched(judged, residue_search.ANY).p_value < 0.05
        alarms += residue_search.searched(judged, 0).p_value < 0.05
    assert alarms <= 6


def test_nothing_is_imported_before_it_is_used():
    import subprocess

    code = (
        "import sys; from sealwright.scan import registry; registry.detector('image-confusion');"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
