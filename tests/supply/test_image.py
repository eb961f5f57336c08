"""An image's score: forty planted defects cost their own signal and no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sealwright.app.bench import imageplant
from sealwright.app.bench.imageplant import BROKEN, DEFECTS, Keys, Plan
from sealwright.app.bench.supply import images as bench
from sealwright.core.errors import BadInput, VerifyError
from sealwright.supply import image as images
from sealwright.supply.image import Score
from sealwright.supply.oci import Layout
from sealwright.vault.signers import Ed25519Signer

KEYS = Keys(Ed25519Signer.generate(), Ed25519Signer.generate())


def score(plan: Plan, root: Path) -> Score:
    return bench.score(plan, root, KEYS)


def test_a_sound_image_loses_nothing_and_scores_the_same_twice(tmp_path: Path) -> None:
    one = score(imageplant.sound(), tmp_path / "a")
    assert (one.score, one.caps, images.rules(one)) == (100, (), [])
    assert one == score(imageplant.sound(), tmp_path / "b")


def test_there_are_forty_defects() -> None:
    assert len(DEFECTS) == 40


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_costs_its_own_signal_and_no_other(name: str, tmp_path: Path) -> None:
    signal, change = DEFECTS[name]
    scored = score(imageplant.plant(change), tmp_path / "x")
    lost = {one.name for one in scored.signals if one.points < one.of}
    assert lost == {signal}
    assert scored.signal(signal).found or scored.signal(signal).says


def test_caps_hold_whatever_else_is_well(tmp_path: Path) -> None:
    assert score(imageplant.plant(DEFECTS["no signature"][1]), tmp_path / "a").score == 60
    assert score(imageplant.plant(DEFECTS["a token in a file"][1]), tmp_path / "b").score == 30


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_image_any_more_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(VerifyError):
        score(imageplant.plant(BROKEN[name]), tmp_path / "x")


def rewrite(root: Path, change: object) -> None:
    document = json.loads((root / "index.json").read_bytes())
    document.update(change)  # type: ignore[call-overload]
    (root / "index.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        {"manifests": None},
        {"manifests": ["x"]},
        {"manifests": [{"digest": "sha256:zz", "size": 1}]},
        {"manifests": [{"digest": "../../../etc/passwd", "size": 1}]},
        {"manifests": [{"digest": "sha256:" + "a" * 64, "size": -1}]},
        {"manifests": []},
    ],
)
def test_an_index_that_makes_no_sense_is_one_clear_error(change: object, tmp_path: Path) -> None:
    imageplant.write(imageplant.sound(), tmp_path / "x", KEYS)
    rewrite(tmp_path / "x", change)
    with pytest.raises(BadInput):
        images.pick(Layout(tmp_path / "x"))


def test_a_folder_that_is_no_layout_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        Layout(tmp_path)
    assert "skopeo" in refused.value.hint


def test_a_layer_that_leaves_its_folder_or_is_no_archive_scores_nothing(tmp_path: Path) -> None:
    out = imageplant.plant(imageplant._file("../../etc/cron.d/x", imageplant.File(b"x")))
    scored = score(out, tmp_path / "a")
    assert (scored.score, scored.caps[0][:2]) == (0, "0:")


def test_a_link_in_place_of_a_blob_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "x"
    imageplant.write(imageplant.sound(), root, KEYS)
    blob = max((root / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    (tmp_path / "copy").write_bytes(blob.read_bytes())
    blob.unlink()
    blob.symlink_to(tmp_path / "copy")
    layout = Layout(root)
    with pytest.raises(VerifyError):
        layout.image(images.pick(layout))
