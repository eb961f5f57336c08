"""The ledger: durable appends per second, tiles published after every batch.

Every yardstick appends the same bodies in the same batches in the same run: raw SQLite (WAL,
FULL, one table, no tree, no signature, no tiles). Tessera's POSIX log is published at about
10,000/s; that figure is the target's source and is not measured here.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.tiles_dir import publish
from sealwright.app.bench import Row, measure
from sealwright.evidence.audit import audit
from sealwright.evidence.checkpoint import read_checkpoint
from sealwright.evidence.note import verifier
from sealwright.evidence.proof import prove, verify_proof
from sealwright.vault.signers import Ed25519Signer

SEED = 20261123
BODY_BYTES = 430
"""The size of a small signed statement."""

ORIGIN = "sealwright.local/bench"
TARGET_PER_S = 10_000
_SECONDS = 3.0
_QUICK_SECONDS = 0.5


def rows(quick: bool) -> list[Row]:
    """``quick`` appends for half a second at each batch size in place of three."""
    seconds = _QUICK_SECONDS if quick else _SECONDS
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        found = [_appends(Path(folder), batch, seconds) for batch in (1, 16, 256)]
        return [*found, *_audits(Path(folder))]


def _appends(folder: Path, batch: int, seconds: float) -> Row:
    home = folder / str(batch)
    home.mkdir()
    bodies = _bodies(batch)
    raw = _raw(home / "raw.db", bodies, seconds / 2)
    log = SqliteLog.create(home / "ledger.db", ORIGIN, Ed25519Signer.generate())
    bare = _rate(lambda: log.append(bodies), batch, seconds / 2)
    log.close()
    log = SqliteLog.create(home / "published.db", ORIGIN, Ed25519Signer.generate())

    def once() -> None:
        log.append(bodies)
        publish(log, home / "tiles")

    rate = _rate(once, batch, seconds)
    log.close()
    return measure(
        f"durable appends, batch {batch}, tiles published each batch",
        rate,
        "appends/s (wall)",
        target=TARGET_PER_S if batch == 256 else None,
        yardsticks={"raw sqlite insert": raw, "ledger without tiles": bare},
    )


def _audits(folder: Path) -> list[Row]:
    """Reading it back: the whole tree recomputed, and one proof."""
    signer = Ed25519Signer.generate()
    log = SqliteLog.create(folder / "audit.db", ORIGIN, signer)
    for _ in range(40):
        log.append(_bodies(256))
    head = read_checkpoint(log.checkpoint())
    start = time.perf_counter()
    audit(log.tile, head, "ledger")
    audited = head.size / (time.perf_counter() - start)
    key = verifier(ORIGIN, signer.public_pem())
    made = prove(7, log.checkpoint(), log.hash_at)
    body = next(iter(log.entries(7, 8))).body
    start = time.perf_counter()
    for _ in range(200):
        verify_proof(made, body, [key])
    verified_ms = (time.perf_counter() - start) / 200 * 1e3
    log.close()
    return [
        measure("audit of the whole log", audited, "entries/s (wall)"),
        measure("verify one offline proof", verified_ms, "ms", target=1.0, better="lower"),
    ]


def _raw(path: Path, bodies: list[bytes], seconds: float) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE entries (idx INTEGER PRIMARY KEY, body BLOB NOT NULL)")

        def once() -> None:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO entries (body) VALUES (?)", ((b,) for b in bodies))
            db.execute("COMMIT")

        return _rate(once, len(bodies), seconds)


def _rate(once: Callable[[], object], batch: int, seconds: float) -> float:
    once()
    start = time.perf_counter()
    done = 0
    while (spent := time.perf_counter() - start) < seconds:
        once()
        done += batch
    return done / spent


def _bodies(batch: int) -> list[bytes]:
    source = random.Random(SEED)  # noqa: S311 - noise, not a secret
    return [source.randbytes(BODY_BYTES) for _ in range(batch)]
