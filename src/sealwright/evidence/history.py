"""The log, read back: every entry re-hashed, every signature checked, or an error that names one.

``History`` is the only maker of ``Recorded``: later code that holds one knows it was verified.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cached_property

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import SealError, UnknownSigner, VerifyError
from sealwright.core.ports import Entry, Log
from sealwright.core.records import Recorded, Statement
from sealwright.evidence import dsse, statement
from sealwright.evidence.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from sealwright.evidence.merkle import CompactRange, leaf_hash
from sealwright.evidence.note import ED25519, Verifier
from sealwright.evidence.tlog import MAX_ENTRY_BYTES
from sealwright.evidence.trust import Trust


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An anchor: the log's first ``size`` entries had this root, and were all verified."""

    size: int
    root: Digest


class History:
    """Every statement of a log up to a signed checkpoint, verified."""

    def __init__(self, checkpoint: bytes, head: Head, entries: tuple[Recorded, ...]) -> None:
        self.checkpoint = checkpoint
        self.head = head
        self.entries = entries

    @classmethod
    def read(cls, log: Log, trust: Trust, seen: Head | None = None) -> History:
        """Read, re-hash and verify everything the newest checkpoint covers.

        Entries below ``seen`` are re-hashed, and their signatures skipped once the root over
        them equals ``seen.root``. Raises: VerifyError (rule ``log.*``) naming the first bad
        entry, a rewound log, a changed past, entries that no checkpoint covers, or a
        checkpoint that no log key signed which was good for it.
        """
        raw, checkpoint = _newest(log, trust)
        if seen is not None and checkpoint.size < seen.size:
            raise VerifyError(
                f"the log was rewound: it had {seen.size:,} entries, it has {checkpoint.size:,}",
                where=f"entry {checkpoint.size}",
                why="a log only grows; an older copy was put back",
                hint="restore the newer log, or open a new origin with `seal restore`",
                rule="log.rewound",
            )
        entries = list(log.entries(0, checkpoint.size))
        roots = _roots(entries, checkpoint.size, seen.size if seen else 0)
        trusted = seen.size if seen and roots.at_seen.hex() == seen.root else 0
        sound = roots.whole == checkpoint.root and (seen is None or trusted == seen.size)
        recorded = tuple(
            _quick(entry) if sound and entry.index < trusted else verified_entry(entry, trust)
            for entry in entries
        )
        if roots.whole != checkpoint.root:
            raise _elsewhere(log, entries)
        if seen is not None and trusted != seen.size:
            raise VerifyError(
                "the log's past is not the one this machine saw",
                where=f"entries 0 to {seen.size - 1}",
                why=f"their root was {seen.root}, it is {roots.at_seen.hex()}",
                hint="history was rewritten by somebody who holds the log key; ask a witness",
                rule="log.past-changed",
            )
        return cls(raw, Head(checkpoint.size, checkpoint.root.hex()), recorded)

    @property
    def size(self) -> int:
        """How many entries the checkpoint covers."""
        return self.head.size

    @property
    def root(self) -> Digest:
        """The Merkle root over them, hex."""
        return self.head.root

    def about(self, digest: Digest) -> tuple[Recorded, ...]:
        """The entries with a subject of that digest, in log order."""
        return self._by_subject.get(digest, ())

    def of_type(self, *predicate_types: str) -> tuple[Recorded, ...]:
        """The entries of those predicate types, in log order."""
        if len(predicate_types) == 1:
            return self._by_type.get(predicate_types[0], ())
        wanted = frozenset(predicate_types)
        return tuple(e for e in self.entries if e.statement.predicate_type in wanted)

    @cached_property
    def _by_subject(self) -> Mapping[Digest, tuple[Recorded, ...]]:
        out: dict[Digest, dict[int, Recorded]] = {}
        for entry in self.entries:
            for subject in entry.statement.subjects:
                out.setdefault(subject.digest, {})[entry.index] = entry
        return {digest: tuple(entries.values()) for digest, entries in out.items()}

    @cached_property
    def _by_type(self) -> Mapping[str, tuple[Recorded, ...]]:
        out: dict[str, list[Recorded]] = {}
        for entry in self.entries:
            out.setdefault(entry.statement.predicate_type, []).append(entry)
        return {kind: tuple(entries) for kind, entries in out.items()}


def verified_entry(entry: Entry, trust: Trust) -> Recorded:
    """One entry whose workspace signature holds. Raises: VerifyError, rule ``log.entry-*``."""
    where = f"entry {entry.index}"
    if len(entry.body) > MAX_ENTRY_BYTES:
        raise VerifyError(f"log {where} is too long", where=where, rule="log.entry-changed")
    try:
        envelope = dsse.verify(entry.body, trust.public("workspace", entry.index))
        decoded = statement.decode(envelope.payload)
    except UnknownSigner as error:
        raise VerifyError(
            f"log {where} is signed by no workspace key that was good for it",
            where=where,
            why=error.why,
            rule="log.entry-signer",
        ) from error
    except SealError as error:
        raise VerifyError(
            f"log {where} was changed: {error.what}",
            where=where,
            why=error.why,
            hint="`seal log verify` shows every entry; restore the log from a mirror or backup",
            rule="log.entry-changed",
        ) from error
    return Recorded(entry.index, of_bytes(entry.body), envelope.key_ids[0], decoded)


def verified_checkpoint(note: bytes, trust: Trust) -> Checkpoint:
    """A checkpoint of the trusted origin, signed by the log key good for its last entry.

    Raises: VerifyError, rule ``log.checkpoint-signer`` or those of ``open_checkpoint``.
    """
    last = max(read_checkpoint(note).size - 1, 0)
    verifiers = [
        Verifier(trust.origin, ED25519, key.raw()) for key in trust.public("log", last).values()
    ]
    try:
        return open_checkpoint(note, verifiers, trust.origin).checkpoint
    except UnknownSigner as error:
        raise VerifyError(
            "the log's checkpoint is signed by no log key that was good for it",
            where="checkpoint",
            why=error.why,
            rule="log.checkpoint-signer",
        ) from error


class _Roots(msgspec.Struct, frozen=True):
    whole: bytes
    at_seen: bytes


def _newest(log: Log, trust: Trust) -> tuple[bytes, Checkpoint]:
    """The checkpoint that covers everything in the log, while others may be appending."""
    raw = log.checkpoint()
    while True:
        checkpoint = verified_checkpoint(raw, trust)
        size = log.size()
        if size <= checkpoint.size:
            break
        again = log.checkpoint()
        if again == raw:
            raise VerifyError(
                f"the log holds {size:,} entries, its checkpoint covers {checkpoint.size:,}",
                where=f"entry {checkpoint.size}",
                why="entries were added without the log's signature",
                rule="log.uncovered",
            )
        raw = again
    if size < checkpoint.size:
        raise VerifyError(
            f"the log holds {size:,} entries, its checkpoint covers {checkpoint.size:,}",
            where=f"entry {size}",
            why="entries were removed",
            rule="log.entry-missing",
        )
    return raw, checkpoint


def _roots(entries: list[Entry], size: int, seen: int) -> _Roots:
    edge = CompactRange()
    at_seen = edge.root() if seen == 0 else b""
    for index, entry in enumerate(entries):
        if entry.index != index:
            raise VerifyError(
                f"log entry {index} is missing", where=f"entry {index}", rule="log.entry-missing"
            )
        edge.push(leaf_hash(entry.body))
        if edge.size == seen:
            at_seen = edge.root()
    if edge.size != size:
        raise VerifyError(
            f"log entry {edge.size} is missing",
            where=f"entry {edge.size}",
            rule="log.entry-missing",
        )
    return _Roots(edge.root(), at_seen)


def _elsewhere(log: Log, entries: list[Entry]) -> VerifyError:
    """The root is wrong though every signature holds: entries were swapped, moved or replayed."""
    hash_at = getattr(log, "hash_at", None)
    where = "unknown entry"
    if hash_at is not None:
        for entry in entries:
            if hash_at(0, entry.index) != leaf_hash(entry.body):
                where = f"entry {entry.index}"
                break
    return VerifyError(
        "the log's entries do not have the root its checkpoint was signed over",
        where=where,
        why="every entry is signed, so entries were moved, replaced by others or left out",
        hint="`seal log verify`; restore the log from a mirror or backup",
        rule="log.root-changed",
    )


class _RawSignature(msgspec.Struct, frozen=True):
    keyid: str


class _RawEnvelope(msgspec.Struct, frozen=True):
    payload: str
    signatures: tuple[_RawSignature, ...]


_envelope_decoder = msgspec.json.Decoder(_RawEnvelope)


def _quick(entry: Entry) -> Recorded:
    """An entry that was verified before, under a root that still holds: only split it."""
    envelope = _envelope_decoder.decode(entry.body)
    decoded: Statement = statement.of_value(msgspec.json.decode(base64.b64decode(envelope.payload)))
    return Recorded(entry.index, of_bytes(entry.body), envelope.signatures[0].keyid, decoded)
