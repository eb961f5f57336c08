"""Real logs, witnesses and published trees for the ledger's tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.witness_address import Address, parse_address
from sealwright.adapters.witness_home import WitnessHome
from sealwright.adapters.witness_server import WitnessServer
from sealwright.evidence import note as notes
from sealwright.vault.signers import Ed25519Signer

ORIGIN = "sealwright.local/w0123456789abcdef"
NOW = 1_790_000_000


def bodies(count: int, start: int = 0, tag: str = "entry") -> list[bytes]:
    return [f"{tag} {index}".encode() for index in range(start, start + count)]


def new_log(path: Path, signer: Ed25519Signer, count: int = 0, tag: str = "entry") -> SqliteLog:
    log = SqliteLog.create(path, ORIGIN, signer)
    log.append(bodies(count, tag=tag))
    return log


def log_key(signer: Ed25519Signer) -> notes.Verifier:
    return notes.verifier(ORIGIN, signer.public_pem())


@contextmanager
def served(home: WitnessHome, address: str = "127.0.0.1:0") -> Iterator[Address]:
    """A witness answering in a thread, with a clock that stands still."""
    server = WitnessServer(parse_address(address), home, lambda: NOW)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield parse_address(server.url)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
