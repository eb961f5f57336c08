"""Layers packed with zstd: read in bounds, or not understood with the line that mends it."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.app.bench import imageplant
from sealwright.app.bench.imageplant import File, Keys, Plan
from sealwright.app.bench.supply import images as bench
from sealwright.core.errors import BadInput
from sealwright.supply import layercodec
from sealwright.supply.image import Score
from sealwright.vault.signers import Ed25519Signer

zstandard = pytest.importorskip("zstandard")
KEYS = Keys(Ed25519Signer.generate(), Ed25519Signer.generate())
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\0\0\0abc"


def score(plan: Plan, root: Path) -> Score:
    return bench.score(plan, root, KEYS)


def zstd(data: bytes, **more: object) -> bytes:
    return zstandard.ZstdCompressor(**more).compress(data)


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("a")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return stream.getvalue()


def test_an_image_of_zstd_layers_scores_as_the_same_of_gzip(tmp_path: Path) -> None:
    def plan(packing: str) -> Plan:
        made = imageplant.plant(imageplant._file("bin/sh", File(b"x", 0o4755), 0))
        made.packing = packing
        return made

    one, other = score(plan("zstd"), tmp_path / "a"), score(plan("gzip"), tmp_path / "b")
    assert (one.score, one.signals, one.caps) == (other.score, other.signals, other.caps)
    assert one.signal("privileges").found


def test_without_the_library_a_zstd_layer_is_not_understood_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = imageplant.sound()
    plan.packing = "zstd"
    monkeypatch.setitem(sys.modules, "zstandard", None)
    root = tmp_path / "x"
    with monkeypatch.context() as here:
        here.delitem(sys.modules, "zstandard")
        imageplant.write(plan, root, KEYS)
    from sealwright.supply import image as images
    from sealwright.supply.oci import Layout

    layout = Layout(root)
    scored = images.score(layout, layout.image(images.pick(layout)), bench._wanted(KEYS))
    assert scored.score == 0
    assert "pip install 'sealwright[images]'" in scored.caps[0]


def test_frames_follow_each_other_and_skippable_ones_are_passed_over() -> None:
    data = SKIPPABLE + zstd(b"one") + SKIPPABLE + zstd(b"two") + SKIPPABLE
    decode = layercodec.decoder(data[:8], ZSTD)
    assert b"".join(decode(data[at : at + 5]) for at in range(0, len(data), 5)) == b"onetwo"


def test_what_unpacks_out_of_all_proportion_is_refused() -> None:
    engine = zstandard.ZstdCompressor(level=1).compressobj()
    data = b"".join(engine.compress(bytes(1 << 24)) for _ in range(40)) + engine.flush()
    assert len(data) < 1 << 16
    with pytest.raises(BadInput, match="proportion"):
        layercodec.decoder(data[:8], ZSTD)(data)


def test_a_window_of_more_memory_than_zstd_itself_would_take_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=28)
    engine = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    data = engine.compress(tar()) + engine.flush()
    with pytest.raises(BadInput, match="memory"):
        layercodec.decoder(data[:8], ZSTD)(data)


def test_a_layer_that_is_called_what_it_is_not_is_refused() -> None:
    for data, kind in ((tar(), ZSTD), (zstd(tar()), ZSTD.replace("zstd", "gzip"))):
        with pytest.raises(BadInput, match="is none"):
            layercodec.decoder(data[:8], kind)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_frames_end_in_bytes_or_in_one_kind_of_refusal(data: st.DataObject) -> None:
    made = bytearray(data.draw(st.sampled_from([zstd(tar()), gzip.compress(tar())])))
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(st.integers(4, len(made) - 1))] ^= data.draw(st.integers(1, 255))
    decode = layercodec.decoder(bytes(made[:8]), ZSTD[:-5])
    try:
        assert len(decode(bytes(made))) <= 1 << 28
    except BadInput:
        pass
