"""Backup files: what an attacker may put into a tar, and what is made of it (nothing)."""

from __future__ import annotations

import io
import os
import tarfile

import pytest

from sealwright.adapters import backup_tar
from sealwright.core.errors import BadInput, Refused, SealError, Unavailable, VerifyError


class Quiet:
    def advance(self, done: int, total: int, what: str) -> None:
        pass


def tar_of(path, infos):
    with tarfile.open(path, "w") as tar:
        for info, data in infos:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        last = tarfile.TarInfo("backup.json")
        last.size = 2
        tar.addfile(last, io.BytesIO(b"{}"))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../outside",
        "seal/../../outside",
        "seal/./x",
        "seal//x",
        "seal",
        "other/x",
        "C:\\x",
        "seal/a\\..\\b",
        "seal/a\nb",
        "project/" + "x" * 2000,
    ],
)
def test_an_unsafe_name_is_refused(tmp_path, name):
    path = tar_of(tmp_path / "b.tar", [(tarfile.TarInfo(name), b"x")])
    with pytest.raises(Refused) as caught:
        backup_tar.survey(path, Quiet())
    assert caught.value.rule == "backup.unsafe-member"


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.CONTTYPE,
    ],
)
def test_what_is_no_regular_file_is_refused(tmp_path, kind):
    info = tarfile.TarInfo("seal/x")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(Refused) as caught:
        backup_tar.survey(tar_of(tmp_path / "b.tar", [(info, b"")]), Quiet())
    assert caught.value.rule == "backup.unsafe-member"


def test_a_name_twice_is_refused(tmp_path):
    twice = [(tarfile.TarInfo("seal/x"), b"1"), (tarfile.TarInfo("seal/x"), b"2")]
    with pytest.raises(Refused):
        backup_tar.survey(tar_of(tmp_path / "b.tar", twice), Quiet())


def test_a_member_after_the_catalogue_is_refused(tmp_path):
    path = tmp_path / "b.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("backup.json", "seal/late"):
            info = tarfile.TarInfo(name)
            info.size = 2
            tar.addfile(info, io.BytesIO(b"{}"))
    with pytest.raises(Refused):
        backup_tar.survey(path, Quiet())


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 10240, b"PK\x03\x04" * 1000])
def test_what_is_no_backup_is_refused(tmp_path, content):
    path = tmp_path / "b.tar"
    path.write_bytes(content)
    with pytest.raises(SealError):
        backup_tar.survey(path, Quiet())
    with pytest.raises(BadInput):
        backup_tar.survey(tmp_path / "missing.tar", Quiet())


def test_extraction_does_not_write_through_what_is_there(tmp_path):
    path = tar_of(tmp_path / "b.tar", [(tarfile.TarInfo("seal/x"), b"new")])
    members, _ = backup_tar.survey(path, Quiet())
    victim = tmp_path / "victim"
    victim.write_text("old")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").symlink_to(victim)
    with pytest.raises(Unavailable):
        backup_tar.extract(path, members, lambda _: tmp_path / "out" / "x", Quiet())
    assert victim.read_text() == "old"


def test_a_member_exchanged_after_the_check_is_refused(tmp_path):
    path = tar_of(tmp_path / "b.tar", [(tarfile.TarInfo("seal/x"), b"good")])
    members, _ = backup_tar.survey(path, Quiet())
    tar_of(path, [(tarfile.TarInfo("seal/x"), b"evil")])
    with pytest.raises(VerifyError):
        backup_tar.extract(path, members, lambda _: tmp_path / "out", Quiet())


def test_a_failing_source_leaves_no_file(tmp_path):
    with pytest.raises(Unavailable):
        backup_tar.write(
            tmp_path / "b.tar", [("seal/x", tmp_path / "gone")], lambda _: b"{}", Quiet()
        )
    assert os.listdir(tmp_path) == []


def test_what_was_written_is_surveyed_and_extracted(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))
    target = tmp_path / "b.tar"
    written = backup_tar.write(target, [("seal/x", source)], lambda _: b"{}", Quiet())
    members, catalogue = backup_tar.survey(target, Quiet())
    assert (list(members.values()), catalogue) == (written, b"{}")
    backup_tar.extract(target, members, lambda _: tmp_path / "out" / "x", Quiet())
    assert (tmp_path / "out" / "x").read_bytes() == source.read_bytes()
    assert (tmp_path / "out" / "x").stat().st_mode & 0o777 == 0o600
