"""A witness: it cosigns a log's head only if that continues the head it cosigned before.

Pure: bytes and the stored state in, an answer and the state to store out (c2sp.org/tlog-witness,
``add-checkpoint``). The caller stores the new state, atomically and durably, before it answers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.core.ports import Signer
from sealwright.evidence import checkpoint as checkpoints
from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import Checkpoint
from sealwright.evidence.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from sealwright.evidence.note import Verifier

MAX_PROOF_LINES = 63
MAX_REQUEST_BYTES = 64 + MAX_PROOF_LINES * 45 + notes.MAX_NOTE_BYTES
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"


class Request(msgspec.Struct, frozen=True):
    """``old`` size, the proof from it, and the log's signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """The body of ``POST add-checkpoint``."""
        lines = [f"old {self.old}", *(base64.b64encode(node).decode() for node in self.proof)]
        return "\n".join(lines).encode() + b"\n\n" + self.note

    @staticmethod
    def decode(body: bytes) -> Request:
        """Raises: BadInput."""
        head, blank, note = body.partition(b"\n\n")
        first, *rest = head.split(b"\n")
        if not blank or not first.startswith(b"old ") or len(rest) > MAX_PROOF_LINES:
            raise BadInput("an old size, at most 63 proof lines, a blank line and a note wanted")
        try:
            old = checkpoints.decimal(first[4:].decode("ascii", "replace"), "old size")
        except VerifyError as error:
            raise BadInput(error.what, why=error.why) from error
        return Request(old, tuple(_hash(line) for line in rest), note)


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer. ``keep`` is the note to store for ``origin`` before it is given."""

    status: int
    body: bytes = b""
    content_type: str = TEXT_TYPE
    origin: str = ""
    keep: bytes = b""


class Identity(msgspec.Struct, frozen=True):
    """The witness's own name and key."""

    name: str
    signer: Signer

    @property
    def verifier(self) -> Verifier:
        """How its cosignatures are checked."""
        return notes.verifier(self.name, self.signer.public_pem(), notes.COSIGNATURE_V1)


Logs = Mapping[str, Sequence[Verifier]]
"""Origin → the log keys the witness was told to accept for it."""


def add_checkpoint(
    body: bytes, logs: Logs, held: Callable[[str], Checkpoint | None], me: Identity, time: int
) -> Answer:
    """Answer one request. ``held(origin)`` is the last cosigned checkpoint, None at first contact.

    200 with the cosignature line; 400 malformed; 403 no good signature by a known key; 404
    unknown origin; 409 another size is held (the body says which); 422 not a continuation.
    ``time`` is POSIX seconds.
    """
    try:
        request = Request.decode(body)
        claimed = checkpoints.read_checkpoint(request.note)
    except (BadInput, VerifyError) as error:
        return _refusal(400, error.what, error.why)
    if claimed.origin not in logs:
        return _refusal(404, "unknown log origin")
    try:
        opened = checkpoints.open_checkpoint(request.note, logs[claimed.origin], claimed.origin)
    except (VerifyError, UnknownSigner) as error:
        empty_root = isinstance(error, VerifyError) and error.rule == "log.checkpoint"
        return _refusal(422 if empty_root else 403, error.what, error.why)
    return _advance(request, opened, held(claimed.origin), me, time)


def _advance(
    request: Request,
    opened: checkpoints.OpenedCheckpoint,
    held: Checkpoint | None,
    me: Identity,
    time: int,
) -> Answer:
    new = opened.checkpoint
    before = held or Checkpoint(new.origin, 0, EMPTY_ROOT)
    if request.old > new.size:
        return _refusal(400, "the old size is larger than the checkpoint's")
    if request.old != before.size:
        return Answer(409, f"{before.size}\n".encode(), SIZE_TYPE)
    try:
        _continues(before, new, request.proof)
    except VerifyError as error:
        return _refusal(422, error.what, error.why)
    text = new.encode()
    line = notes.cosignature_line(text, me.name, me.signer, time)
    signed = b"".join(s.line for s in opened.signatures)
    return Answer(200, line, TEXT_TYPE, new.origin, text + b"\n" + signed + line)


def held_checkpoint(note: bytes, logs: Sequence[Verifier], me: Verifier, where: str) -> Checkpoint:
    """The checkpoint in a stored note, if the log and the witness itself both signed it.

    Raises: VerifyError (rule ``witness.state-changed``).
    """
    try:
        opened = checkpoints.open_checkpoint(note, [*logs, me], where=where)
        signed_by = {s.verifier for s in opened.signatures}
        if me in signed_by and signed_by & set(logs):
            return opened.checkpoint
        why = "it lacks the signature of the log or of this witness"
    except (VerifyError, UnknownSigner) as error:
        why = error.why or error.what
    raise VerifyError(
        "the witness's stored checkpoint was changed",
        where=where,
        why=why,
        hint="restore the witness's home from its own backup; it answers nothing until then",
        rule="witness.state-changed",
    )


def origin_hash(origin: str) -> str:
    """What a log is called in the monitoring path and in a witness's home."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _continues(before: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    if before.size:
        verify_consistency(before.size, new.size, before.root, new.root, proof)
    elif proof:
        raise VerifyError("the empty tree needs no proof", rule="log.consistency")


def _refusal(status: int, what: str, why: str = "") -> Answer:
    return Answer(status, (f"{what}: {why}\n" if why else f"{what}\n").encode())


def _hash(line: bytes) -> bytes:
    try:
        value = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("a proof line is not base64") from error
    if len(value) != HASH_BYTES or base64.b64encode(value) != line:
        raise BadInput("a proof line is not a 32-byte hash")
    return value
