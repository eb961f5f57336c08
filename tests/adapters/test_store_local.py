"""The store in a directory: crash, full disk, many at once, and what lies on the disk."""

from __future__ import annotations

import errno
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from sealwright.adapters import store_local
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.core.errors import Refused, Unavailable, VerifyError
from sealwright.vault import container, stream


@pytest.fixture
def kms(tmp_path):
    return FileKms.initialize(tmp_path / "state", None)[0]


@pytest.fixture
def store(tmp_path, kms):
    return LocalStore(tmp_path / "store", kms)


@pytest.fixture
def small_slices(monkeypatch):
    """Slices of 64 KiB, so that a file of several is small."""
    monkeypatch.setattr(store_local, "SLICE_BYTES", 65536)
    return 65536


def put(store, content: bytes, scope: str = "data:a"):
    return store.put(scope, io.BytesIO(content))


def files(directory):
    return sorted(p for p in directory.rglob("*") if p.is_file())


def test_a_file_of_several_slices_reads_across_their_seams(store, small_slices):
    content = os.urandom(5 * small_slices + 77)
    file = put(store, content)
    assert len(file.segments) == 6
    readable = store.open("data:a", file)
    assert readable.pread(0, len(content)) == content
    for at in (small_slices - 3, 2 * small_slices, 5 * small_slices + 70):
        assert readable.pread(at, 200_000) == content[at : at + 200_000]
    assert stream.check(readable, file) == file


def test_a_length_of_exact_slices_has_no_empty_one(store, small_slices):
    assert len(put(store, os.urandom(3 * small_slices)).segments) == 3


def test_a_slice_changed_in_the_middle_stores_only_that_slice(store, small_slices):
    content = bytearray(os.urandom(8 * small_slices))
    before = put(store, bytes(content))
    content[3 * small_slices + 5] ^= 1
    after = put(store, bytes(content))
    assert len(set(after.segments) - set(before.segments)) == 1
    assert len(store.segments("data:a")) == 9


def test_more_slices_than_descriptors_are_read(store, small_slices):
    content = os.urandom(70 * small_slices)
    readable = store.open("data:a", put(store, content))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert readable.pread(0, len(content)) == content
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 33


def test_nothing_on_the_disk_shows_content_or_its_digest(store, tmp_path):
    content = b"the patient is called Ada Lovelace. " * 5000
    file = put(store, content)
    for path in files(tmp_path / "store"):
        raw = path.read_bytes()
        assert b"Lovelace" not in raw
        assert file.sha256 not in str(path)
        assert bytes.fromhex(file.sha256) not in raw
        assert path.stat().st_mode & 0o777 == 0o600


def test_every_changed_byte_of_a_stored_segment_is_refused(store, tmp_path):
    content = b"x" * 500
    file = put(store, content)
    [path] = files(tmp_path / "store")
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        with pytest.raises((VerifyError, Unavailable)):
            store.open("data:a", file).pread(0, 500)


def test_a_segment_put_in_anothers_place_is_refused(store, tmp_path):
    first, second = put(store, b"first"), put(store, b"other")
    one, two = (path_of(tmp_path, f) for f in (first, second))
    two.write_bytes(one.read_bytes())
    with pytest.raises(VerifyError) as caught:
        store.open("data:a", second).pread(0, 5)
    assert caught.value.rule == "store.segment-swapped"


def test_a_relabelled_segment_is_refused(store, tmp_path):
    first, second = put(store, b"first"), put(store, b"other")
    raw = bytearray(path_of(tmp_path, first).read_bytes())
    raw[32:64] = bytes.fromhex(second.segments[0])
    path_of(tmp_path, second).write_bytes(raw)
    with pytest.raises(VerifyError):
        store.open("data:a", second).pread(0, 5)


def test_a_link_in_place_of_a_segment_is_not_followed(store, tmp_path):
    file = put(store, b"linked")
    path = path_of(tmp_path, file)
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "away")
    with pytest.raises(OSError):
        store.open("data:a", file).pread(0, 6)


def test_adding_again_mends_a_damaged_segment(store, tmp_path):
    content = os.urandom(200_000)
    file = put(store, content)
    path = path_of(tmp_path, file)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(VerifyError):
        store.open("data:a", file).pread(0, len(content))
    assert put(store, content) == file
    assert store.open("data:a", file).pread(0, len(content)) == content


def test_shredding_overwrites_before_it_unlinks(store, tmp_path):
    file = put(store, b"to be forgotten")
    path = path_of(tmp_path, file)
    kept = tmp_path / "hard-link"
    os.link(path, kept)
    raw = path.read_bytes()
    assert store.shred("data:a", file.segments) == 1
    assert not path.exists()
    assert kept.read_bytes() != raw
    assert raw[60:140] not in kept.read_bytes()


def test_a_destroyed_scope_key_makes_all_its_segments_unreadable(store, kms):
    file, other = put(store, b"gone"), put(store, b"stays", "data:b")
    kms.destroy("data:a")
    with pytest.raises(Refused):
        store.open("data:a", file).pread(0, 4)
    assert store.open("data:b", other).pread(0, 5) == b"stays"


@pytest.mark.parametrize("call", ["write", "fsync", "posix_fallocate"])
def test_a_full_disk_is_unavailable_and_leaves_nothing(store, tmp_path, monkeypatch, call):
    kept = put(store, b"already here")
    before = files(tmp_path / "store")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(Unavailable) as caught:
            put(store, os.urandom(100_000))
    assert "No space left" in caught.value.what
    assert "gc" in caught.value.hint
    assert files(tmp_path / "store") == before
    assert store.open("data:a", kept).pread(0, 12) == b"already here"


def test_a_really_full_disk_is_unavailable_and_leaves_nothing(tmp_path, kms):
    mount = tmp_path / "small"
    mount.mkdir()
    size = ["-o", "size=4m"]
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *size, "tmpfs", str(mount)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this machine may not mount")
    try:
        store = LocalStore(mount / "store", kms)
        kept = put(store, os.urandom(1 << 20))
        before = files(mount)
        with pytest.raises(Unavailable):
            put(store, os.urandom(8 << 20))
        assert files(mount) == before
        stream.check(store.open("data:a", kept), kept)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def _fill_store(tmp_path, seed: int) -> None:
    kms = FileKms.open(tmp_path / "state", None)
    store = LocalStore(tmp_path / "store", kms)
    for number in range(seed, seed + 12):
        put(store, bytes([number % 16]) * 50_000)


def test_several_processes_put_the_same_at_once(tmp_path, kms):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fill_store, args=(tmp_path, n)) for n in (0, 2, 4, 6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    store = LocalStore(tmp_path / "store", kms)
    assert len(store.segments("data:a")) == 16
    for number in range(16):
        file = put(store, bytes([number]) * 50_000)
        stream.check(store.open("data:a", file), file)
    assert len(store.segments("data:a")) == 16
    assert not files(tmp_path / "store" / "tmp")


PUTTER = """
import io, os, sys
from pathlib import Path
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
home = Path(sys.argv[1])
store = LocalStore(home / "store", FileKms.open(home / "state", None))
number = 0
while True:
    content = number.to_bytes(4, "big") * 100_000
    file = store.put("data:a", io.BytesIO(content))
    os.write(1, f"{number} {file.segments[0]}\\n".encode())
    number += 1
"""


@pytest.mark.parametrize("after_s", [0.03, 0.05, 0.08, 0.11])
def test_a_kill_at_any_moment_leaves_whole_segments_and_temporaries(tmp_path, kms, after_s):
    with subprocess.Popen(
        [sys.executable, "-c", PUTTER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        acknowledged = [child.stdout.readline()]
        time.sleep(after_s)
        child.send_signal(signal.SIGKILL)
        acknowledged += child.stdout.readlines()
    store = LocalStore(tmp_path / "store", kms)
    held = store.segments("data:a")
    for line in acknowledged:
        assert line.split()[1] in held
    for segment in held:
        opened = store.open_segment("data:a", segment)
        opened.check()
        opened.close()


def test_a_descriptor_is_closed_when_a_segment_does_not_open(store, tmp_path):
    file = put(store, b"abc")
    path_of(tmp_path, file).write_bytes(b"not a segment")
    before = os.dup(0)
    os.close(before)
    for _ in range(3):
        with pytest.raises(VerifyError):
            store.open("data:a", file).pread(0, 1)
    after = os.dup(0)
    os.close(after)
    assert after == before


def test_the_store_writes_the_published_chunk_size(store, tmp_path):
    path = path_of(tmp_path, put(store, b"abc"))
    with path.open("rb") as raw:
        assert container.read_header(raw.fileno(), "").chunk_bytes == 65536


def path_of(tmp_path, file):
    segment = file.segments[0]
    return tmp_path / "store" / "data:a" / segment[:2] / f"{segment}.seg"
