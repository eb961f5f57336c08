"""What every log must do. A new adapter joins by a line in ``ADAPTERS`` or ``READERS``."""

from __future__ import annotations

import pytest

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.tiles_dir import TileLog, publish
from sealwright.core.errors import BadInput, SealError
from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import open_checkpoint
from sealwright.evidence.merkle import leaf_hash, root_of
from sealwright.vault.signers import Ed25519Signer

ORIGIN = "sealwright.local/w0123456789abcdef"
SIGNER = Ed25519Signer.generate()
KEY = notes.verifier(ORIGIN, SIGNER.public_pem())


def sqlite(tmp_path):
    SqliteLog.create(tmp_path / "l.db", ORIGIN, SIGNER).close()
    return lambda: SqliteLog.open(tmp_path / "l.db", ORIGIN, SIGNER)


def published(tmp_path, reopen):
    publish(reopen(), tmp_path / "tiles")
    return TileLog(tmp_path / "tiles")


ADAPTERS = {"sqlite": sqlite}
READERS = {"itself": lambda tmp_path, reopen: reopen(), "tiles": published}


@pytest.fixture(params=ADAPTERS)
def reopen(request, tmp_path):
    """Opens the log anew, as another process would."""
    return ADAPTERS[request.param](tmp_path)


@pytest.fixture(params=READERS)
def read(request, tmp_path, reopen):
    """A reader of the log as it is now."""
    return lambda: READERS[request.param](tmp_path, reopen)


@pytest.mark.parametrize("count", [0, 1, 2, 256, 300])
def test_the_checkpoint_is_signed_over_exactly_the_entries(reopen, read, count):
    bodies = [b"%d" % i for i in range(count)]
    reopen().append(bodies)
    log = read()
    head = open_checkpoint(log.checkpoint(), [KEY], ORIGIN).checkpoint
    assert [e.body for e in log.entries()] == bodies
    assert (log.size(), head.size, head.root) == (count, count, root_of(map(leaf_hash, bodies)))


def test_ranges_are_half_open_and_stop_at_the_end(reopen, read):
    reopen().append([b"%d" % i for i in range(300)])
    log = read()
    assert [e.index for e in log.entries(254, 258)] == [254, 255, 256, 257]
    assert [e.index for e in log.entries(298)] == [298, 299]
    assert list(log.entries(300)) == list(log.entries(5, 5)) == []


def test_indices_are_dense_and_go_on_after_reopening(reopen):
    first = reopen().append([b"a", b"b"])
    second = reopen().append([b"c"])
    assert [r.index for r in (*first, *second)] == [0, 1, 2]
    assert [r.size for r in (*first, *second)] == [2, 2, 3]
    assert first[0].leaf == leaf_hash(b"a").hex()


def test_a_batch_with_an_entry_that_is_too_long_leaves_nothing(reopen):
    log = reopen()
    with pytest.raises(BadInput):
        log.append([b"fine", bytes(65_536)])
    assert reopen().size() == 0


def test_a_published_copy_takes_no_entries(tmp_path, reopen):
    log = published(tmp_path, reopen)
    with pytest.raises(SealError):
        log.append([b"x"])
