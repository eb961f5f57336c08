"""Whatever is changed in a ledger, its tiles or its cosignatures is found and named."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from ledger_parts import NOW, ORIGIN, bodies, log_key, new_log

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.tiles_dir import TileLog, first_difference, publish
from sealwright.core.errors import SealError, UnknownSigner, VerifyError
from sealwright.evidence import note as notes
from sealwright.evidence.audit import audit
from sealwright.evidence.checkpoint import open_checkpoint
from sealwright.evidence.merkle import leaf_hash
from sealwright.vault.signers import Ed25519Signer

SIZE = 530
SIGNER = Ed25519Signer.generate()
WITNESS = Ed25519Signer.generate()
WITNESS_KEY = notes.verifier("example.org/w", WITNESS.public_pem(), notes.COSIGNATURE_V1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sound")
    log = new_log(home / "l.db", SIGNER, SIZE)
    note = log.checkpoint()
    text = notes.split_note(note)[0]
    log.cosign(note, notes.cosignature_line(text, "example.org/w", WITNESS, NOW))
    publish(log, home / "tiles")
    log.close()
    return home


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "home")
    return tmp_path / "home"


def verify_ledger(home: Path, signer: Ed25519Signer | None = SIGNER) -> None:
    log = SqliteLog.open(home / "l.db", ORIGIN, signer)
    try:
        keys = [log_key(SIGNER), WITNESS_KEY]
        opened = open_checkpoint(log.checkpoint(), keys, ORIGIN)
        if len(opened.signatures) != 2:
            raise UnknownSigner("a signature is gone")
        audit(log.tile, opened.checkpoint, "ledger")
    finally:
        log.close()


def verify_tiles(home: Path) -> None:
    tiles = TileLog(home / "tiles")
    opened = open_checkpoint(tiles.checkpoint(), [log_key(SIGNER), WITNESS_KEY], ORIGIN)
    if len(opened.signatures) != 2:
        raise UnknownSigner("a signature is gone")
    audit(tiles.tile, opened.checkpoint, "tiles")


def change(home: Path, *statements: tuple[str, tuple]) -> None:
    db = sqlite3.connect(home / "l.db", isolation_level=None)
    for sql, values in statements:
        assert db.execute(sql, values).rowcount > 0
    db.close()


def cell(home: Path, sql: str) -> bytes:
    db = sqlite3.connect(home / "l.db")
    (value,) = db.execute(sql).fetchone()
    db.close()
    return value


def flips(data: bytes) -> list[bytes]:
    """Copies with one bit changed: at both ends and at a few places between."""
    spots = sorted({0, len(data) // 3, len(data) // 2, 2 * len(data) // 3, len(data) - 1})
    return [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in spots]


def test_the_sound_log_passes(home: Path) -> None:
    verify_ledger(home)
    verify_tiles(home)


@pytest.mark.parametrize("index", [0, 255, 256, 400, SIZE - 1])
@pytest.mark.parametrize("column", ["body", "leaf"])
def test_a_changed_row_is_named(home: Path, index: int, column: str) -> None:
    good = cell(home, f"SELECT {column} FROM entries WHERE idx = {index}")
    for bad in [*flips(good), b"", good + b"x", good[:-1]]:
        change(home, (f"UPDATE entries SET {column} = ? WHERE idx = ?", (bad, index)))
        with pytest.raises(VerifyError) as caught:
            verify_ledger(home)
        assert f"entry {index}" in str(caught.value) or caught.value.rule == "log.tile", (
            caught.value
        )


@pytest.mark.parametrize("index", [3, 300])
def test_a_row_changed_together_with_its_hash_is_found_and_named_by_the_tiles(
    home: Path, index: int
) -> None:
    lie = b"a lie"
    sql = "UPDATE entries SET body = ?, leaf = ? WHERE idx = ?"
    change(home, (sql, (lie, leaf_hash(lie), index)))
    with pytest.raises(VerifyError) as caught:
        verify_ledger(home)
    assert caught.value.rule == "log.tile-changed"
    log = SqliteLog.open(home / "l.db", ORIGIN, SIGNER)
    assert first_difference(TileLog(home / "tiles"), log, SIZE) == index


def test_every_stored_node_is_checked(home: Path) -> None:
    good = cell(home, "SELECT hash FROM nodes WHERE level = 1 AND idx = 1")
    for bad in flips(good):
        change(home, ("UPDATE nodes SET hash = ? WHERE level = 1 AND idx = 1", (bad,)))
        with pytest.raises(VerifyError, match="entries 256 to 511"):
            verify_ledger(home)
    change(home, ("DELETE FROM nodes WHERE level = 1 AND idx = 1", ()))
    with pytest.raises(VerifyError, match="lacks hashes"):
        verify_ledger(home)


@pytest.mark.parametrize("column", ["note", "edge"])
def test_every_byte_of_the_head_counts(home: Path, column: str) -> None:
    good = cell(home, f"SELECT {column} FROM head")
    for bad in [*flips(good), b""]:
        change(home, (f"UPDATE head SET {column} = ?", (bad,)))
        with pytest.raises((VerifyError, UnknownSigner)):
            verify_ledger(home)
    change(home, (f"UPDATE head SET {column} = ?", (good,)))
    for size in (0, SIZE - 1, SIZE + 1, -1):
        change(home, ("UPDATE head SET size = ?", (size,)))
        with pytest.raises(VerifyError):
            verify_ledger(home)
        with pytest.raises(VerifyError):
            verify_ledger(home, None)


def test_nothing_is_appended_on_a_changed_head_even_while_the_log_is_open(home: Path) -> None:
    log = SqliteLog.open(home / "l.db", ORIGIN, SIGNER)
    log.append([b"mine"])
    edge = cell(home, "SELECT edge FROM head")
    change(home, ("UPDATE head SET edge = ?", (flips(edge)[0],)))
    with pytest.raises(VerifyError) as caught:
        log.append([b"on top of a lie"])
    assert caught.value.rule == "log.head-changed"
    change(home, ("UPDATE head SET edge = ?", (edge,)))
    assert log.append([b"again"])[0].index == SIZE + 1


def test_every_byte_of_a_cosignature_counts(home: Path) -> None:
    for column in ("line", "note"):
        good = cell(home, f"SELECT {column} FROM cosignatures")
        for bad in flips(good):
            change(home, (f"UPDATE cosignatures SET {column} = ?", (bad,)))
            log = SqliteLog.open(home / "l.db", ORIGIN)
            with pytest.raises((VerifyError, UnknownSigner)):
                note = log.witnessed()
                assert note is not None
                opened = open_checkpoint(note, [log_key(SIGNER), WITNESS_KEY], ORIGIN)
                if len(opened.signatures) != 2:
                    raise UnknownSigner("a signature is gone")
            log.close()
        change(home, (f"UPDATE cosignatures SET {column} = ?", (good,)))


def test_dropped_rows_are_named(home: Path) -> None:
    change(home, ("DELETE FROM entries WHERE idx = 41", ()))
    with pytest.raises(VerifyError, match="entry 41 is missing") as caught:
        verify_ledger(home)
    assert caught.value.rule == "log.entry-missing"


def test_rows_dropped_from_the_end_are_named(home: Path) -> None:
    change(home, (f"DELETE FROM entries WHERE idx >= {SIZE - 3}", ()))
    with pytest.raises(VerifyError, match=f"entry {SIZE - 3} is missing"):
        verify_ledger(home)


def test_a_row_added_behind_the_logs_back_is_named(home: Path) -> None:
    sql = "INSERT INTO entries VALUES (?, ?, ?)"
    change(home, (sql, (SIZE, leaf_hash(b"x"), b"x")))
    with pytest.raises(VerifyError, match=f"entry {SIZE} was added"):
        verify_ledger(home)


def test_a_duplicated_row_is_found(home: Path) -> None:
    sql = (
        "UPDATE entries SET (body, leaf) = (SELECT body, leaf FROM entries WHERE idx = 7)"
        " WHERE idx = 9"
    )
    change(home, (sql, ()))
    with pytest.raises(VerifyError, match="entries 0 to 255"):
        verify_ledger(home)


def test_reordered_rows_are_found(home: Path) -> None:
    move = "UPDATE entries SET idx = ? WHERE idx = ?"
    change(home, (move, (-1, 520)), (move, (520, 521)), (move, (521, -1)))
    with pytest.raises(VerifyError) as caught:
        verify_ledger(home)
    assert caught.value.rule == "log.root-changed"


def test_foreign_tables_and_triggers_are_refused(home: Path) -> None:
    db = sqlite3.connect(home / "l.db")
    db.execute("CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END")
    db.commit()
    db.close()
    with pytest.raises(VerifyError) as caught:
        verify_ledger(home)
    assert caught.value.rule == "log.schema"


def test_a_torn_or_overwritten_file_is_refused_in_words(home: Path) -> None:
    whole = (home / "l.db").read_bytes()
    for broken in (b"", b"not a database" * 100, whole[: len(whole) // 2], whole[:4096]):
        (home / "l.db").write_bytes(broken)
        with pytest.raises(VerifyError) as caught:
            verify_ledger(home)
        assert caught.value.rule.startswith("log.")


@pytest.mark.parametrize("page", range(0, 24, 3))
def test_damage_to_the_files_pages_is_found_or_hurts_nothing(home: Path, page: int) -> None:
    """Bytes of a page that SQLite does not use may change; then everything still verifies."""
    whole = (home / "l.db").read_bytes()
    for offset in (page * 4096 + 11, page * 4096 + 2100, page * 4096 + 4000):
        changed = bytearray(whole)
        changed[offset % len(whole)] ^= 0x55
        (home / "l.db").write_bytes(changed)
        try:
            verify_ledger(home)
        except SealError:
            continue
        log = SqliteLog.open(home / "l.db", ORIGIN)
        assert [e.body for e in log.entries()] == bodies(SIZE)
        log.close()


def test_every_published_file_counts(home: Path) -> None:
    files = [p for p in (home / "tiles").rglob("*") if p.is_file() and p.name != ".lock"]
    assert len(files) == 8
    for file in files:
        good = file.read_bytes()
        for bad in [*flips(good), b"", good + b"x", good[:-1]]:
            file.write_bytes(bad)
            with pytest.raises((VerifyError, UnknownSigner)) as caught:
                verify_tiles(home)
            assert str(caught.value)
        file.write_bytes(good)
        file.unlink()
        with pytest.raises(SealError):
            verify_tiles(home)
        file.write_bytes(good)
    verify_tiles(home)


def test_swapped_bundles_are_found(home: Path) -> None:
    one, two = home / "tiles/tile/entries/000", home / "tiles/tile/entries/001"
    a, b = one.read_bytes(), two.read_bytes()
    one.write_bytes(b)
    two.write_bytes(a)
    with pytest.raises(VerifyError, match="entry 0 was changed"):
        verify_tiles(home)
