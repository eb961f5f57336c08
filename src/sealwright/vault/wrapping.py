"""Keys wrapped under keys: AES-256-GCM (SP 800-38D) with a random 96-bit nonce.

A wrapped secret is ``01 | nonce (12) | ciphertext | tag (16)``; see docs/spec/keys-v1.md.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealwright.core.errors import VerifyError

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
OVERHEAD_BYTES = len(_VERSION) + _NONCE_BYTES + _TAG_BYTES


def new_key() -> bytes:
    """32 random bytes from the system."""
    return os.urandom(KEY_BYTES)


def wrap(key: bytes, secret: bytes, context: bytes) -> bytes:
    """Encrypt ``secret``; ``context`` is authenticated and not stored."""
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, secret, context)


def unwrap(key: bytes, wrapped: bytes, context: bytes) -> bytes:
    """The inverse of :func:`wrap`. Raises: VerifyError (wrong key, context or bytes)."""
    if len(wrapped) < OVERHEAD_BYTES or wrapped[:1] != _VERSION:
        raise VerifyError(
            "a wrapped key is not in a form this version reads", rule="keys.wrap-malformed"
        )
    nonce, body = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, context)
    except InvalidTag as error:
        raise VerifyError(
            "a wrapped key does not open",
            why="it was changed, or belongs to another key or another thing",
            rule="keys.unwrap-failed",
        ) from error


def derive(secret: bytes, label: bytes) -> bytes:
    """32 bytes by HKDF-SHA256 (RFC 5869): no salt, ``label`` as info."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=label).derive(secret)
