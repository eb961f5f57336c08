"""A fingerprint: questions whose answers tell a model from others, and what was promised of them.

The record itself is secret and lies encrypted in the store; the log holds a salted commitment
to it. Source: docs/spec/fingerprint-v1.md.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.core.ports import Readable, Store, StoredFile
from sealwright.core.predicates import FINGERPRINT
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.evidence.history import History
from sealwright.registry.manifest import read_all, scope_of

FORMAT: Literal["sealwright fingerprint v1"] = "sealwright fingerprint v1"
MOST_BYTES = 1 << 30
SALT_BYTES = 32
KINSHIP = ("near", "between", "far")
MATCHING = ("hard", "triggers")
TESTS = (*KINSHIP, *MATCHING)
BENIGN = "benign"

_INPUT, _CODE = np.dtype("<f8"), np.dtype("<i2")


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that is not the fingerprinted one. ``relation``: ``same`` (the same rows, another
    seed) or ``half`` (a random half of them); ``digest`` is of its answers to every candidate."""

    kind: str
    relation: str
    group: str
    seed: int
    rows: int
    digest: Digest


class Questions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One set: ``inputs`` (n, width) float64, ``expected`` (n,) what the model says, ``siblings``
    (s, n) what the references it is compared with say, ``null`` (r, n) what the others say;
    ``derived`` (v, n) what the model's variants say; codes are int16, little-endian, row by row."""

    name: str
    count: int
    width: int
    inputs: bytes
    expected: bytes
    siblings: bytes
    null: bytes
    derived: bytes = b""

    def rows(self) -> npt.NDArray[np.float64]:
        """(n, width) inputs."""
        return np.frombuffer(self.inputs, _INPUT).reshape(self.count, self.width)

    def model(self) -> npt.NDArray[np.int64]:
        """(n,) the model's own answers."""
        return np.frombuffer(self.expected, _CODE).astype(np.int64)

    def answers(self, of: Literal["siblings", "null", "derived"]) -> npt.NDArray[np.int64]:
        """(r, n) the references' answers, or those of the model's variants."""
        data: bytes = getattr(self, of)
        return np.frombuffer(data, _CODE).reshape(-1, self.count).astype(np.int64)


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is kept secret until it is needed."""

    format: Literal["sealwright fingerprint v1"]
    salt: bytes
    model: Digest
    classes: tuple[str, ...]
    siblings: tuple[Reference, ...]
    null: tuple[Reference, ...]
    sets: tuple[Questions, ...]
    variants: tuple[str, ...] = ()

    def named(self, name: str) -> Questions | None:
        """The set of that name, if there was one to be had."""
        return next((one for one in self.sets if one.name == name), None)


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the log holds: counts, and a digest that nobody can guess the questions from."""

    model: str
    version: int
    commitment: Digest
    questions: dict[str, int]
    classes: int
    references: int
    null_references: int
    recipe: str
    data: tuple[dict[str, str], ...]
    details: StoredFile
    actor: str
    reason: str
    time: str


def questions(
    name: str,
    inputs: npt.NDArray[np.float64],
    expected: npt.NDArray[np.int64],
    siblings: npt.NDArray[np.int64],
    null: npt.NDArray[np.int64],
) -> Questions:
    """A set from arrays."""
    return Questions(
        name,
        len(inputs),
        inputs.shape[1],
        np.ascontiguousarray(inputs, _INPUT).tobytes(),
        expected.astype(_CODE).tobytes(),
        np.ascontiguousarray(siblings, _CODE).tobytes(),
        np.ascontiguousarray(null, _CODE).tobytes(),
    )


def commit(fingerprint: Fingerprint) -> Digest:
    """SHA-256 over the salted digests of its parts, in the order of ``parts``.

    Each part is salted by itself, so that one can be shown without the others.
    """
    state = hashlib.sha256(FORMAT.encode() + b"\n")
    for name, data in parts(fingerprint):
        state.update(part_digest(fingerprint.salt, name, data))
    return state.hexdigest()


def part_digest(salt: bytes, name: str, data: bytes) -> bytes:
    """SHA-256 of salt, the part's name, a zero byte and the part."""
    return hashlib.sha256(salt + name.encode() + b"\0" + data).digest()


def parts(fingerprint: Fingerprint) -> Iterator[tuple[str, bytes]]:
    """What is committed to, part by part."""
    yield "model", fingerprint.model.encode()
    yield "classes", msgspec.json.encode(fingerprint.classes)
    yield "siblings", msgspec.json.encode(fingerprint.siblings)
    yield "null", msgspec.json.encode(fingerprint.null)
    if fingerprint.variants:
        yield "variants", msgspec.json.encode(fingerprint.variants)
    for one in fingerprint.sets:
        yield f"{one.name}.inputs", one.inputs
        yield f"{one.name}.expected", one.expected
        yield f"{one.name}.siblings", one.siblings
        yield f"{one.name}.null", one.null
        if one.derived:
            yield f"{one.name}.derived", one.derived


def put(store: Store, name: str, fingerprint: Fingerprint) -> StoredFile:
    """Encrypt and keep it in the model's own scope."""
    return store.put(scope_of(name), io.BytesIO(msgspec.json.encode(fingerprint)))


def load(store: Store, said: Commitment, model: Digest) -> Fingerprint:
    """Read one back, held against the log.

    Raises: VerifyError (``fingerprint.changed``), Refused (shredded).
    """
    if said.details.size > MOST_BYTES:
        raise _changed(said, "it is larger than any may be")
    return decode(store.open(scope_of(said.model), said.details), said, model)


def decode(readable: Readable, said: Commitment, model: Digest) -> Fingerprint:
    """The fingerprint that ``said`` commits to. Raises: VerifyError (``fingerprint.changed``)."""
    try:
        found = msgspec.json.decode(read_all(readable), type=Fingerprint)
        for one in found.sets:
            _sound(one, len(found.classes))
            if one.derived and len(one.answers("derived")) != len(found.variants):
                raise ValueError(f"{one.name}: its variants are not those named")
    except (msgspec.DecodeError, ValueError) as error:
        raise _changed(said, str(error)) from error
    if len(found.salt) != SALT_BYTES or commit(found) != said.commitment:
        raise _changed(said, "its parts do not give the digest in the log")
    if found.model != model:
        raise _changed(said, "it is of another model")
    return found


def _sound(one: Questions, classes: int) -> None:
    """Raises: ValueError (sizes that do not fit, codes that are no class)."""
    one.rows()
    named = one.answers("siblings"), one.answers("null"), one.answers("derived")
    for codes in (one.model(), *named):
        if codes.size % one.count or ((codes < 0) | (codes >= classes)).any():
            raise ValueError(f"{one.name}: its answers do not fit its questions")
    if len(one.model()) != one.count or not np.isfinite(one.rows()).all():
        raise ValueError(f"{one.name}: its questions are not numbers, or not answered")


def statement_of(said: Commitment, model: Artifact) -> Statement:
    """The statement; :func:`commitments` reads it back."""
    predicate = cast("dict[str, Json]", msgspec.to_builtins(said))
    return Statement((model,), FINGERPRINT, predicate)


def commitments(history: History, model: Digest) -> tuple[tuple[Recorded, Commitment], ...]:
    """Every commitment about a model, oldest first. Raises: VerifyError."""
    return tuple(
        (entry, commitment_of(entry))
        for entry in history.of_type(FINGERPRINT)
        if entry.statement.subjects[0].digest == model
    )


def commitment_of(entry: Recorded) -> Commitment:
    """Raises: VerifyError, rule ``fingerprint.statement``."""
    value: Any = entry.statement.predicate
    try:
        return msgspec.convert(value, Commitment, strict=True)
    except msgspec.ValidationError as error:
        where = f"entry {entry.index}"
        raise VerifyError(
            f"log {where} cannot be read", where=where, why=str(error), rule="fingerprint.statement"
        ) from error


def _changed(said: Commitment, why: str) -> VerifyError:
    where = f"model:{said.model}@{said.version}"
    return VerifyError(
        f"the fingerprint of {where} is not the one that was committed to",
        where=where,
        why=why,
        hint=f"seal model fingerprint {where}",
        rule="fingerprint.changed",
    )
