"""One record, or one event, shown to be in the log, in one file that needs nothing else.

The file holds the record's line, its path to the root in a ``guard-batch`` statement, that
statement's entry with its proof in the log, and the trust chain. Spec: docs/spec/guard-v1.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.core.ports import Entry
from sealwright.core.predicates import GUARD_BATCH, GUARD_EVENT
from sealwright.core.records import Recorded
from sealwright.evidence import merkle
from sealwright.evidence import note as notes
from sealwright.evidence import trust as trusts
from sealwright.evidence.checkpoint import Checkpoint, read_checkpoint
from sealwright.evidence.history import verified_entry
from sealwright.evidence.merkle import HashAt
from sealwright.evidence.note import Verifier
from sealwright.evidence.proof import LogProof, prove, verify_proof
from sealwright.evidence.trust import Trust
from sealwright.serve.evidence import MOST_RECORDS, Record, record_of

FORMAT: Literal["sealwright guard-proof v1"] = "sealwright guard-proof v1"
MARK = b'{"format":"sealwright guard-proof v1"'
MOST_BYTES = 4 << 20


class GuardProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As stored; nothing in it is verified. ``record`` is empty for an event. Bytes: base64."""

    format: Literal["sealwright guard-proof v1"]
    record: str
    place: int
    path: tuple[Digest, ...]
    entry: str
    proof: str
    trust: tuple[str, ...]


class Proven(msgspec.Struct, frozen=True):
    """What was shown: the statement, the record under it where there is one, and the log's head."""

    recorded: Recorded
    record: Record | None
    head: Checkpoint
    witnesses: tuple[str, ...]
    trust: Trust


def made(
    lines: Sequence[bytes],
    place: int,
    entry: Entry,
    note: bytes,
    hash_at: HashAt,
    chain: Sequence[bytes],
) -> bytes:
    """A proof file: of line ``place`` among a batch's ``lines``; of an event where it has none."""
    path: tuple[Digest, ...] = ()
    if lines:
        leaves = [merkle.leaf_hash(line) for line in lines]

        def node(level: int, index: int) -> bytes:
            return merkle.root_of(leaves[index << level : (index + 1) << level])

        found = merkle.inclusion_proof(place, len(leaves), node)
        path = tuple(one.hex() for one in found)
    whole = GuardProof(
        FORMAT,
        _b64(lines[place]) if lines else "",
        place,
        path,
        _b64(entry.body),
        _b64(prove(entry.index, note, hash_at).encode()),
        tuple(_b64(one) for one in chain),
    )
    return msgspec.json.encode(whole) + b"\n"


def verify(data: bytes, pin: Digest | None, where: str = "the proof") -> Proven:
    """Everything in the file, against the trust root ``pin``.

    Raises: VerifyError, UnknownSigner (consistent, but ``pin`` is None or names another root).
    """
    told = _read(data, where)
    trust = trusts.load([_unb64(one, where) for one in told.trust], None)
    proof, body = LogProof.decode(_unb64(told.proof, where), where), _unb64(told.entry, where)
    last = max(read_checkpoint(proof.note).size - 1, 0)
    shown = verify_proof(
        proof, body, _keys(trust, "log", last), _keys(trust, "witness", last), where
    )
    recorded = verified_entry(Entry(shown.index, body), trust)
    record = _record(told, recorded, where)
    names = tuple(sorted({one.verifier.name for one in shown.cosignatures}))
    if pin is None:
        raise UnknownSigner(
            f"{where} is consistent, but its signer is unknown",
            why=f"it was signed under the trust root {trust.fingerprint}",
            hint=f"ask its owner for the fingerprint: seal verify {where} --trust FINGERPRINT",
        )
    trust.check_pin(pin)
    return Proven(recorded, record, shown.checkpoint, names, trust)


def _read(data: bytes, where: str) -> GuardProof:
    try:
        return msgspec.json.decode(data, type=GuardProof)
    except msgspec.DecodeError as error:
        raise _broken(where, str(error)) from error


def _keys(trust: Trust, role: str, last: int) -> list[Verifier]:
    kind = notes.COSIGNATURE_V1 if role == "witness" else notes.ED25519
    found = [key for key in trust.keys if key.role == role and key.covers(last)]
    return [
        notes.verifier(trust.origin if role == "log" else key.name, key.pem.encode(), kind)
        for key in found
    ]


def _record(told: GuardProof, recorded: Recorded, where: str) -> Record | None:
    """The record, once it is under the batch's root; None where the entry is an event."""
    statement = recorded.statement
    if statement.predicate_type == GUARD_EVENT and not told.record:
        return None
    if statement.predicate_type != GUARD_BATCH:
        raise _broken(where, f"entry {recorded.index} speaks of no record")
    predicate: Any = statement.predicate
    line, count = _unb64(told.record, where), predicate.get("count")
    if not isinstance(count, int) or not 0 < count <= MOST_RECORDS:
        raise _broken(where, "its batch does not say how many records it has")
    try:
        path = [bytes.fromhex(one) for one in told.path]
        root = bytes.fromhex(statement.subjects[0].digest)
        merkle.verify_inclusion(told.place, count, merkle.leaf_hash(line), path, root)
    except (ValueError, VerifyError, BadInput) as error:
        raise VerifyError(
            "the record is not in the batch it is said to be in",
            where=where,
            why=str(error),
            rule="guard.record-inclusion",
        ) from error
    record = record_of(line)
    if (record.model, record.model_digest, record.policy) != (
        predicate.get("model"),
        predicate.get("model_digest"),
        predicate.get("policy"),
    ):
        raise _broken(where, "record and batch speak of different models or policies")
    return record


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _broken(where, "not base64") from error


def _broken(where: str, why: str) -> VerifyError:
    return VerifyError(
        "this is no proof of a guard's record", where=where, why=why, rule="guard.proof"
    )
