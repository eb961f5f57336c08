from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ledger_parts import ORIGIN, bodies, log_key, new_log

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.core.errors import BadInput, Unavailable, UnknownSigner, VerifyError
from sealwright.evidence.checkpoint import open_checkpoint
from sealwright.evidence.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from sealwright.evidence.tlog import ENTRIES, MAX_ENTRY_BYTES, Tile
from sealwright.vault.signers import Ed25519Signer

SIGNER = Ed25519Signer.generate()
KEY = log_key(SIGNER)
APPENDER = Path(__file__).with_name("appender.py")


def head_of(log: SqliteLog):
    return open_checkpoint(log.checkpoint(), [KEY], ORIGIN).checkpoint


def test_a_new_log_is_empty_and_signed(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER)
    assert (head_of(log).size, head_of(log).root) == (0, EMPTY_ROOT)
    assert list(log.entries()) == []
    assert log.append([]) == ()


def test_a_receipt_says_where_the_entry_landed_and_what_covers_it(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 5)
    receipts = log.append([b"a", b"b"])
    assert [(r.index, r.leaf, r.size) for r in receipts] == [
        (5, leaf_hash(b"a").hex(), 7),
        (6, leaf_hash(b"b").hex(), 7),
    ]
    assert receipts[0].root == receipts[1].root == head_of(log).root.hex()


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 700])
def test_head_proofs_and_rows_agree_at_any_size(tmp_path: Path, count: int) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, count)
    leaves = [leaf_hash(entry.body) for entry in log.entries()]
    head = head_of(log)
    assert (head.size, head.root) == (count, root_of(leaves))
    for index in {0, count // 2, count - 1}:
        proof = inclusion_proof(index, count, log.hash_at)
        verify_inclusion(index, count, leaves[index], proof, head.root)
        proof = consistency_proof(index + 1, count, log.hash_at)
        verify_consistency(index + 1, count, root_of(leaves[: index + 1]), head.root, proof)


def test_node_hashes_do_not_depend_on_the_batches(tmp_path: Path) -> None:
    whole = new_log(tmp_path / "a.db", SIGNER, 1100)
    pieces = new_log(tmp_path / "b.db", SIGNER)
    at = 0
    for size in (1, 254, 1, 1, 300, 211, 332):
        pieces.append(bodies(size, at))
        at += size
    assert at == 1100
    assert head_of(whole) == head_of(pieces)
    assert whole.tile(Tile(1, 0, 4)) == pieces.tile(Tile(1, 0, 4))


def test_entries_come_in_order_and_in_ranges(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 40)
    assert [e.body for e in log.entries(10, 13)] == bodies(3, 10)
    assert [e.index for e in log.entries(38)] == [38, 39]
    assert list(log.entries(40, 50)) == []
    assert [e.index for e in log.entries(39, 1000)] == [39]


def test_a_longest_entry_fits_and_a_longer_one_takes_its_batch_with_it(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER)
    log.append([bytes(MAX_ENTRY_BYTES)])
    with pytest.raises(BadInput, match="65536"):
        log.append([b"fine", bytes(MAX_ENTRY_BYTES + 1)])
    assert log.size() == 1
    assert log.append([b""])[0].index == 1


def test_reopened_it_goes_on_where_it_was(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER, 300).close()
    log = SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)
    log.append([b"next"])
    assert head_of(log).root == root_of(leaf_hash(b) for b in [*bodies(300), b"next"])


def test_without_the_key_it_can_be_read_and_not_written(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER, 3).close()
    log = SqliteLog.open(tmp_path / "l.db", ORIGIN)
    assert log.size() == 3
    with pytest.raises(BadInput, match="only be read"):
        log.append([b"x"])


def test_another_key_does_not_continue_the_log(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER, 3).close()
    stranger = Ed25519Signer.generate()
    with pytest.raises(UnknownSigner):
        SqliteLog.open(tmp_path / "l.db", ORIGIN, stranger)


def test_a_rotated_key_continues_what_the_former_one_signed(tmp_path: Path) -> None:
    from sealwright.evidence.keys import load_public

    new_log(tmp_path / "l.db", SIGNER, 3).close()
    fresh = Ed25519Signer.generate()
    former = [load_public(SIGNER.public_pem())]
    log = SqliteLog.open(tmp_path / "l.db", ORIGIN, fresh, former=former)
    log.append([b"after rotation"])
    assert open_checkpoint(log.checkpoint(), [log_key(fresh)], ORIGIN).checkpoint.size == 4


def test_a_log_is_not_created_over_another(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER, 3).close()
    with pytest.raises(BadInput, match="already"):
        SqliteLog.create(tmp_path / "l.db", ORIGIN, SIGNER)
    assert SqliteLog.open(tmp_path / "l.db", ORIGIN).size() == 3
    assert [p.name for p in tmp_path.iterdir() if ".new-" in p.name] == []


def test_a_missing_log_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        SqliteLog.open(tmp_path / "l.db", ORIGIN)
    assert caught.value.hint == "seal init"


def test_another_origin_is_refused(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER, 1).close()
    with pytest.raises(VerifyError) as caught:
        SqliteLog.open(tmp_path / "l.db", "sealwright.local/other", SIGNER)
    assert caught.value.rule == "log.origin"


def test_a_newer_format_is_refused_with_a_way_on(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER, 1).close()
    with sqlite3.connect(tmp_path / "l.db") as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(Unavailable, match="newer Sealwright") as caught:
        SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)
    assert "upgrade" in caught.value.hint


def test_a_locked_ledger_says_so_and_nothing_is_written(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 1)
    log.close()
    log = SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER, busy_s=0.05)
    other = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked by another process"):
        log.append([b"x"])
    assert log.size() == 1
    other.execute("ROLLBACK")
    other.close()
    assert log.append([b"x"])[0].index == 1


def test_a_full_disk_says_so_and_loses_nothing(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 10)
    (pages,) = log._db.execute("PRAGMA page_count").fetchone()
    log._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="disk is full"):
        log.append([os.urandom(60_000) for _ in range(20)])
    assert [e.body for e in log.entries()] == bodies(10)
    log._db.execute("PRAGMA max_page_count = 1000000")
    assert log.append([b"room again"])[0].index == 10
    assert head_of(log).root == root_of(leaf_hash(e.body) for e in log.entries())


def test_a_file_that_cannot_grow_says_so_and_loses_nothing(tmp_path: Path) -> None:
    """A real write error (EFBIG) in the middle of a transaction, in a process of its own."""
    new_log(tmp_path / "l.db", SIGNER, 10).close()
    code = subprocess.run(
        [sys.executable, str(APPENDER), str(tmp_path), "limited"],
        input=SIGNER.private_pem(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert code.stdout.startswith(b"Unavailable: the ledger could not be written"), code.stderr
    log = SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)
    assert [e.body for e in log.entries()] == bodies(log.size())
    assert log.size() == 10


def test_threads_that_meet_share_a_commit_and_every_entry_gets_one_index(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER)
    gate = threading.Barrier(8)

    def work(worker: int) -> list[tuple[int, bytes]]:
        gate.wait()
        mine = []
        for at in range(12):
            body = b"%d/%d" % (worker, at)
            mine.append((log.append([body])[0].index, body))
        return mine

    with ThreadPoolExecutor(8) as pool:
        acknowledged = [pair for mine in pool.map(work, range(8)) for pair in mine]
    stored = {entry.index: entry.body for entry in log.entries()}
    assert dict(acknowledged) == stored
    assert sorted(stored) == list(range(96))
    assert head_of(log).root == root_of(leaf_hash(stored[i]) for i in range(96))


def test_appends_that_wait_for_the_same_lock_become_one_commit(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER)
    with ThreadPoolExecutor(5) as pool:
        with log._lock:
            waiting = [pool.submit(log.append, [b"%d" % n] * 3) for n in range(5)]
            while len(log._queue) < 5:
                pass
        receipts = [receipt for done in waiting for receipt in done.result(20)]
    assert {(r.size, r.root) for r in receipts} == {(15, head_of(log).root.hex())}
    assert sorted(r.index for r in receipts) == list(range(15))


def test_processes_append_at_once_and_no_acknowledged_entry_is_lost(tmp_path: Path) -> None:
    new_log(tmp_path / "l.db", SIGNER).close()
    children = [
        subprocess.Popen(
            [sys.executable, str(APPENDER), str(tmp_path), "count", str(worker), "40"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for worker in range(3)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(SIGNER.private_pem())
        child.stdin.close()
    acknowledged: dict[int, bytes] = {}
    for child in children:
        assert child.stdout is not None
        for line in child.stdout:
            index, body = line.split(b" ", 1)
            assert int(index) not in acknowledged
            acknowledged[int(index)] = body.strip()
        child.stdout.close()
        assert child.wait(60) == 0
    log = SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)
    assert {e.index: e.body for e in log.entries()} == acknowledged
    assert head_of(log).size == 120


def test_an_opened_log_sees_what_other_processes_appended(tmp_path: Path) -> None:
    one = new_log(tmp_path / "l.db", SIGNER, 2)
    two = SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)
    assert two.append([b"by two"])[0].index == 2
    assert one.size() == 3
    assert one.append([b"by one"])[0].index == 3
    assert [e.body for e in two.entries(2)] == [b"by two", b"by one"]


def test_an_entry_bundle_holds_the_rows(tmp_path: Path) -> None:
    log = new_log(tmp_path / "l.db", SIGNER, 2)
    assert log.tile(Tile(ENTRIES, 0, 2)) == b"\x00\x07entry 0\x00\x07entry 1"
