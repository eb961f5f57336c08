"""Offline proofs that an entry is in the log (c2sp.org/tlog-proof, ``.tlog-proof``).

::

    c2sp.org/tlog-proof@v1
    index 41
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=

    sealwright.local/w0123456789abcdef
    42
    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

    (a blank line, then an em dash, key name and signature for the log and each witness)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

import msgspec

from sealwright.core.errors import VerifyError
from sealwright.evidence import checkpoint as checkpoints
from sealwright.evidence.checkpoint import Checkpoint
from sealwright.evidence.merkle import HASH_BYTES, HashAt, inclusion_proof, leaf_hash
from sealwright.evidence.merkle import verify_inclusion as _verify_inclusion
from sealwright.evidence.note import COSIGNATURE_V1, NoteSignature, Verifier

HEADER = b"c2sp.org/tlog-proof@v1"
MAX_HASHES = 63
MAX_PROOF_BYTES = 1 << 21


class LogProof(msgspec.Struct, frozen=True):
    """A proof as stored: nothing in it is verified. ``extra`` is never authenticated."""

    index: int
    path: tuple[bytes, ...]
    note: bytes
    extra: bytes = b""

    def encode(self) -> bytes:
        """The file's bytes."""
        lines = [HEADER]
        if self.extra:
            lines.append(b"extra " + base64.b64encode(self.extra))
        lines.append(f"index {self.index}".encode())
        lines += [base64.b64encode(node) for node in self.path]
        return b"\n".join(lines) + b"\n\n" + self.note

    @staticmethod
    def decode(data: bytes, where: str = "proof") -> LogProof:
        """Raises: VerifyError (rule ``log.proof``)."""
        head, blank, note = data.partition(b"\n\n")
        lines = head.split(b"\n")
        if len(data) > MAX_PROOF_BYTES or not blank or lines[0] != HEADER:
            raise _malformed("the header line or the blank line is missing", where)
        extra = b""
        if len(lines) > 1 and lines[1].startswith(b"extra "):
            extra = _base64(lines.pop(1)[len(b"extra ") :], where)
        if len(lines) < 2 or not lines[1].startswith(b"index "):
            raise _malformed("there is no index line", where)
        try:
            index = checkpoints.decimal(lines[1][len(b"index ") :].decode("ascii", "replace"))
        except VerifyError as error:
            raise _malformed(error.why, where) from error
        path = tuple(_base64(line, where) for line in lines[2:])
        if len(path) > MAX_HASHES or any(len(node) != HASH_BYTES for node in path):
            raise _malformed("its path is not at most 63 hashes of 32 bytes", where)
        return LogProof(index, path, note, extra)


class ProvenEntry(msgspec.Struct, frozen=True):
    """An entry shown to be in a log: where, under which head, and who vouched for that head."""

    index: int
    body: bytes
    checkpoint: Checkpoint
    cosignatures: tuple[NoteSignature, ...]


def prove(index: int, note: bytes, hash_at: HashAt, extra: bytes = b"") -> LogProof:
    """The proof for entry ``index`` under the checkpoint ``note``. Raises: BadInput."""
    size = checkpoints.read_checkpoint(note).size
    return LogProof(index, tuple(inclusion_proof(index, size, hash_at)), note, extra)


def verify_proof(
    proof: LogProof,
    body: bytes,
    log: Iterable[Verifier],
    witnesses: Iterable[Verifier] = (),
    where: str = "proof",
) -> ProvenEntry:
    """Show that ``body`` is in the log whose keys are ``log``, offline.

    Every cosignature by one of ``witnesses`` must verify; how many are enough is the caller's
    policy. Raises: VerifyError (``log.inclusion``, ``log.signature``, …), UnknownSigner.
    """
    keys = tuple(log)
    opened = checkpoints.open_checkpoint(proof.note, [*keys, *witnesses], where=where)
    mine = [s for s in opened.signatures if s.verifier in keys]
    head = opened.checkpoint
    if not any(s.verifier.name == head.origin for s in mine):
        # a witness vouches for consistency, not for what the log is
        checkpoints.open_checkpoint(proof.note, keys, where=where)
        raise _malformed(f"no key named {head.origin} signed its checkpoint", where)
    _verify_inclusion(proof.index, head.size, leaf_hash(body), proof.path, head.root)
    others = tuple(s for s in opened.signatures if s.verifier.kind == COSIGNATURE_V1)
    return ProvenEntry(proof.index, body, head, others)


def _base64(text: bytes, where: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("a line is not base64", where) from error
    if base64.b64encode(value) != text:
        raise _malformed("a line is not canonical base64", where)
    return value


def _malformed(why: str, where: str) -> VerifyError:
    return VerifyError("this is not a log proof", where=where, why=why, rule="log.proof")
