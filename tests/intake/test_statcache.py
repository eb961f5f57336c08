"""The stat cache saves reading, and can be wrong about nothing that matters."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest
from intake_space import Space

from sealwright.core.digest import of_bytes
from sealwright.intake.add import AddRequest, add
from sealwright.intake.statcache import StatCache, is_settled
from sealwright.intake.streams import Stamp

SECOND = 10**9


class Counter:
    """Progress that remembers how many bytes were read."""

    done = 0

    def advance(self, done: int, total: int, what: str) -> None:
        self.done = max(self.done, done)


def read_again(space: Space, path: str, **more: object) -> int:
    counter = Counter()
    add(AddRequest(path, "d", "ann", **more), space.ports, counter)  # type: ignore[arg-type]
    return counter.done


def settle() -> None:
    time.sleep(0.15)  # past the grain that the racy rule distrusts


def test_unchanged_files_are_not_read_again(space: Space) -> None:
    for number in range(4):
        space.write(f"d/{number}.csv", "a\n" + f"{number}\n" * 1000)
    settle()
    space.add("d")
    assert read_again(space, "d") == 0
    changed = space.write("d/2.csv", "a\n" + "7\n" * 1000)
    assert 0 < read_again(space, "d") <= 4 * 2 * changed.stat().st_size
    assert read_again(space, "d", reread=True) > 4 * 2000


def test_a_file_edited_within_the_clocks_grain_is_read_again(space: Space) -> None:
    path = space.write("a.csv", "a\n1\n")
    space.add("a.csv")
    path.write_text("a\n2\n")  # same size, perhaps the same stamp
    assert space.add("a.csv").dataset.version == 2


def test_an_edit_that_puts_size_and_mtime_back_is_found(space: Space) -> None:
    path = space.write("a.csv", "a\n1\n")
    settle()
    space.add("a.csv")
    before = path.stat()
    path.write_text("a\n2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert space.add("a.csv").dataset.version == 2


@pytest.mark.parametrize(
    ("mtime", "ctime", "read_at", "settled"),
    [
        (5 * SECOND + 1, 5 * SECOND + 1, 5 * SECOND + 50_000_000, False),
        (5 * SECOND + 1, 5 * SECOND + 1, 6 * SECOND, True),
        (5 * SECOND, 5 * SECOND, 6 * SECOND, False),
        (5 * SECOND, 5 * SECOND, 8 * SECOND, True),
        (9 * SECOND + 1, 5 * SECOND + 1, 8 * SECOND, False),
        (5 * SECOND + 1, 9 * SECOND + 1, 8 * SECOND, False),
    ],
)
def test_only_a_file_that_has_been_still_is_kept(
    mtime: int, ctime: int, read_at: int, settled: bool
) -> None:
    assert is_settled(Stamp((1, 2, 3, mtime, ctime)), read_at) is settled


@pytest.mark.parametrize("at", range(5))
def test_every_part_of_the_stamp_counts(tmp_path: Path, at: int) -> None:
    cache = StatCache(tmp_path / "c")
    stamp = Stamp((1, 2, 3, 4, 5))
    cache.remember("a", stamp, "d" * 64, 10 * SECOND)
    cache.save()
    again = StatCache(tmp_path / "c")
    assert again.digest("a", stamp) == "d" * 64
    other = list(stamp)
    other[at] += 1
    assert again.digest("a", Stamp(other)) is None
    assert again.digest("b", stamp) is None


def test_a_forged_cache_can_only_claim_what_was_signed_already(space: Space) -> None:
    path = space.write("a.csv", "a\n1\n")
    settle()
    first = space.add("a.csv").dataset
    path.write_text("a\n2\n")
    found = path.stat()
    stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    cache = space.state / "cache" / "data-d.stat"
    for digest in (of_bytes(b"a\n3\n"), "0" * 64):
        cache.write_bytes(msgspec.msgpack.encode({"a.csv": (stamp, digest)}))
        second = space.add("a.csv").dataset
        assert second.version == 2
        assert second.root != first.root


@pytest.mark.parametrize("content", [b"", b"\xff\x00", msgspec.msgpack.encode([1, 2])])
def test_a_broken_cache_is_no_cache(space: Space, content: bytes) -> None:
    space.write("a.csv", "a\n1\n")
    space.add("a.csv")
    (space.state / "cache" / "data-d.stat").write_bytes(content)
    assert space.add("a.csv").outcome == "unchanged"


def test_the_cache_lies_outside_the_project(space: Space) -> None:
    space.write("a.csv", "a\n1\n")
    space.add("a.csv")
    assert not [path for path in space.project.rglob("*") if "stat" in path.name]
    assert (space.state / "cache" / "data-d.stat").is_file()
