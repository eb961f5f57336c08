"""A log in memory whose every byte a test may spoil, and the keys around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sealwright.core.ports import Entry
from sealwright.core.predicates import DATASET_VERSION
from sealwright.core.records import Artifact, Json, Receipt, Statement
from sealwright.evidence import trust as trusts
from sealwright.evidence.checkpoint import Checkpoint, sign_checkpoint
from sealwright.evidence.merkle import CompactRange, leaf_hash, root_of
from sealwright.evidence.recorder import SigningRecorder
from sealwright.vault.signers import Ed25519Signer

ORIGIN = "sealwright.local/w0123456789abcdef"


class OpenLog:
    """A log without walls: ``bodies`` and ``note`` are there to be changed."""

    def __init__(self, signer: Ed25519Signer) -> None:
        self.signer = signer
        self.bodies: list[bytes] = []
        self.resign()

    def append(self, bodies: Sequence[bytes]) -> Sequence[Receipt]:
        receipts = []
        for body in bodies:
            self.bodies.append(body)
            root = root_of(map(leaf_hash, self.bodies)).hex()
            size = len(self.bodies)
            receipts.append(Receipt(size - 1, leaf_hash(body).hex(), size, root))
        self.resign()
        return receipts

    def resign(self) -> None:
        edge = CompactRange()
        for body in self.bodies:
            edge.push(leaf_hash(body))
        self.note = sign_checkpoint(Checkpoint(ORIGIN, edge.size, edge.root()), self.signer)

    def size(self) -> int:
        return len(self.bodies)

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        return iter([Entry(i, body) for i, body in enumerate(self.bodies)][start:end])

    def checkpoint(self) -> bytes:
        return self.note


class Desk:
    """A workspace key, a log key, a trust root, and a log to write in."""

    def __init__(self) -> None:
        self.workspace = Ed25519Signer.generate()
        self.log_key = Ed25519Signer.generate()
        keys = [
            trusts.key_of(self.workspace, "workspace", "workspace"),
            trusts.key_of(self.log_key, "log", ORIGIN),
        ]
        self.chain = [trusts.first("w0123456789abcdef", ORIGIN, keys, self.workspace)]
        self.log = OpenLog(self.log_key)

    @property
    def trust(self) -> trusts.Trust:
        return trusts.load(self.chain, None)

    def record(self, number: int, signer: Ed25519Signer | None = None) -> Receipt:
        return SigningRecorder(self.log, signer or self.workspace).record(statement(number))


def statement(number: int, kind: str = DATASET_VERSION, inputs: Sequence[int] = ()) -> Statement:
    used: list[Json] = [{"name": f"data:x@{n}", "digest": f"{n:064x}"} for n in inputs]
    subject = Artifact(f"data:x@{number}", f"{number:064x}")
    return Statement((subject,), kind, {"name": "x", "version": number, "inputs": used})
