"""Why two archives differ: each planted cause is named, and no other."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.app.bench import imageplant, rebuildplant
from sealwright.app.bench.imageplant import Keys
from sealwright.app.bench.rebuildplant import CHANGED, Packed
from sealwright.core.errors import BadInput
from sealwright.supply import archive, archivediff
from sealwright.supply.archivediff import CAUSES
from sealwright.vault.signers import Ed25519Signer


def causes(one: bytes, two: bytes) -> list[str]:
    found = archivediff.compare(archive.of_bytes(one, "one"), archive.of_bytes(two, "two"))
    return [cause.cause for cause in found]


@pytest.mark.parametrize("name", CHANGED)
def test_a_planted_cause_is_named_and_no_other(name: str) -> None:
    one, two = rebuildplant.pair(name)
    assert one != two
    assert causes(one, two) == causes(two, one) == [CHANGED[name][0]]


def test_equal_archives_have_no_cause() -> None:
    assert causes(rebuildplant.wheel(Packed()), rebuildplant.wheel(Packed())) == []


def test_two_causes_in_one_file_are_both_named() -> None:
    one = Packed(text="at 2026-11-24T08:00:00Z in /home/ana/x/planted\n")
    two = Packed(text="at 2026-11-25T09:30:00Z in /srv/ci/planted\n")
    assert causes(rebuildplant.wheel(one), rebuildplant.wheel(two)) == ["timestamps", "build-path"]


def test_other_contents_are_called_contents() -> None:
    one, two = Packed(text="WEIGHT = 'a'\n"), Packed(text="WEIGHT = 'b'\n")
    assert causes(rebuildplant.wheel(one), rebuildplant.wheel(two)) == ["content"]


def test_a_file_on_one_side_only_is_contents_and_its_row_in_record_is_none() -> None:
    def made(extra: bool) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as wheel:
            rows = "a.py,sha256=1,1\n" + ("b.py,sha256=2,1\n" if extra else "")
            for name, text in [("a.py", "a"), *([("b.py", "b")] if extra else [])]:
                wheel.writestr(zipfile.ZipInfo(name), text)
            wheel.writestr(zipfile.ZipInfo("x-1.dist-info/RECORD"), rows)
        return out.getvalue()

    found = archivediff.compare(archive.of_bytes(made(False), ""), archive.of_bytes(made(True), ""))
    assert [(one.cause, one.path) for one in found] == [("content", "b.py")]


def test_bytes_after_the_archive_are_seen() -> None:
    data = rebuildplant.wheel(Packed())
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        assert wheel.comment == b""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as made:
        made.addfile(tarfile.TarInfo("a"))
    assert causes(tar.getvalue(), tar.getvalue() + bytes(512)) == ["archive-format"]


def test_a_sparse_file_of_many_gigabytes_is_refused_unread() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        entry = tarfile.TarInfo("hole")
        entry.pax_headers = {
            "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,0",
            "GNU.sparse.size": str(50 << 30), "GNU.sparse.realsize": str(50 << 30),
        }  # fmt: skip
        made.addfile(entry)
    with pytest.raises(BadInput, match="no archive"):
        archive.of_bytes(out.getvalue(), "x")


def test_images_are_compared_by_layers_and_configuration(tmp_path: Path) -> None:
    keys = Keys(Ed25519Signer.generate(), Ed25519Signer.generate())
    plans = {
        "one": imageplant.sound(),
        "later": imageplant.plant(lambda plan: setattr(plan, "created", "2026-11-02T10:00:00Z")),
        "plain": imageplant.plant(lambda plan: setattr(plan, "packing", "")),
        "mode": imageplant.plant(imageplant.DEFECTS["a setuid program"][1]),
    }
    read = {}
    for name, plan in plans.items():
        imageplant.write(plan, tmp_path / name, keys)
        read[name] = archive.read(tmp_path / name)
    found = {name: archivediff.compare(read["one"], other) for name, other in read.items()}
    assert found["one"] == ()
    assert [(one.cause, one.path) for one in found["later"]] == [("timestamps", "config.json")]
    assert [one.cause for one in found["plain"]] == ["compression"]
    assert [(one.cause, one.path) for one in found["mode"]] == [
        ("content", "layer 1: usr/local/bin/up")
    ]


@pytest.mark.parametrize("data", [b"", b"nonsense", b"PK\x03\x04 and no more", b"\x1f\x8b\x08\x00"])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        archive.of_bytes(data, "x")


@given(st.binary(max_size=64), st.integers(0, 400))
def test_a_broken_archive_is_refused_or_read_and_never_crashes(noise: bytes, at: int) -> None:
    for data in (rebuildplant.wheel(Packed(text="x")), rebuildplant.layer(Packed(text="x"))):
        try:
            archive.of_bytes(data[:at] + noise + data[at + len(noise) :], "x")
        except BadInput:
            pass


@given(st.text(max_size=80), st.text(max_size=80))
def test_an_explanation_is_a_known_cause(one: str, two: str) -> None:
    found = archivediff.explained(one.encode(), two.encode())
    assert found
    assert set(found) <= CAUSES.keys()


def test_what_is_neither_folder_nor_archive_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no OCI layout"):
        archive.read(tmp_path)
