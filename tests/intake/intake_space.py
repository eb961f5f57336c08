"""A workspace with real parts: SQLite ledger, file keys, encrypted store. No command line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.core import clock
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import History
from sealwright.evidence.recorder import SigningRecorder
from sealwright.evidence.trust import TrustKey
from sealwright.intake.add import Added, AddRequest, Ports, add
from sealwright.intake.versions import Datasets
from sealwright.vault.signers import Ed25519Signer

ORIGIN = "sealwright.local/wtest"


class Space:
    """A project folder and the ports over it."""

    def __init__(self, root: Path) -> None:
        self.project = root / "project"
        self.seal = self.project / ".seal"
        self.seal.mkdir(parents=True)
        self.state = root / "state"
        self.kms, _ = FileKms.initialize(self.state, None)
        signers = {role: Ed25519Signer.generate() for role in ("workspace", "log")}
        self.signers = signers
        keys = [
            TrustKey(each.key_id, role, role, each.public_pem().decode())
            for role, each in signers.items()
        ]
        envelope = trusts.first("wtest", ORIGIN, keys, signers["workspace"])
        self.trust = trusts.load([envelope], None)
        self.log = SqliteLog.create(self.seal / "ledger.db", ORIGIN, signers["log"])
        self.store = LocalStore(self.seal / "store", self.kms)
        self.ports = Ports(
            store=self.store,
            kms=self.kms,
            recorder=SigningRecorder(self.log, signers["workspace"]),
            history=self.history,
            clock=clock.now,
            project=self.project,
            scratch=self.seal / "tmp",
            cache=self.state / "cache",
        )

    def reopen(self) -> None:
        """The ledger through a connection of its own, for a child process."""
        self.log = SqliteLog.open(self.seal / "ledger.db", ORIGIN, self.signers["log"])
        recorder = SigningRecorder(self.log, self.signers["workspace"])
        self.ports = msgspec.structs.replace(self.ports, recorder=recorder)

    def history(self) -> History:
        return History.read(self.log, self.trust)

    @property
    def datasets(self) -> Datasets:
        return Datasets(self.history(), self.store)

    def add(self, path: str | Path, name: str = "d", **more: object) -> Added:
        return add(AddRequest(str(path), name, "ann", **more), self.ports)  # type: ignore[arg-type]

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def contents(self) -> dict[str, bytes]:
        """Everything that is kept, to see that nothing changed; locks and SQLite's own aside."""
        kept = {}
        for path in sorted(self.seal.rglob("*")):
            if path.is_file() and not path.name.startswith("ledger.db") and path.suffix != ".lock":
                kept[str(path.relative_to(self.seal))] = path.read_bytes()
        kept["size"] = str(self.log.size()).encode()
        return kept
