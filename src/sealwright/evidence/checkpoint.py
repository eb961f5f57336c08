"""Checkpoints: the log's head as note text (c2sp.org/tlog-checkpoint).

::

    sealwright.local/w0123456789abcdef
    3
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

import msgspec

from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import Signer
from sealwright.evidence import note as notes
from sealwright.evidence.merkle import EMPTY_ROOT, HASH_BYTES

MAX_SIZE = (1 << 63) - 1


class Checkpoint(msgspec.Struct, frozen=True):
    """What the log signs: its origin, how many entries it has and the 32-byte root over them."""

    origin: str
    size: int
    root: bytes

    def encode(self) -> bytes:
        """The note text. Raises: BadInput."""
        if not self.origin or not 0 <= self.size <= MAX_SIZE or len(self.root) != HASH_BYTES:
            raise BadInput("a checkpoint wants an origin, a size and a 32-byte root")
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\n".encode()

    @staticmethod
    def decode(text: bytes, where: str = "checkpoint") -> Checkpoint:
        """Parse note text; extension lines are refused, because nobody signs them for us.

        Raises: VerifyError (rule ``log.checkpoint``).
        """
        try:
            origin, size, root, end = text.decode().split("\n")
        except ValueError as error:
            raise _malformed("origin, size and root, a line each, wanted", where) from error
        if end or not origin:
            raise _malformed("origin, size and root, a line each, wanted", where)
        return Checkpoint(origin, decimal(size, where), _root(root, where))


class OpenedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint whose known signatures all verified; ``note`` is the bytes it came in."""

    checkpoint: Checkpoint
    signatures: tuple[notes.NoteSignature, ...]
    note: bytes


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The signed note; the key is called as the origin."""
    return notes.sign_note(checkpoint.encode(), [(checkpoint.origin, signer)])


def open_checkpoint(
    note: bytes,
    verifiers: Iterable[notes.Verifier],
    origin: str | None = None,
    where: str = "checkpoint",
) -> OpenedCheckpoint:
    """Verify and parse a signed checkpoint, of ``origin`` when that is given.

    Raises: UnknownSigner, VerifyError (``log.note``, ``log.signature``, ``log.checkpoint``,
    ``log.origin``).
    """
    opened = notes.open_note(note, verifiers, where)
    found = Checkpoint.decode(opened.text, where)
    check_origin(found, origin, where)
    if found.size == 0 and found.root != EMPTY_ROOT:
        raise _malformed("an empty log has the root of the empty tree", where)
    return OpenedCheckpoint(found, opened.signatures, note)


def read_checkpoint(note: bytes, where: str = "checkpoint") -> Checkpoint:
    """Parse a signed checkpoint without verifying any signature. Raises: VerifyError."""
    text, _ = notes.split_note(note, where)
    return Checkpoint.decode(text, where)


def check_origin(found: Checkpoint, origin: str | None, where: str = "checkpoint") -> None:
    """Raises: VerifyError (rule ``log.origin``) when ``found`` is another log's."""
    if origin is not None and found.origin != origin:
        raise VerifyError(
            f"the checkpoint is of the log {found.origin}, not of {origin}",
            where=where,
            rule="log.origin",
        )


def decimal(text: str, where: str = "checkpoint") -> int:
    """An ASCII decimal below 2^63 without leading zeroes. Raises: VerifyError."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or str(int(text)) != text:
        raise _malformed(f"{text[:40]!r} is not a decimal number", where)
    if int(text) > MAX_SIZE:
        raise _malformed(f"{text} is too large", where)
    return int(text)


def _root(text: str, where: str) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("the root is not base64", where) from error
    if len(root) != HASH_BYTES or base64.b64encode(root).decode() != text:
        raise _malformed("the root is not 32 bytes", where)
    return root


def _malformed(why: str, where: str) -> VerifyError:
    return VerifyError("this is not a checkpoint", where=where, why=why, rule="log.checkpoint")
