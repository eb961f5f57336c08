"""What the guard leaves behind: a record for each request, batches of them under a Merkle root.

A record is one line of JSON in a file, written before the answer leaves; the RFC 6962 root over at
most 1,000 lines, or one second's, is a statement in the log. Inputs are there as keyed digests,
answers as digests: nothing of either can be read back. Format: docs/spec/guard-v1.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.core.predicates import GUARD_BATCH, GUARD_EVENT
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence import merkle

MOST_RECORDS = 1_000
"""In a batch."""
FORMAT = "sealwright guard-record v1"

Verdict = Literal["answered", "broken", "refused", "failed"]
_VERDICTS: tuple[Verdict, ...] = ("answered", "broken", "refused", "failed")


class Record(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One request. Empty digests: there was no input or answer. Millibits are what was charged."""

    answer: Digest
    format: str
    how: str
    id: str
    input: Digest
    mbits: int
    model: str
    model_digest: Digest
    policy: Digest
    principal: str
    profile: str
    rows: int
    rule: str
    rung: str
    time_ms: int
    verdict: Verdict


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Record)


def line_of(record: Record) -> bytes:
    """A record's bytes, without a line break: JSON, members in order."""
    return _encode(record)


def record_of(line: bytes) -> Record:
    """The inverse. Raises: VerifyError (``guard.record``)."""
    try:
        found = _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise VerifyError("not a guard's record", why=str(error), rule="guard.record") from error
    if found.format != FORMAT or line_of(found) != line:
        raise VerifyError("not a guard's record", why="of another form", rule="guard.record")
    return found


class InputKey:
    """Digests of inputs under a key: equal inputs show, to who holds it; no other can test one."""

    def __init__(self, key: bytes) -> None:
        self._start = hashlib.blake2b(key=key, digest_size=32)

    def of(self, data: bytes | memoryview) -> Digest:
        """64 hex characters."""
        state = self._start.copy()
        state.update(data)
        return state.hexdigest()


class Batch(msgspec.Struct, frozen=True):
    """Records to be put under one root. ``refusals``: of those nobody could be named for."""

    model: str
    model_digest: Digest
    policy: Digest
    file: str
    first: int
    lines: tuple[bytes, ...]
    records: tuple[Record, ...]
    refusals: Mapping[str, int]
    previous: Digest
    root: Digest
    recovered: bool = False


def root_of(lines: Sequence[bytes]) -> bytes:
    """The RFC 6962 root over records, 32 bytes."""
    return merkle.root_of(merkle.leaf_hash(line) for line in lines)


def batch_statement(batch: Batch, time: str) -> Statement:
    """``guard-batch/v1``: subject the root over the records."""
    records = batch.records
    ended = Counter(record.verdict for record in records)
    verdicts: dict[str, Json] = {word: ended[word] for word in _VERDICTS}
    refusals: dict[str, Json] = dict(sorted(batch.refusals.items()))
    predicate: dict[str, Json] = {
        "model": batch.model,
        "model_digest": batch.model_digest,
        "policy": batch.policy,
        "file": batch.file,
        "first": batch.first,
        "count": len(records),
        "principals": len({record.principal for record in records}),
        "mbits": sum(record.mbits for record in records),
        "verdicts": verdicts,
        "unnamed": refusals,
        "previous": batch.previous,
        "recovered": batch.recovered,
        "time": time,
    }
    subject = Artifact(f"guard-batch:{batch.file}:{batch.first}", batch.root)
    return Statement((subject,), GUARD_BATCH, predicate)


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that cannot wait for a batch: a denial by budget, a rung, a tripwire."""

    what: str
    model: str
    model_digest: Digest
    principal: str
    group: str
    rung: str
    rule: str
    why: str
    record: str = ""
    until_ms: int = 0


def event_statement(event: Event, time: str, actor: str) -> Statement:
    """``guard-event/v1``: subject the model that was asked."""
    told: dict[str, Json] = {
        **msgspec.to_builtins(event),
        "actor": actor,
        "time": time,
    }
    told.pop("model_digest")
    return Statement((Artifact(event.model, event.model_digest),), GUARD_EVENT, told)
