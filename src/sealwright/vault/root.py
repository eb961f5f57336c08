"""The root key and the ways it is kept: a passphrase or a key file, and a recovery key.

Pure: records and bytes in, keys or an error out. ``adapters.kms_file`` does the files.
The record is described in docs/spec/keys-v1.md.
"""

from __future__ import annotations

import os
import unicodedata
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.vault import recovery, wrapping

FORMAT = 1
SALT_BYTES = 16
Custody = Literal["passphrase", "key-file"]
_MIB_KIB = 1024


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Argon2id's cost (RFC 9106 section 4). The default is its second recommended choice."""

    memory_kib: int = 64 * _MIB_KIB
    passes: int = 3
    lanes: int = 4


LEAST = Cost(memory_kib=19 * _MIB_KIB, passes=2, lanes=1)
"""What is accepted on reading, at least (OWASP's floor for Argon2id) …"""
MOST = Cost(memory_kib=1024 * _MIB_KIB, passes=16, lanes=16)
"""… and at most, so that an edited record cannot make this machine swap or hang."""


class RootRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What rests in the state directory: the root key wrapped twice, never in the clear."""

    format: int
    custody: Custody
    cost: Cost | None
    salt: bytes
    wrapped: bytes
    recovery: bytes


def recovery_copy(root: bytes, recover: str) -> bytes:
    """``root`` wrapped under a recovery key, for the two functions below."""
    return wrapping.wrap(_from_recovery(recover), root, _RECOVERY_CONTEXT)


def protect_by_passphrase(root: bytes, passphrase: str, copy: bytes, cost: Cost) -> RootRecord:
    """Wrap ``root`` under a passphrase, beside its recovery copy. Raises: BadInput (empty)."""
    if not passphrase:
        raise BadInput("an empty passphrase protects nothing", hint="set SEAL_PASSPHRASE")
    bare = RootRecord(FORMAT, "passphrase", cost, os.urandom(SALT_BYTES), b"", copy)
    return _wrapped(bare, _stretch(passphrase, bare.salt, cost), root)


def protect_by_key_file(root: bytes, key_file: bytes, copy: bytes) -> RootRecord:
    """Wrap ``root`` under the 32 bytes of a key file, beside its recovery copy."""
    bare = RootRecord(FORMAT, "key-file", None, os.urandom(SALT_BYTES), b"", copy)
    return _wrapped(bare, _from_file(key_file, bare.salt), root)


def open_by_passphrase(record: RootRecord, passphrase: str) -> bytes:
    """The root key. Raises: Refused (wrong passphrase)."""
    if record.cost is None:
        raise VerifyError("the root record has no Argon2id cost", rule="keys.record-malformed")
    key = _stretch(passphrase, record.salt, record.cost)
    try:
        return wrapping.unwrap(key, record.wrapped, _context(record))
    except VerifyError as error:
        raise Refused(
            "the passphrase is wrong, or the root record was changed",
            why="the root key does not open with it",
            hint="check SEAL_PASSPHRASE; if it is lost: seal keys recover",
            rule="keys.wrong-passphrase",
        ) from error


def open_by_key_file(record: RootRecord, key_file: bytes) -> bytes:
    """The root key. Raises: VerifyError (another key file, or a changed record)."""
    return wrapping.unwrap(_from_file(key_file, record.salt), record.wrapped, _context(record))


def open_by_recovery(record: RootRecord, recover: str) -> bytes:
    """The root key. Raises: BadInput (a typing slip), Refused (another workspace's key)."""
    try:
        return wrapping.unwrap(_from_recovery(recover), record.recovery, _RECOVERY_CONTEXT)
    except VerifyError as error:
        raise Refused(
            "that recovery key is well formed, but does not open this workspace",
            why="it was printed for another workspace, or before the last change of keys",
            rule="keys.wrong-recovery-key",
        ) from error


def check(record: RootRecord) -> RootRecord:
    """Return ``record`` if this version can read it safely. Raises: Unavailable, VerifyError."""
    if record.format > FORMAT:
        raise newer_format("the root record", record.format)
    if record.format != FORMAT or len(record.salt) != SALT_BYTES:
        raise VerifyError("the root record is malformed", rule="keys.record-malformed")
    if (record.custody == "passphrase") != (record.cost is not None):
        raise VerifyError("the root record's custody and cost differ", rule="keys.record-malformed")
    if record.cost is not None and not _bounded(record.cost):
        raise VerifyError(
            "the root record asks for an Argon2id cost outside the accepted bounds",
            why=f"{record.cost}; accepted: {LEAST} to {MOST}",
            rule="keys.cost-out-of-bounds",
        )
    return record


def newer_format(what: str, found: int, known: int = FORMAT) -> Unavailable:
    """The error for a file written by a later Sealwright."""
    return Unavailable(
        f"{what} has format {found}; this version reads {known}",
        why="it was written by a newer Sealwright",
        hint="pip install --upgrade sealwright",
    )


_RECOVERY_CONTEXT = b"sealwright root v1 recovery"


def _wrapped(bare: RootRecord, key: bytes, root: bytes) -> RootRecord:
    return msgspec.structs.replace(bare, wrapped=wrapping.wrap(key, root, _context(bare)))


def _context(record: RootRecord) -> bytes:
    """Everything else in the record, so that a damaged recovery copy shows on every opening."""
    return b"sealwright root v1 " + msgspec.json.encode(
        msgspec.structs.replace(record, wrapped=b"")
    )


def _bounded(cost: Cost) -> bool:
    return (
        LEAST.memory_kib <= cost.memory_kib <= MOST.memory_kib
        and LEAST.passes <= cost.passes <= MOST.passes
        and LEAST.lanes <= cost.lanes <= MOST.lanes
    )


def _stretch(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    kdf = Argon2id(
        salt=salt,
        length=wrapping.KEY_BYTES,
        iterations=cost.passes,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    return kdf.derive(unicodedata.normalize("NFC", passphrase).encode())


def _from_file(key_file: bytes, salt: bytes) -> bytes:
    if len(key_file) != wrapping.KEY_BYTES:
        raise VerifyError("the key file does not hold 32 bytes", rule="keys.key-file-malformed")
    return wrapping.derive(key_file, b"sealwright root v1 key-file" + salt)


def _from_recovery(text: str) -> bytes:
    return wrapping.derive(recovery.decode(text), b"sealwright root v1 recovery")
