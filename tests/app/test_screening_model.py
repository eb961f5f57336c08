"""Screening with a model, as a user asks for it: through the jail, and off until asked for."""

from __future__ import annotations

import numpy as np
import pytest
from app_house import needs_room
from PIL import Image

from sealwright.app import screenwork
from sealwright.core.settings import ScreeningSettings
from sealwright.scan import registry

COUNT = 320


def written(bare, planted: int) -> None:
    """Blots of two tints in cat/ and dog/; ``planted`` with a checkered corner lie in the other."""
    rng = np.random.default_rng(0)
    corner = np.indices((3, 3)).sum(0)[..., None] % 2 * np.full(3, 255)
    for at in range(COUNT):
        kind = at % 2
        pixels = 128 + np.kron(rng.normal(0, 20, (4, 4, 3)), np.ones((8, 8, 1)))
        pixels[..., kind] += 60
        pixels += rng.normal(0, 4, pixels.shape)
        if at < planted:
            pixels[-5:-2, -5:-2] = corner
            kind = 1 - kind
        target = bare.root / "pets" / ("cat", "dog")[kind] / f"{at:04d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(target, quality=90)


def project(bare, planted: int, more: str = "") -> None:
    written(bare, planted)
    bare.ok("init")
    settings = (bare.root / "seal.toml").read_text()
    bare.write("seal.toml", f"{settings}\n[screening]\ncanary = false\n{more}")
    bare.ok("data", "add", "pets", "--name", "pets", "--reason", "first")


@needs_room
@pytest.mark.screened
def test_a_model_looks_where_the_settings_or_the_command_ask_for_it(bare):
    pytest.importorskip("torch")
    project(bare, 30)
    _, body, _ = bare.seal("data", "check", "pets")
    assert "image-confusion" not in {one["name"] for one in body["detectors"]}
    code, body, _ = bare.seal("data", "check", "pets", "--model")
    assert (code, body["errors"], body["verdict"]) == (1, {}, "found")
    assert body["reduced"] is False
    found = [group for group in body["groups"] if group["detector"] == "image-confusion"]
    carriers = {one for group in found for one in group["carriers"]}
    assert len(carriers) >= 10


@pytest.mark.screened
def test_without_torch_nobody_looked_and_the_mend_is_said(bare, monkeypatch):
    project(bare, 0, "model = true\n")
    monkeypatch.setattr(screenwork, "find_spec", lambda name: None if name == "torch" else object())
    code, body, _ = bare.seal("data", "check", "pets")
    assert (code, body["verdict"], body["why"]) == (1, "unscreened", "screening.missing-extra")
    assert any("pip install 'sealwright[torch]'" in note for note in body["notes"])


def test_it_is_off_by_default_and_takes_no_share_of_the_error_then():
    assert ScreeningSettings().model is False
    plain = {one.spec.name for one in registry.for_modalities(["image"])}
    more = {one.spec.name for one in registry.for_modalities(["image"], model=True)}
    assert more - plain == set(registry.MODEL)
    assert not plain & set(registry.MODEL)
