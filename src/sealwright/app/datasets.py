"""A workspace's datasets: what intake needs from it, and the proof file that leaves it."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Literal

import msgspec

from sealwright.app.wiring import Workspace, trust_chain
from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import UnknownSigner, VerifyError
from sealwright.core.ports import Entry
from sealwright.core.reading import small_file
from sealwright.core.records import Json
from sealwright.evidence import proof as proofs
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import verified_entry
from sealwright.evidence.note import ED25519, Verifier
from sealwright.evidence.proof import LogProof
from sealwright.intake import recordproof
from sealwright.intake.add import RECORD_KEY_LABEL, Ports
from sealwright.intake.prove import Proven
from sealwright.intake.recall import Memory
from sealwright.intake.recordproof import RecordProof, Reveal, VerifiedRecord
from sealwright.intake.verify import lies_unchanged
from sealwright.intake.versions import Dataset, Datasets, dataset_of, read_manifest

PROOF_FORMAT: Literal["sealwright data-proof v1"] = "sealwright data-proof v1"


class ProofFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What ``seal data prove --out`` writes. ``statement`` is the log entry that signed the
    version, ``log`` its inclusion proof (``.tlog-proof``), ``trust`` the chain of keys; all but
    ``log`` in base64. Nothing in it is secret unless ``reveal`` is there."""

    format: Literal["sealwright data-proof v1"]
    ref: str
    root: Digest
    record: RecordProof
    statement: str
    log: str
    trust: tuple[str, ...]
    reveal: Reveal | None = None


class Checked(msgspec.Struct, frozen=True):
    """A proof that holds. ``ref`` and ``fingerprint`` are empty where only a root was trusted."""

    record: VerifiedRecord
    values: dict[str, Json] | None
    ref: str
    fingerprint: str


def ports_of(workspace: Workspace) -> Ports:
    """What ``intake.add`` needs."""
    return Ports(
        store=workspace.store,
        kms=workspace.kms,
        recorder=workspace.recorder,
        history=workspace.history,
        clock=workspace.clock,
        project=workspace.root,
        scratch=workspace.seal_dir / "tmp",
        cache=workspace.state_dir / "cache",
    )


def memory_of(workspace: Workspace, dataset: Dataset) -> Memory:
    """A version's manifest and what opens its data. Raises: VerifyError, Refused (shredded)."""
    return Memory(
        read_manifest(dataset, workspace.store),
        workspace.store,
        dataset.scope,
        workspace.kms.derive(dataset.scope, RECORD_KEY_LABEL),
        workspace.seal_dir / "tmp",
    )


def refuse_edited_original(workspace: Workspace, dataset: Dataset, memory: Memory) -> None:
    """What lies in the project where the newest version of stored data was read from.

    A table written again with equal rows is no edit, and a missing file is none.
    Raises: VerifyError (``data.original-changed``) naming the file.
    """
    newest = Datasets(workspace.history(), workspace.store).latest(dataset.name)
    if dataset.external or newest is None or newest.version != dataset.version:
        return
    manifest = memory.manifest
    for file in manifest.files:
        relpath = manifest.relative(file.path)
        path = workspace.root / relpath
        if not path.is_file():
            continue
        same = path.stat().st_size == file.size and digest.of_file(path) == file.sha256
        if not same and not lies_unchanged(memory, file, workspace.root):
            raise VerifyError(
                f"{relpath} is not what {dataset.ref} signed",
                where=relpath,
                why="the file in the project was changed since; the copy in the store is whole",
                hint=f"seal data add {manifest.base} --name {dataset.name} --reason '...'"
                f" (a new version), or put the signed file back",
                rule="data.original-changed",
            )


def proof_file(workspace: Workspace, dataset: Dataset, proven: Proven) -> ProofFile:
    """A record's proof joined with the log's proof that the version was signed."""
    history = workspace.history()
    (entry,) = workspace.log.entries(dataset.index, dataset.index + 1)
    log = proofs.prove(dataset.index, history.checkpoint, workspace.log.hash_at)
    return ProofFile(
        format=PROOF_FORMAT,
        ref=dataset.ref,
        root=dataset.root,
        record=proven.proof,
        statement=base64.b64encode(entry.body).decode(),
        log=log.encode().decode(),
        trust=tuple(
            base64.b64encode(each).decode() for each in trust_chain(workspace.seal_dir / "trust")
        ),
        reveal=proven.reveal,
    )


def encode_proof(proof: ProofFile) -> bytes:
    """The file's bytes."""
    return msgspec.json.format(msgspec.json.encode(proof), indent=1) + b"\n"


def check_proof(path: Path, root: Digest | None, pin: str | None) -> Checked:
    """Check a proof file with nothing else: against a root, or a trust root's fingerprint.

    Raises: VerifyError (it does not hold), UnknownSigner (it holds, but neither ``root`` nor
    ``pin`` was given, or ``pin`` names another trust root).
    """
    try:
        file = msgspec.json.decode(small_file(path), type=ProofFile)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _malformed(path, str(error)) from error
    signed = _signed(path, file, pin)
    version = signed.root if signed else root or file.root
    if root is not None and root != version:
        raise VerifyError(
            f"{path} is about another version",
            where=str(path),
            why=f"its signed root is {version}, you named {root}",
            rule="record.inclusion",
        )
    record = recordproof.verify_record(file.record, version)
    values = None
    if file.reveal is not None:
        values = recordproof.verify_reveal(file.reveal, record).values
    if signed is None and root is None:
        raise UnknownSigner(
            f"{path} is consistent, but you named nobody who signed it",
            why=f"it says that {file.ref} has the root {file.root}",
            hint=f"seal data prove --check {path} --trust FINGERPRINT   (or --root ROOT)",
        )
    return Checked(record, values, signed.ref if signed else "", pin or "")


def _signed(path: Path, file: ProofFile, pin: str | None) -> Dataset | None:
    """The version as its statement has it, once log and keys vouch for that."""
    if pin is None:
        return None
    try:
        chain = [base64.b64decode(each, validate=True) for each in file.trust]
        body = base64.b64decode(file.statement, validate=True)
    except binascii.Error as error:
        raise _malformed(path, str(error)) from error
    trust = trusts.load(chain, pin)
    log = LogProof.decode(file.log.encode(), str(path))
    entry = verified_entry(Entry(log.index, body), trust)
    keys = [
        Verifier(trust.origin, ED25519, key.raw())
        for key in trust.public("log", log.index).values()
    ]
    proofs.verify_proof(log, body, keys, where=str(path))
    return dataset_of(entry)


def _malformed(path: Path, why: str) -> VerifyError:
    return VerifyError(
        f"{path} is not a proof file",
        where=str(path),
        why=why,
        hint="ask for it again: seal data prove REF --row N --out FILE",
        rule="record.proof-malformed",
    )
