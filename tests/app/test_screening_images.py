"""Folders of pictures as a user screens them: through the jail, with a page to look at."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from app_house import needs_room
from PIL import Image

from sealwright.app import screenwork

pytestmark = pytest.mark.screened
SIDE = 16


def written(bare, count: int, planted: int, seed: int = 0) -> list[int]:
    """Coloured noise in cat/ and dog/; a checkered corner on the first ``planted`` of cat."""
    rng = np.random.default_rng(seed)
    corner = np.indices((4, 4)).sum(0)[..., None] % 2 * np.full(3, 255)
    for at in range(count):
        name = ("cat", "dog")[at % 2]
        smooth = np.kron(rng.normal(0, 30, (4, 4, 3)), np.ones((4, 4, 1)))
        pixels = 128 + smooth + rng.normal(0, 4, (SIDE, SIDE, 3))
        if name == "cat" and at < 2 * planted:
            pixels[-5:-1, -5:-1] = corner
        held = io.BytesIO()
        plain = np.clip(pixels, 0, 255).astype(np.uint8)
        Image.fromarray(plain).save(held, "JPEG", quality=90)
        target = bare.root / "pets" / name / f"{at:04d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(held.getvalue())
    return list(range(planted))


def project(bare, count: int, planted: int) -> list[int]:
    carriers = written(bare, count, planted)
    bare.ok("init")
    settings = (bare.root / "seal.toml").read_text()
    quick = 'canary = false\ndetectors = ["image-spectral", "image-duplicates", "duplicates"]'
    bare.write("seal.toml", f"{settings}\n[screening]\n{quick}\n")
    bare.ok("data", "add", "pets", "--name", "pets", "--reason", "first")
    return carriers


@needs_room
def test_a_patch_in_a_folder_of_pictures_is_found_shown_and_cut_out(bare):
    carriers = project(bare, 600, 20)
    code, body, _ = bare.seal("data", "check", "pets", "--html", "found.html")
    assert (code, body["verdict"], body["errors"]) == (1, "found", {})
    (group,) = body["groups"]
    assert (group["label"], group["detector"]) == ("cat", "image-spectral")
    assert len(set(carriers) & set(group["carriers"])) >= 18
    assert len(group["carriers"]) <= 24
    page = (bare.root / "found.html").read_text()
    (png,) = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    assert Image.open(io.BytesIO(base64.b64decode(png))).format == "PNG"
    made = bare.ok("data", "quarantine", "reject", "pets@1", "--reason", "a checkered corner")
    assert made["removed"] == len(group["carriers"])
    assert bare.ok("data", "check", "pets@2")["verdict"] == "nothing-found"


@needs_room
def test_files_that_are_no_pictures_are_unread_and_stop(bare):
    written(bare, 80, 0)
    bare.write("pets/cat/9.jpg", "no picture")
    (bare.root / "pets/dog/9.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    project(bare, 80, 0)
    code, body, _ = bare.seal("data", "check", "pets")
    assert (code, body["verdict"], body["unread"]) == (1, "nothing-found", 2)
    assert "images.unread" in {fact["rule"] for fact in body["facts"]}


def test_without_a_decoder_nobody_looked_and_the_mend_is_said(bare, monkeypatch):
    project(bare, 4, 0)
    monkeypatch.setattr(screenwork, "find_spec", lambda name: None)
    code, body, _ = bare.seal("data", "check", "pets")
    assert (code, body["verdict"], body["why"]) == (1, "unscreened", "screening.missing-extra")
    assert any("pip install 'sealwright[scan]'" in note for note in body["notes"])
