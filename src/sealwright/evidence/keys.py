"""Public keys: Ed25519 for statements, checkpoints and people; ECDSA P-256 for models."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError

Algorithm = Literal["ed25519", "ecdsa-p256"]
_Key = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


class PublicKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A public key. ``key_id`` is the SHA-256 (hex) of its DER SubjectPublicKeyInfo."""

    key_id: Digest
    algorithm: Algorithm
    pem: bytes

    def verify(self, message: bytes, signature: bytes) -> None:
        """Ed25519 (RFC 8032), or ECDSA P-256 over SHA-256 with a DER signature.

        Raises: VerifyError, rule ``signature.wrong``.
        """
        key = _loaded(self.pem)
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, message)
            else:
                key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise VerifyError(
                "a signature does not verify",
                where=f"key {self.key_id[:16]}",
                why="the bytes or the signature were changed, or another key made it",
                rule="signature.wrong",
            ) from error

    def raw(self) -> bytes:
        """Ed25519: the 32 bytes of RFC 8032. P-256: the 65-byte uncompressed point."""
        key = _loaded(self.pem)
        if isinstance(key, ed25519.Ed25519PublicKey):
            return key.public_bytes_raw()
        return key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )


@lru_cache(maxsize=256)
def load_public(pem: bytes) -> PublicKey:
    """A PEM SubjectPublicKeyInfo, re-encoded. Raises: BadInput (not a key we accept)."""
    key = _loaded(pem)
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    again = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    algorithm: Algorithm = "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "ecdsa-p256"
    return PublicKey(hashlib.sha256(der).hexdigest(), algorithm, again)


@lru_cache(maxsize=256)
def _loaded(pem: bytes) -> _Key:
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput("not a public key", why="PEM SubjectPublicKeyInfo wanted") from error
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise BadInput("a public key of a kind we do not use", why="Ed25519 or ECDSA P-256 wanted")
