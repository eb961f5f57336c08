"""What every store must do. A new adapter joins by a line in ``ADAPTERS``."""

from __future__ import annotations

import io
import os

import pytest

from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, Refused, VerifyError


def local(tmp_path):
    kms, _ = FileKms.initialize(tmp_path / "state", None)
    return lambda: LocalStore(tmp_path / "store", kms)


ADAPTERS = {"local": local}


@pytest.fixture(params=ADAPTERS)
def reopen(request, tmp_path):
    return ADAPTERS[request.param](tmp_path)


@pytest.fixture
def store(reopen):
    return reopen()


def put(store, content: bytes, scope: str = "data:a"):
    return store.put(scope, io.BytesIO(content))


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1_000_003])
def test_what_was_put_is_read_by_another_process(store, reopen, size):
    content = os.urandom(size)
    file = put(store, content)
    assert (file.sha256, file.size) == (of_bytes(content), size)
    readable = reopen().open("data:a", file)
    assert readable.size == size
    assert readable.pread(0, size + 10) == content


def test_ranges_read_as_slices_do(store):
    content = os.urandom(300_000)
    readable = store.open("data:a", put(store, content))
    for offset, count in [(0, 1), (65530, 20), (131072, 65536), (299_999, 5), (300_000, 5), (7, 0)]:
        assert readable.pread(offset, count) == content[offset : offset + count]


def test_equal_content_is_kept_once_in_a_scope_and_apart_in_two(store):
    content = os.urandom(1000)
    first, again = put(store, content), put(store, content)
    assert first == again
    assert len(store.segments("data:a")) == 1
    other = put(store, content, "data:b")
    assert other.sha256 == first.sha256
    assert set(other.segments).isdisjoint(first.segments)


def test_segments_lists_what_is_held_for_a_scope(store):
    assert store.segments("data:a") == frozenset()
    files = [put(store, os.urandom(100)) for _ in range(5)]
    assert store.segments("data:a") == {s for file in files for s in file.segments}
    assert store.segments("data:b") == frozenset()


def test_names_do_not_follow_from_the_content(store):
    content = b"guess me"
    file = put(store, content)
    assert of_bytes(content) not in file.segments


def test_a_shredded_file_is_refused_and_its_neighbour_still_reads(store):
    gone, kept = put(store, b"gone"), put(store, b"kept")
    assert store.shred("data:a", gone.segments) == 1
    with pytest.raises(Refused):
        store.open("data:a", gone).pread(0, 4)
    assert store.open("data:a", kept).pread(0, 4) == b"kept"
    assert store.shred("data:a", gone.segments) == 0


def test_shredded_content_can_be_put_again(store):
    file = put(store, b"again")
    store.shred("data:a", file.segments)
    assert store.open("data:a", put(store, b"again")).pread(0, 5) == b"again"


def test_a_file_of_one_scope_does_not_open_in_another(store):
    file = put(store, b"scoped")
    put(store, b"other", "data:b")
    with pytest.raises(Refused):
        store.open("data:b", file).pread(0, 6)


def test_a_record_with_another_length_is_refused(store):
    file = put(store, b"0123456789")
    for size in (9, 11):
        wrong = type(file)(file.sha256, size, file.segments)
        with pytest.raises(VerifyError):
            store.open("data:a", wrong).pread(0, 10)


@pytest.mark.parametrize("scope", ["", "../x", "a/b", ".hidden", "UPPER", "x" * 200])
def test_a_scope_that_is_no_name_is_refused(store, scope):
    with pytest.raises(BadInput):
        put(store, b"x", scope)


def test_a_source_that_gives_a_little_at_a_time_is_stored_whole(store):
    class Dribble(io.RawIOBase):
        def __init__(self, content: bytes) -> None:
            self.rest = content

        def readable(self) -> bool:
            return True

        def readinto(self, out) -> int:
            piece, self.rest = self.rest[:777], self.rest[777:]
            out[: len(piece)] = piece
            return len(piece)

    content = os.urandom(10_000)
    assert store.put("data:a", Dribble(content)) == put(store, content)


def test_a_source_that_fails_leaves_nothing_behind(store):
    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, out) -> int:
            raise OSError("the disk was pulled")

    with pytest.raises(OSError, match="pulled"):
        store.put("data:a", Failing())
    assert store.segments("data:a") == frozenset()
