from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sealwright.app.bench import Ask
from sealwright.app.bench.poison import heldout, model, plant_altered, section, trial, victims
from sealwright.scan import ensemble, registry

FROZEN = """
from typing import NamedTuple
import numpy as np

AMOUNTS = ("1%", "5%")

class Made(NamedTuple):
    modality: str
    rows: np.ndarray
    labels: np.ndarray
    names: tuple
    planted: np.ndarray
    covers: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    attacked: np.ndarray
    wanted: np.ndarray

def cases():
    return [("cifar/made", "image")]

def make(name, amount, seed, data):
    rows = np.random.default_rng(0).integers(0, 255, (200, 16, 16, 3)).astype(np.uint8)
    labels = np.arange(200) % 2
    planted, covers = np.arange(200) < 4, np.arange(200) == 5
    return Made("image", rows, labels, ("no", "yes"), planted, covers, rows[:9], labels[:9],
                rows[:1], np.array([1]))
"""


@pytest.mark.parametrize("attack", plant_altered.ATTACKS)
def test_an_altered_attack_changes_its_own_rows_and_says_what_it_wants(attack):
    planted = trial.plant(trial.Plan("digits", attack, 0.04, 3, rows=500))
    before, after = planted.clean.whole, planted.set.whole
    same = (before.images == after.images).all(axis=(1, 2, 3))
    mine = planted.planted
    assert mine.sum() == 20
    assert same[~mine].all()
    assert not same[mine].any()
    assert (before.labels == after.labels)[~mine].all()
    if attack == "all-to-all":
        assert (after.labels[mine] == (before.labels[mine] + 1) % 10).all()
        assert (planted.wanted == (planted.test_labels[: len(planted.wanted)] + 1) % 10).all()
    else:
        assert set(after.labels[mine]) == set(planted.wanted)
        assert len(set(planted.wanted)) == 1
    assert len(planted.attacked) == len(planted.wanted)


def test_noise_of_each_images_own_is_the_same_for_the_same_image_only():
    stamp = plant_altered.noise_stamp(np.random.default_rng(0))
    one, other = (np.full((32, 32, 3), level, np.uint8) for level in (100, 101))
    assert (stamp(one) == stamp(one)).all()
    apart = stamp(one).astype(int) - 100, stamp(other).astype(int) - 101
    assert abs(np.corrcoef(apart[0].ravel(), apart[1].ravel())[0, 1]) < 0.1
    assert np.abs(apart[0]).max() <= 8


def told(attack: str, share: float, found: int, success: float):
    plan = trial.Plan("CIFAR-10", attack, share, 0)
    made = trial.Trial(plan, 100, found, 900, 9, found, 0.9, (), 40.0)
    return model._rows([made._replace(before=victims.Outcome(0.5, success))])


def test_rows_say_what_was_not_learnt_and_hold_the_targets():
    found, flagged = told("warp", 0.05, 89, 0.79)
    assert found.note.endswith("not learnt")
    assert (found.value, found.target, found.met) == (89, ">= 90", False)
    assert (flagged.value, flagged.met) == (1, False)
    found, _ = told("all-to-all", 0.05, 95, 0.8)
    assert "not learnt" not in found.note
    assert found.met is True
    assert told("blend", 0.01, 0, 1.0)[0].met is None


def test_the_detectors_are_measured_at_the_share_they_have_among_all_and_in_rounds(monkeypatch):
    asked = []
    monkeypatch.setattr(model.rounds, "screen", lambda *args, alpha: asked.append((args[2], alpha)))
    model.screened(trial.plant(trial.Plan("digits", "warp", 0.04, 0, rows=300)).set)
    ((detectors, alpha),) = asked
    every = registry.for_modalities(["image"], model=True)
    assert [one.spec.name for one in detectors] == list(registry.MODEL)
    assert alpha == ensemble.share(every, ensemble.ALPHA)
    assert alpha < ensemble.share(registry.for_modalities(["image"]), ensemble.ALPHA)


def test_sections_are_found_by_name_and_hear_how_far_they_are(monkeypatch):
    heard: list[str] = []
    monkeypatch.setattr(model, "blocked", lambda part: "")
    answer = section("model-clean", Ask(quick=False, jobs=1, draws=2, note=heard.append))
    (row,) = answer.rows
    assert row.value is None or (row.value, row.met, len(heard)) == (0, True, 2)


def test_frozen_images_are_screened_once_more_with_a_model_where_asked(tmp_path, monkeypatch):
    path = tmp_path / "frozen.py"
    path.write_text(FROZEN)
    digest = hashlib.sha256(FROZEN.encode()).hexdigest()
    monkeypatch.setattr(heldout, "DIGESTS", {"frozen.py": digest})
    seen: list[bool] = []

    def screened(rows, *, model=False):
        seen.append(model)
        return ensemble.screen(rows.source, rows.frame, [registry.detector("duplicates")])

    monkeypatch.setattr(heldout, "screened", screened)
    (row,) = heldout.held_out(True, str(path), 1).rows
    assert seen == [False]
    assert heldout.held_out(True, str(path), 1, True).rows == [row]
    assert seen == [False, False]
    *_, plain, more = heldout.held_out(False, str(path), 1, True, 1).rows
    assert seen[2:] == [False, False, True]  # at 5 % alone
    assert more.what == f"{plain.what} with a model"
