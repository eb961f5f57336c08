"""Bundles as one tar: the same bytes every time, read in place, and nothing hostile is spelt."""

from __future__ import annotations

import io
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from registry_house import START, House

from sealwright.core.errors import BadInput, GateDenied, Refused, VerifyError
from sealwright.core.records import Artifact
from sealwright.registry import check, tarball
from sealwright.registry.export import export
from sealwright.registry.sink import Member, sink

LONG = "d" * 90 + "/" + "é" * 60


def written(path: Path, members: dict[str, bytes]) -> Path:
    with sink(path) as target:
        for name, body in sorted(members.items()):
            target.write(Member(name, len(body), (body,)))
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with path.open("rb") as archive:
        spans = tarball.index(archive)
        return {n: tarball.SpanReader(archive.fileno(), s).read() for n, s in spans.items()}


def test_what_is_written_is_read_back_and_any_tar_reads_it(tmp_path: Path) -> None:
    content = {"a": b"", "b/c": b"x" * 1025, LONG: b"y" * 512, "z" * 101: b"long"}
    path = written(tmp_path / "t.tar", content)
    assert members_of(path) == content
    with tarfile.open(path) as archive:
        assert {m.name: m.size for m in archive} == {n: len(b) for n, b in content.items()}
        assert {(m.mtime, m.uid, m.mode) for m in archive} == {(0, 0, 0o644)}


def test_equal_members_give_equal_archives(tmp_path: Path) -> None:
    first = written(tmp_path / "1.tar", {"a": b"1", LONG: b"2"}).read_bytes()
    assert written(tmp_path / "2.tar", {LONG: b"2", "a": b"1"}).read_bytes() == first


def test_no_byte_around_the_members_can_change(tmp_path: Path) -> None:
    content = {"a": b"abc", LONG: b"y" * 700}
    path = written(tmp_path / "t.tar", content)
    whole = path.read_bytes()
    for at in range(0, len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0x01
        path.write_bytes(changed)
        try:
            found = members_of(path)
        except VerifyError as error:
            assert error.rule == "bundle.tar"
        else:
            assert found != content, at


def hostile(name: str, **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    body = b"x" if not fields.get("type") else b""
    info.size, info.mode = len(body), 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(body))
    return out.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        hostile("../../etc/passwd"),
        hostile("/etc/passwd"),
        hostile("a/../b"),
        hostile("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        hostile("hard", type=tarfile.LNKTYPE, linkname="model.sig"),
        hostile("device", type=tarfile.CHRTYPE),
        hostile("pipe", type=tarfile.FIFOTYPE),
        hostile("dir", type=tarfile.DIRTYPE),
        hostile("owned", uid=1000),
        hostile("dated", mtime=1),
        hostile("named", pax_headers={"comment": "hello"}),
        b"",
        b"\0" * 512,
        b"\0" * 1025,
        b"PK\x03\x04" + b"\0" * 2000,
    ],
)
def test_anything_but_plain_sorted_files_is_refused(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    path.write_bytes(archive)
    with pytest.raises(VerifyError) as caught:
        members_of(path)
    assert caught.value.rule == "bundle.tar"


def raw(*members: tuple[str, bytes]) -> bytes:
    parts = [tarball.header(n, len(b)) + b + tarball.padding(len(b)) for n, b in members]
    return b"".join(parts) + tarball.END


@pytest.mark.parametrize(
    "archive",
    [
        raw(("a", b"1"), ("a", b"2")),
        raw(("b", b"1"), ("a", b"2")),
        raw(("a", b"1"))[:-600],
        raw(("a", b"1")) + b"\0" * 512,
        tarball.header("a", 1 << 40) + tarball.END,
        tarball.header("a", 9 << 30) + tarball.END,
    ],
)
def test_duplicates_disorder_and_impossible_sizes_are_refused(
    archive: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "t.tar"
    path.write_bytes(archive)
    with pytest.raises(VerifyError):
        members_of(path)


def test_a_member_that_is_not_as_announced_leaves_nothing_behind(tmp_path: Path) -> None:
    for out in (tmp_path / "b.tar", tmp_path / "b"):
        with pytest.raises(VerifyError), sink(out) as target:
            target.write(Member("a", 3, (b"abcd",)))
        with pytest.raises(VerifyError), sink(out) as target:
            target.write(Member("a", 3, (b"abc",), "0" * 64))
    assert list(tmp_path.iterdir()) == []


def exported(house: House, out: Path, *, witness: bool = True) -> None:
    model = house.models().all()[0]
    decision = house.decide("export", Artifact(model.ref, model.digest))
    export(house.models(), model, out, decision, house.exporter(witness=witness))


def test_a_tar_verifies_like_a_directory(house: House, tmp_path: Path) -> None:
    house.model(house.files(), house.dataset("train"))
    exported(house, tmp_path / "b.tar")
    exported(house, tmp_path / "b")
    now = START + timedelta(hours=1)
    for path in (tmp_path / "b.tar", tmp_path / "b"):
        found = check.verify_bundle(path, house.trust.fingerprint, max_age_s=None, now=now)
        assert found.model.ref == "model:fraud@1"


def test_a_flipped_byte_in_a_tars_model_is_named(house: House, tmp_path: Path) -> None:
    house.model(house.files(weights=b"w" * 5000), house.dataset("train"))
    exported(house, tmp_path / "b.tar")
    data = bytearray((tmp_path / "b.tar").read_bytes())
    data[data.index(b"w" * 100) + 50] ^= 1
    (tmp_path / "b.tar").write_bytes(data)
    with pytest.raises(VerifyError) as caught:
        check.verify_bundle(tmp_path / "b.tar", house.trust.fingerprint, max_age_s=None, now=START)
    assert caught.value.where == "model/weights"


def test_without_a_witness_the_bundle_says_so(house: House, tmp_path: Path) -> None:
    house.model(house.files(), house.dataset("train"))
    exported(house, tmp_path / "b", witness=False)
    now = START + timedelta(hours=1)
    found = check.verify_bundle(tmp_path / "b", house.trust.fingerprint, max_age_s=None, now=now)
    assert found.as_of_by == "self-asserted"
    assert any("no witness" in warning for warning in found.warnings)


def test_an_older_cosigned_head_travels_when_the_newest_has_none(
    house: House, tmp_path: Path
) -> None:
    house.model(house.files(), house.dataset("train"))
    house.cosign()
    size = house.log.size()
    exported(house, tmp_path / "b", witness=False)
    now = START + timedelta(hours=1)
    found = check.verify_bundle(tmp_path / "b", house.trust.fingerprint, max_age_s=None, now=now)
    assert [c.size for c in found.cosignatures] == [size]
    (tmp_path / "b/evidence/witnessed").unlink()
    with pytest.raises(VerifyError) as caught:
        check.verify_bundle(tmp_path / "b", house.trust.fingerprint, max_age_s=None, now=now)
    assert caught.value.rule == "bundle.cosignature-missing"


def test_a_blocked_model_is_not_exported_and_an_old_bundle_cannot_know(
    house: House, tmp_path: Path
) -> None:
    from sealwright.registry.revoke import revoke

    data = house.dataset("train")
    model = house.model(house.files(), data)
    exported(house, tmp_path / "before")
    revoke(
        house.history(), data, actor="a", reason="bad", recorder=house.recorder, clock=house.clock
    )
    house.gated = False
    decision = house.decide("export", Artifact(model.ref, model.digest))
    models = house.models()
    with pytest.raises(Refused) as caught:
        export(models, models.all()[0], tmp_path / "after", decision, house.exporter())
    assert caught.value.rule == "model.blocked"
    assert not (tmp_path / "after").exists()


def test_an_export_without_a_decision_is_denied(house: House, tmp_path: Path) -> None:
    model = house.model(house.files())
    decision = house.decide("export", Artifact(model.ref, model.digest), allowed=False)
    with pytest.raises(GateDenied):
        export(house.models(), model, tmp_path / "b", decision, house.exporter())
    assert not (tmp_path / "b").exists()


def test_an_existing_file_is_not_overwritten(house: House, tmp_path: Path) -> None:
    house.model(house.files())
    (tmp_path / "b.tar").write_bytes(b"mine")
    with pytest.raises(BadInput, match="exists"):
        exported(house, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == b"mine"
