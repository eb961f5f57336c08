from __future__ import annotations

import numpy as np
import pytest
from image_data import batches, frame, natural

from sealwright.scan import ensemble, registry
from sealwright.scan.poison import blind_net, patch_search, residue_mixture, signatures

DETECTORS = [registry.detector("image-confusion"), registry.detector("image-signatures")]


@pytest.fixture
def untaught(monkeypatch):
    """Networks that learn nothing; how often somebody had them trained."""
    torch = pytest.importorskip("torch")
    asked: list[int] = []

    def trained(images, labels, folds, seed, told):
        asked.append(seed)
        torch.manual_seed(0)
        width = int(np.prod(images.shape[1:]))
        nets = [
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(width, 3)).eval()
            for _ in range(blind_net.FOLDS)
        ]
        return blind_net.BlindNets(nets)

    monkeypatch.setattr(blind_net, "trained", trained)
    blind_net._kept.clear()
    yield asked
    blind_net._kept.clear()


def screened(images, labels):
    here = frame(labels)
    return ensemble.screen(lambda: batches(images, labels), here, DETECTORS, alpha=0.00125)


def test_the_networks_are_trained_once_for_both_detectors_and_again_for_other_images(untaught):
    images, labels = natural(320, side=16)
    assert [v.error for v in screened(images, labels).verdicts] == ["", ""]
    assert len(untaught) == 1
    screened(images, labels)
    assert len(untaught) == 1
    screened(images[::-1].copy(), labels)
    assert len(untaught) == 2


def test_it_lists_no_more_than_a_person_is_to_look_at_and_never_holds_a_record(untaught):
    images, labels = natural(320, side=16)
    *_, said = screened(images, labels).verdicts
    assert said.result.groups == ()
    assert not said.blocks
    assert 0 < len(said.result.ranks) <= frame(labels).review
    scores = [rank.score for rank in said.result.ranks]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(("count", "side", "classes"), [(100, 16, 3), (320, 8, 3), (320, 16, 1)])
def test_what_it_cannot_score_is_said(untaught, count, side, classes):
    images, labels = natural(count, side=side, classes=classes)
    *_, said = screened(images, labels).verdicts
    assert (said.error, said.result.unread, said.result.ranks) == ("", count, ())
    assert [fact.rule for fact in said.result.facts] == ["image-signatures.not-searched"]


def test_rows_that_share_a_direction_stand_out_of_their_class():
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(2, 300, 12)) * np.linspace(5, 0.5, 12)).astype(np.float32)
    labels = np.arange(300) % 2
    features[:, :20:2, 8] += 12
    scores = signatures.scored(features, labels)
    assert set(np.argsort(-scores)[:10]) == set(range(0, 20, 2))
    assert (signatures.scored(features[:, :30], labels[:30]) == 0).all()
    assert np.isfinite(signatures.scored(np.zeros((1, 100, 5), np.float32), labels[:100])).all()


def test_covers_of_a_trace_are_natural_and_those_whose_label_is_contradicted_are_planted():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 500)
    usual = np.full(1000, 0.8)
    scores = rng.normal(size=1000)
    planted, covers = np.arange(40), np.arange(600, 640)
    usual[planted] = 0.05
    scores[planted] += 5
    scores[covers] += 5
    contrary = np.where(labels == 0, 1.0, 0.0)
    said, natural, _ = residue_mixture.fitted(scores, usual, contrary)
    assert (said[planted] > 0.5).mean() > 0.95
    assert (natural[covers] > 0.5).mean() > 0.9
    assert (said[40:] > 0.5).sum() <= 2


def test_a_pattern_is_followed_down_to_where_other_labels_show_it_too():
    scores = np.concatenate(
        [np.linspace(9, 6, 20), np.linspace(3, -3, 80), np.linspace(3, -3, 300)]
    )
    own = np.arange(400) < 100
    assert np.flatnonzero(patch_search.edge(scores, own)).tolist() == list(range(20))
    assert not patch_search.edge(np.zeros(400), own).any()
