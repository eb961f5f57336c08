"""A small real workspace for the registry's tests: real log, store, keys, statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.core.digest import of_bytes
from sealwright.core.predicates import DATASET_VERSION, INTENT, SLSA_PROVENANCE
from sealwright.core.records import Artifact, Decision, Json, Principal, Statement
from sealwright.evidence import note as notes
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import History
from sealwright.evidence.recorder import SigningRecorder
from sealwright.policy import gates, policyset
from sealwright.policy.activation import activate
from sealwright.policy.approvals import Book
from sealwright.policy.context import Context, RoomFacts
from sealwright.policy.facts import Gate
from sealwright.policy.principals import Account
from sealwright.registry import aliases, register
from sealwright.registry.export import Exporter
from sealwright.registry.versions import Model, Models
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGIN = "sealwright.local/w0123456789abcdef"
WITNESS = "witness.example/one"
ROOM = RoomFacts(
    isolation="standard", rung=3, network_none=True, plaintext_on_disk=False, missing=()
)


@dataclass
class House:
    root: Path
    workspace: Ed25519Signer = field(default_factory=Ed25519Signer.generate)
    log_key: Ed25519Signer = field(default_factory=Ed25519Signer.generate)
    model_key: EcdsaP256Signer = field(default_factory=EcdsaP256Signer.generate)
    witness_key: Ed25519Signer = field(default_factory=Ed25519Signer.generate)
    ticks: int = 0
    gated: bool = True

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
        self.last_run = ""
        self.policy = policyset.shipped("solo")
        account = Account("ana", self.workspace.key_id, 1, "host-a")
        book = Book(self.history(), self.trust)
        self.recorder.record(
            activate(self.policy, self.history(), book, account, "set up", self.clock())
        )

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
        told: dict[str, Json] = {
            "name": name,
            "version": version,
            "rows": 9,
            "inputs": listed,
            "external": False,
            "run": "",
            "stage": "",
        }
        self.record(DATASET_VERSION, told, data)
        return data

    def decide(self, gate: Gate, *subjects: Artifact, allowed: bool = True) -> Decision:
        """The real gate over the real log; ``allowed=False`` is what a denial would hand on.

        With ``gated`` off, a gate that says yes to everything: what is left must still refuse.
        """
        if not self.gated:
            return Decision(of_bytes(gate.encode()), gate, allowed, ("it may",))
        run = self.last_run if gate in ("train", "register") else ""
        context = Context(
            now=self.clock(),
            principal=Principal("ana", self.workspace.key_id, uid=1),
            profile="solo",
            trust=self.trust,
            host="host-a",
            reason="because",
            run=run,
            room=ROOM,
            key_custody="passphrase",
        )
        judged = gates.decide(gate, subjects, self.history(), context, self.policy)
        self.recorder.record(gates.statement_of(judged))
        decision = gates.enforce(judged).decision
        if not allowed:
            return msgspec.structs.replace(decision, allowed=False, reasons=("a rule said no",))
        return decision

    def run(self, run: str, inputs: tuple[Artifact, ...], digest: str) -> None:
        """What the engine leaves in the log for a successful run."""
        self.last_run = run
        subjects = inputs or (Artifact("plan", "0" * 64),)
        self.decide("train", *subjects)
        self.record(INTENT, {"run": run, "stage": "train", "actor": "ana"}, *subjects)
        dependencies: list[Json] = [
            {"name": i.name, "digest": {"sha256": i.digest}} for i in inputs
        ]
        told: dict[str, Json] = {
            "buildDefinition": {
                "externalParameters": {"stage": "train"},
                "resolvedDependencies": dependencies,
                "internalParameters": {
                    "isolation": "standard",
                    "profile": "solo",
                    "room": {"rung": 3, "network": "none", "plaintext_on_disk": False},
                },
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
