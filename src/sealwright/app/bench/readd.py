"""Adding a dataset again after one of its 64 files changed, beside adding it the first time.

The shards are Parquet; the first add hashes, encrypts and signs all of them. Each round then
writes one shard anew. Real ledger, keys and store in a temporary folder; CPU seconds. The
process's own start is in neither figure.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.app.bench import Row, cpu_s, measure
from sealwright.core import clock
from sealwright.core.digest import of_file
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import History
from sealwright.evidence.recorder import SigningRecorder
from sealwright.evidence.trust import TrustKey
from sealwright.intake.add import Added, AddRequest, Ports, add
from sealwright.vault.signers import Ed25519Signer

SEED = 20_261_123
FILES = 64
_ORIGIN = "sealwright.local/bench"
_GRAIN_S = 0.2


def rows(quick: bool) -> list[Row]:
    """``quick`` has 40,000 rows a shard, else 100,000; medians of 3 or 5 changed shards."""
    per_file, rounds = (40_000, 3) if quick else (100_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        return _Bench(Path(folder), per_file).rows(rounds)


class _Bench:
    def __init__(self, home: Path, per_file: int) -> None:
        self.per_file = per_file
        self.random = random.Random(SEED)  # noqa: S311 - noise, not a secret
        self.ports = _ports(home)
        self.data = self.ports.project / "data"
        self.data.mkdir()
        for number in range(FILES):
            self.write(number)
        time.sleep(_GRAIN_S)  # the stat cache keeps no file that was written a moment ago

    def write(self, number: int) -> None:
        count = self.per_file
        noise = self.random.randbytes(count * 8).hex()
        table = pa.table(
            {
                "id": pa.array(range(number * count, (number + 1) * count), pa.int64()),
                "amount": [self.random.random() for _ in range(count)],
                "account": [noise[at * 16 : at * 16 + 16] for at in range(count)],
                "label": [each & 1 for each in self.random.randbytes(count)],
            }
        )
        pq.write_table(table, self.data / f"{number:02}.parquet", compression="zstd")

    def add(self) -> Added:
        return add(AddRequest(str(self.data), "bench", "bench"), self.ports)

    def rows(self, rounds: int) -> list[Row]:
        first = cpu_s(self.add, 1)
        hashing = cpu_s(lambda: [of_file(path) for path in self.data.iterdir()], 1)
        unchanged = cpu_s(self.add, rounds)
        again = [self.changed(number) for number in range(rounds)]
        share = statistics.median(again) / first
        yardsticks = {"first add, CPU s": first, "SHA-256 of all files, CPU s": hashing}
        size = f"{FILES * self.per_file:,} rows in {FILES} files"
        return [
            measure(
                f"adding again, 1 of {FILES} files changed ({size})",
                share,
                "of the first add",
                target=1 / 20,
                better="lower",
                yardsticks={**yardsticks, "CPU s": statistics.median(again)},
            ),
            measure(
                f"adding again, nothing changed ({size})",
                unchanged / first,
                "of the first add",
                yardsticks={**yardsticks, "CPU s": unchanged},
            ),
        ]

    def changed(self, number: int) -> float:
        """CPU seconds of an add after one shard was written anew."""
        self.write(number)
        time.sleep(_GRAIN_S)
        return cpu_s(self.add, 1)


def _ports(home: Path) -> Ports:
    project = home / "project"
    (project / ".seal").mkdir(parents=True)
    kms, _ = FileKms.initialize(home / "state", None)
    workspace, log_key = Ed25519Signer.generate(), Ed25519Signer.generate()
    keys = [
        TrustKey(workspace.key_id, "workspace", "bench", workspace.public_pem().decode()),
        TrustKey(log_key.key_id, "log", "bench", log_key.public_pem().decode()),
    ]
    envelope = trusts.first("bench", _ORIGIN, keys, workspace)
    trust = trusts.load([envelope], None)
    log = SqliteLog.create(project / ".seal" / "ledger.db", _ORIGIN, log_key)
    return Ports(
        store=LocalStore(project / ".seal" / "store", kms),
        kms=kms,
        recorder=SigningRecorder(log, workspace),
        history=lambda: History.read(log, trust),
        clock=clock.now,
        project=project,
        scratch=project / ".seal" / "tmp",
        cache=home / "state" / "cache",
    )
