"""A small real workspace for the registry's tests: real log, store, keys, statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.core.digest import of_bytes
from sealwright.core.predicates import DATASET_VERSION, DECISION, SLSA_PROVENANCE
from sealwright.core.records import Artifact, Decision, Json, Statement
from sealwright.evidence import note as notes
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import History
from sealwright.evidence.recorder import SigningRecorder
from sealwright.registry import aliases, register
from sealwright.registry.export import Exporter
from sealwright.registry.versions import Model, Models
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGIN = "sealwright.local/w0123456789abcdef"
WITNESS = "witness.example/one"


@dataclass
class House:
    root: Path
    workspace: Ed25519Signer = field(default_factory=Ed25519Signer.generate)
    log_key: Ed25519Signer = field(default_factory=Ed25519Signer.generate)
    model_key: EcdsaP256Signer = field(default_factory=EcdsaP256Signer.generate)
    witness_key: Ed25519Signer = field(default_factory=Ed25519Signer.generate)
    ticks: int = 0

    def __post_init__(self) -> None:
        keys = [
            trusts.key_of(self.workspace, "workspace", "workspace"),
            trusts.key_of(self.log_key, "log", ORIGIN),
            trusts.key_of(self.model_key, "model", "model"),
            trusts.key_of(self.witness_key, "witness", WITNESS, note="same-host"),
        ]
        self.chain = [trusts.first("w0123456789abcdef", ORIGIN, keys, self.workspace)]
        self.kms, _ = FileKms.initialize(self.root / "state", None)
        self.store = LocalStore(self.root / "store", self.kms)
        self.log = SqliteLog.create(self.root / "ledger.db", ORIGIN, self.log_key)
        self.recorder = SigningRecorder(self.log, self.workspace)

    @property
    def trust(self) -> trusts.Trust:
        return trusts.load(self.chain, None)

    def clock(self) -> datetime:
        self.ticks += 1
        return START + timedelta(minutes=self.ticks)

    def history(self) -> History:
        return History.read(self.log, self.trust)

    def models(self) -> Models:
        return Models(self.history())

    def record(self, kind: str, predicate: dict[str, Json], *subjects: Artifact) -> int:
        return self.recorder.record(Statement(subjects, kind, predicate)).index

    def dataset(self, name: str, version: int = 1, inputs: tuple[Artifact, ...] = ()) -> Artifact:
        data = Artifact(f"data:{name}@{version}", of_bytes(f"{name}@{version}".encode()))
        listed: list[Json] = [{"name": i.name, "digest": i.digest} for i in inputs]
        told: dict[str, Json] = {"name": name, "version": version, "rows": 9, "inputs": listed}
        self.record(DATASET_VERSION, told, data)
        return data

    def decide(self, gate: str, *subjects: Artifact, allowed: bool = True) -> Decision:
        self.ticks += 1
        digest = of_bytes(f"{gate} {self.ticks}".encode())
        told: dict[str, Json] = {"id": digest, "gate": gate, "allowed": allowed}
        self.record(DECISION, told, *subjects)
        return Decision(digest, gate, allowed, ("solo.permits: it may",))

    def run(self, run: str, inputs: tuple[Artifact, ...], digest: str) -> None:
        dependencies: list[Json] = [
            {"name": i.name, "digest": {"sha256": i.digest}} for i in inputs
        ]
        told: dict[str, Json] = {
            "buildDefinition": {
                "resolvedDependencies": dependencies,
                "internalParameters": {"isolation": "namespaces", "profile": "solo"},
            },
            "runDetails": {"metadata": {"invocationId": run}},
        }
        self.record(SLSA_PROVENANCE, told, Artifact("model:fraud", digest))

    def files(self, name: str = "m", **content: bytes) -> Path:
        source = self.root / name
        for path, body in (content or {"weights": b"w" * 70_000, "config": b"{}"}).items():
            target = source / path.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
        return source

    def model(self, source: Path, *inputs: Artifact, run: str = "r1", name: str = "fraud") -> Model:
        digest, _ = register.digest_of(source)
        self.run(run, inputs, digest)
        decision = self.decide("register", Artifact(f"model:{name}", digest))
        wanted = register.Registration(
            name, source, digest, run, "train", inputs, "ana", "first model"
        )
        made = register.register(wanted, decision, self.ports())
        return next(m for m in self.models().all() if m.ref == made.ref)

    def ports(self) -> register.Ports:
        return register.Ports(
            self.history, self.store, self.model_key, self.recorder, self.clock, self.root / "tmp"
        )

    def mover(self) -> aliases.Mover:
        return aliases.Mover("ana", "it is better", self.recorder, self.clock)

    def promote(self, model: Model, alias: str = "prod") -> aliases.Move:
        decision = self.decide("promote", Artifact(model.ref, model.digest))
        return aliases.promote(self.models(), model, alias, decision, self.mover())

    def cosign(self) -> None:
        note = self.log.checkpoint()
        text, lines = notes.split_note(note)
        signed = text + b"\n" + lines[0] + b"\n"
        line = notes.cosignature_line(
            text, WITNESS, self.witness_key, int(self.clock().timestamp())
        )
        self.log.cosign(signed, line)

    def exporter(self, *, witness: bool = True) -> Exporter:
        return Exporter(
            "ana",
            self.store,
            self.log,
            self.trust,
            self.chain,
            self.recorder,
            self.clock,
            self.cosign if witness else lambda: None,
        )
