from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ledger_parts import ORIGIN, bodies, log_key, new_log

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.tiles_dir import TileLog, publish
from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.evidence.audit import audit
from sealwright.evidence.checkpoint import open_checkpoint, read_checkpoint
from sealwright.evidence.tlog import ENTRIES, Tile, tiles
from sealwright.vault.signers import Ed25519Signer

# the children of the crash test publish and are gone; no thread of ours holds a lock then
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

SIGNER = Ed25519Signer.generate()


def files(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


def check_published(directory: Path) -> int:
    """Everything the published checkpoint covers is there and hashes to its root."""
    published = TileLog(directory)
    head = open_checkpoint(published.checkpoint(), [log_key(SIGNER)], ORIGIN).checkpoint
    audit(published.tile, head, "published")
    assert [e.body for e in published.entries()] == bodies(head.size)
    return head.size


def test_the_specs_example_tree_has_the_specs_tiles() -> None:
    found = list(tiles(70_000))
    assert sum(t.level == 0 and t.width == 256 for t in found) == 273
    assert [t.path for t in found if t.width < 256] == [
        "tile/entries/273.p/112",
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert [t.path for t in tiles(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert Tile(0, 1_234_067, 256).path == "tile/0/x001/x234/067"
    assert list(tiles(0)) == []


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 600])
def test_a_published_log_reads_as_the_ledger_does(tmp_path: Path, count: int) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, count)
    head = publish(log, tmp_path / "tiles")
    published = TileLog(tmp_path / "tiles")
    assert head.size == published.size() == check_published(tmp_path / "tiles") == count
    assert published.checkpoint() == log.checkpoint()
    assert [e.body for e in published.entries(2, 5)] == [e.body for e in log.entries(2, 5)]
    for level in range(10):
        for index in range(count >> level):
            if index in (0, (count >> level) - 1):
                assert published.hash_at(level, index) == log.hash_at(level, index)


def test_publishing_in_steps_or_at_once_gives_the_same_full_tiles(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER)
    for step in (1, 254, 1, 3, 253, 200):
        log.append(bodies(step, log.size()))
        publish(log, tmp_path / "steps")
        check_published(tmp_path / "steps")
    publish(log, tmp_path / "once")
    steps, once = files(tmp_path / "steps"), files(tmp_path / "once")
    assert {path: steps[path] for path in once} == once
    assert set(steps) - set(once) <= {"tile/1/000.p/1"}


def test_publishing_again_writes_what_is_new_and_nothing_else(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 3 * 256)
    publish(log, tmp_path / "tiles")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "tiles").rglob("*") if p.is_file()}
    log.append(bodies(2, log.size()))
    publish(log, tmp_path / "tiles")
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "tiles").rglob("*") if p.is_file()}
    written = {str(p.relative_to(tmp_path / "tiles")) for p in after if before.get(p) != after[p]}
    assert written - {".lock"} == {"checkpoint", "tile/entries/003.p/2", "tile/0/003.p/2"}
    publish(log, tmp_path / "tiles")
    again = {p: p.stat().st_mtime_ns for p in (tmp_path / "tiles").rglob("*") if p.is_file()}
    assert again == after


def test_partial_tiles_go_when_the_full_one_is_there(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 10)
    publish(log, tmp_path / "tiles")
    assert (tmp_path / "tiles/tile/0/000.p/10").is_file()
    log.append(bodies(246, 10))
    publish(log, tmp_path / "tiles")
    assert not (tmp_path / "tiles/tile/0/000.p").exists()
    assert not (tmp_path / "tiles/tile/entries/000.p").exists()


def test_a_reader_with_an_older_checkpoint_finds_its_partial_tile_in_the_full_one(
    tmp_path: Path,
) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 10)
    publish(log, tmp_path / "tiles")
    older = TileLog(tmp_path / "tiles")
    log.append(bodies(400, 10))
    publish(log, tmp_path / "tiles")
    audit(older.tile, read_checkpoint(older.checkpoint()), "older view")


OPERATIONS = ("open", "write", "fsync", "rename", "mkdir", "unlink", "rmdir")


def crash_after(count: int, log_path: Path, directory: Path) -> bool:
    """Publish in a child that is gone after ``count`` file operations; whether it finished.

    Files that were not fsynced by then lose their content, as after a power cut.
    """
    pid = os.fork()
    if pid == 0:
        unsynced: dict[int, str] = {}
        done = 0

        def counted(name: str, real):
            def call(*args, **kwargs):
                nonlocal done
                if done == count:
                    for path in unsynced.values():
                        os.truncate(path, 0)
                    os._exit(9)
                done += 1
                result = real(*args, **kwargs)
                if name == "open" and args[1] & os.O_CREAT and "lock" not in str(args[0]):
                    unsynced[result] = str(args[0])
                if name == "fsync":
                    unsynced.pop(args[0], None)
                return result

            return call

        try:
            log = SqliteLog.open(log_path, ORIGIN)
            for name in OPERATIONS:
                setattr(os, name, counted(name, getattr(os, name)))
            publish(log, directory)
            os._exit(0)
        finally:
            sys.stderr.write("the child failed\n")
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9), code
    return code == 0


def test_a_crash_after_any_file_operation_leaves_a_consistent_published_log(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 250)
    publish(log, tmp_path / "start")
    log.append(bodies(270, 250))
    log.close()
    seen = set()
    for count in range(400):
        directory = tmp_path / f"t{count}"
        shutil.copytree(tmp_path / "start", directory)
        finished = crash_after(count, tmp_path / "l.db", directory)
        seen.add(check_published(directory))
        log = SqliteLog.open(tmp_path / "l.db", ORIGIN)
        publish(log, directory)
        log.close()
        assert check_published(directory) == 520
        shutil.rmtree(directory)
        if finished:
            break
    assert finished
    assert count > 20
    assert seen == {250, 520}


def test_a_rewound_ledger_does_not_overwrite_what_was_published(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 300)
    publish(log, tmp_path / "tiles")
    before = files(tmp_path / "tiles")
    rewound = new_log(tmp_path / "old.db", SIGNER, 299)
    with pytest.raises(VerifyError, match="300 entries were published, it now has 299") as caught:
        publish(rewound, tmp_path / "tiles")
    assert caught.value.rule == "log.rewound"
    assert files(tmp_path / "tiles") == before


def test_a_forked_ledger_is_refused_and_the_first_different_entry_named(tmp_path: Path) -> None:
    publish(new_log(tmp_path / "l.db", SIGNER, 300), tmp_path / "tiles")
    before = files(tmp_path / "tiles")
    forked = new_log(tmp_path / "fork.db", SIGNER, 280)
    forked.append([b"another", *bodies(40, 281)])
    with pytest.raises(VerifyError, match="entry 280 is not the one") as caught:
        publish(forked, tmp_path / "tiles")
    assert caught.value.rule == "log.forked"
    assert files(tmp_path / "tiles") == before


def test_another_logs_directory_is_refused(tmp_path: Path) -> None:
    publish(new_log(tmp_path / "l.db", SIGNER, 3), tmp_path / "tiles")
    other = SqliteLog.create(tmp_path / "other.db", "sealwright.local/other", SIGNER)
    with pytest.raises(VerifyError) as caught:
        publish(other, tmp_path / "tiles")
    assert caught.value.rule == "log.origin"


def test_a_published_log_cannot_be_appended_to(tmp_path: Path) -> None:
    publish(new_log(tmp_path / "l.db", SIGNER, 3), tmp_path / "tiles")
    with pytest.raises(Unavailable, match="published copy"):
        TileLog(tmp_path / "tiles").append([b"x"])
    with pytest.raises(BadInput, match="no published log"):
        TileLog(tmp_path / "nothing")


@pytest.mark.parametrize("victim", ["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"])
def test_links_and_oversize_files_are_refused(tmp_path: Path, victim: str) -> None:
    publish(new_log(tmp_path / "l.db", SIGNER, 3), tmp_path / "tiles")
    target = tmp_path / "tiles" / victim
    real = target.read_bytes()

    def read_all() -> None:
        log = TileLog(tmp_path / "tiles")
        list(log.entries())
        log.hash_at(0, 2)

    (tmp_path / "elsewhere").write_bytes(real)
    target.unlink()
    target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerifyError, match="not what it must be"):
        read_all()
    target.unlink()
    os.mkfifo(target)
    with pytest.raises(VerifyError):
        read_all()
    target.unlink()
    with open(target, "wb") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(VerifyError):
        read_all()
    target.unlink()
    target.write_bytes(real)
    read_all()


def test_a_linked_folder_inside_a_published_log_is_refused(tmp_path: Path) -> None:
    publish(new_log(tmp_path / "l.db", SIGNER, 3), tmp_path / "tiles")
    (tmp_path / "tiles/tile").rename(tmp_path / "moved")
    (tmp_path / "tiles/tile").symlink_to(tmp_path / "moved")
    with pytest.raises(VerifyError):
        TileLog(tmp_path / "tiles").tile(Tile(ENTRIES, 0, 3))


def test_nothing_is_written_through_a_linked_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "0").mkdir(parents=True)
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "tile").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerifyError, match="not what it must be"):
        publish(new_log(tmp_path / "l.db", SIGNER, 3), tmp_path / "tiles")
    assert [p.name for p in (tmp_path / "elsewhere").rglob("*")] == ["0"]


def test_a_damaged_published_checkpoint_says_how_to_make_it_anew(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 3)
    publish(log, tmp_path / "tiles")
    (tmp_path / "tiles" / "checkpoint").write_bytes(b"damaged")
    with pytest.raises(VerifyError, match="damaged") as caught:
        publish(log, tmp_path / "tiles")
    assert f"remove {tmp_path / 'tiles'}" in caught.value.hint


def test_those_who_publish_at_once_leave_one_consistent_log(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER).close()

    def work(_worker: int) -> None:
        log = SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)
        for _ in range(15):
            log.append([b"same"] * 7)
            before = publish(log, tmp_path / "tiles").size
            assert TileLog(tmp_path / "tiles").size() >= before
        log.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    published = TileLog(tmp_path / "tiles")
    head = open_checkpoint(published.checkpoint(), [log_key(SIGNER)], ORIGIN).checkpoint
    assert head.size == 3 * 15 * 7
    audit(published.tile, head, "published")
