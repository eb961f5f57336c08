from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sealwright.scan import images
from sealwright.scan.images import File


def survey(folder: Path) -> images.Surveyed:
    return images.survey([File(path, at) for at, path in enumerate(sorted(folder.iterdir()))])


def picture(side: int = 12) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_images_of_one_size_come_as_they_are(tmp_path):
    pixels = picture()
    for at in range(5):
        Image.fromarray(pixels).save(tmp_path / f"{at}.png")
    found = survey(tmp_path)
    (batch,) = images.batches(found)
    assert found.facts == ()
    assert found.size == (12, 12)
    assert (batch.images == pixels).all()
    assert list(batch.ids) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("CMYK", "jpg"), ("P", "png"), ("RGBA", "png"), ("LA", "png"), ("1", "png"), ("YCbCr", "jpg")],
)
def test_odd_modes_are_converted_and_said(tmp_path, mode, suffix):
    Image.fromarray(picture()).convert(mode).save(tmp_path / f"a.{suffix}")
    found = survey(tmp_path)
    (batch,) = images.batches(found)
    assert batch.images.shape == (1, 12, 12, 3)
    assert mode == "YCbCr" or found.facts[0].rule == "images.converted"


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    deep = (picture()[..., 0].astype(np.uint16) << 8) + 7
    Image.fromarray(deep).save(tmp_path / "a.png")
    (batch,) = images.batches(survey(tmp_path))
    assert (batch.images[0, ..., 1] == picture()[..., 0]).all()


def test_a_trigger_below_transparency_is_still_there(tmp_path):
    pixels = np.dstack([picture(), np.zeros((12, 12), np.uint8)])
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    (batch,) = images.batches(survey(tmp_path))
    assert (batch.images[0] == picture()).all()


def test_many_sizes_become_the_usual_one_and_nothing_is_cropped(tmp_path):
    for at, side in enumerate((10, 12, 12, 40)):
        Image.fromarray(picture(side)).save(tmp_path / f"{at}.png")
    found = survey(tmp_path)
    (batch,) = images.batches(found)
    assert batch.images.shape == (4, 12, 12, 3)
    assert found.facts[0].metrics == {"resized": 2, "sizes": 3, "width": 12, "height": 12}


def test_large_images_shrink_to_a_bound(tmp_path):
    Image.new("RGB", (500, 250), (9, 9, 9)).save(tmp_path / "a.jpg")
    found = survey(tmp_path)
    assert found.size == (64, 32)
    assert next(images.batches(found)).images.shape == (1, 32, 64, 3)


def bomb() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def jpeg() -> bytes:
    held = io.BytesIO()
    Image.fromarray(picture(64)).save(held, "JPEG")
    return held.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not-an-image"),
        (b"hello", "not-an-image"),
        (bomb(), "too-large"),
        (jpeg()[:600], "broken"),
        (jpeg()[:20], "not-an-image"),
    ],
)
def test_what_cannot_be_read_is_counted_with_its_reason(tmp_path, data, reason):
    (tmp_path / "a.jpg").write_bytes(data)
    Image.fromarray(picture()).save(tmp_path / "b.png")
    found = survey(tmp_path)
    assert found.unread == (0,)
    assert found.facts[-1].metrics["unread"] == 1
    assert found.facts[-1].metrics[reason] == 1
    assert list(next(images.batches(found)).ids) == [1]


def test_a_missing_file_is_counted(tmp_path):
    assert images.survey([File(tmp_path / "none.png", 4)]).unread == (4,)


def test_nothing_readable_gives_no_batch(tmp_path):
    assert list(images.batches(survey(tmp_path))) == []
