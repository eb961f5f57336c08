"""Private keys that sign: Ed25519 (RFC 8032) and ECDSA P-256 over SHA-256 (FIPS 186-5).

Both implement ``core.ports.Signer``. Where the private PEM rests is the caller's business;
in Sealwright it is only ever stored wrapped (``adapters.keyring_file``).
"""

from __future__ import annotations

import hashlib
from typing import Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sealwright.core.errors import BadInput

Algorithm = Literal["ed25519", "ecdsa-p256"]


class Ed25519Signer:
    """Signs with Ed25519; a signature is 64 bytes."""

    algorithm: Algorithm = "ed25519"

    def __init__(self, private: ed25519.Ed25519PrivateKey) -> None:
        self._private = private
        self._key_id = _key_id(private.public_key())

    @classmethod
    def generate(cls) -> Ed25519Signer:
        """A new key from the system's random source."""
        return cls(ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def from_private_pem(cls, pem: bytes) -> Ed25519Signer:
        """Raises: BadInput (no PKCS#8 PEM, or another kind of key)."""
        private = _load(pem)
        if not isinstance(private, ed25519.Ed25519PrivateKey):
            raise BadInput("not an Ed25519 private key", why=type(private).__name__)
        return cls(private)

    @property
    def key_id(self) -> str:
        """SHA-256 (hex) of the public key's DER SubjectPublicKeyInfo."""
        return self._key_id

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over ``message``."""
        return self._private.sign(message)

    def public_pem(self) -> bytes:
        """The public key, PEM SubjectPublicKeyInfo."""
        return _public_pem(self._private.public_key())

    def private_pem(self) -> bytes:
        """The private key, PEM PKCS#8, not encrypted: wrap it before it rests anywhere."""
        return _private_pem(self._private)


class EcdsaP256Signer:
    """Signs with ECDSA on P-256 over SHA-256; a signature is ASN.1 DER."""

    algorithm: Algorithm = "ecdsa-p256"

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self._key_id = _key_id(private.public_key())

    @classmethod
    def generate(cls) -> EcdsaP256Signer:
        """A new key from the system's random source."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_private_pem(cls, pem: bytes) -> EcdsaP256Signer:
        """Raises: BadInput (no PKCS#8 PEM, or another kind of key or curve)."""
        private = _load(pem)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise BadInput("not an ECDSA private key", why=type(private).__name__)
        if not isinstance(private.curve, ec.SECP256R1):
            raise BadInput("not a P-256 private key", why=f"its curve is {private.curve.name}")
        return cls(private)

    @property
    def key_id(self) -> str:
        """SHA-256 (hex) of the public key's DER SubjectPublicKeyInfo."""
        return self._key_id

    def sign(self, message: bytes) -> bytes:
        """The ASN.1 DER signature over the SHA-256 of ``message``."""
        return self._private.sign(message, ec.ECDSA(hashes.SHA256()))

    def public_pem(self) -> bytes:
        """The public key, PEM SubjectPublicKeyInfo."""
        return _public_pem(self._private.public_key())

    def private_pem(self) -> bytes:
        """The private key, PEM PKCS#8, not encrypted: wrap it before it rests anywhere."""
        return _private_pem(self._private)


AnySigner = Ed25519Signer | EcdsaP256Signer
_PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
_PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
_KINDS: dict[str, type[Ed25519Signer] | type[EcdsaP256Signer]] = {
    "ed25519": Ed25519Signer,
    "ecdsa-p256": EcdsaP256Signer,
}


def generate(algorithm: str) -> AnySigner:
    """A new signer. Raises: BadInput (an algorithm Sealwright does not sign with)."""
    return _kind(algorithm).generate()


def from_private_pem(algorithm: str, pem: bytes) -> AnySigner:
    """A signer from its private PEM. Raises: BadInput (not that kind of key)."""
    return _kind(algorithm).from_private_pem(pem)


def key_id_of(public_pem: bytes) -> str:
    """The key id of a public PEM. Raises: BadInput (not a key we sign with)."""
    try:
        public = serialization.load_pem_public_key(public_pem)
    except ValueError as error:
        raise BadInput("not a public key in PEM") from error
    if not isinstance(public, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
        raise BadInput("not a key Sealwright signs with", why=type(public).__name__)
    return _key_id(public)


def _kind(algorithm: str) -> type[Ed25519Signer] | type[EcdsaP256Signer]:
    if algorithm not in _KINDS:
        raise BadInput(f"no signing algorithm {algorithm!r}", why=f"known: {', '.join(_KINDS)}")
    return _KINDS[algorithm]


def _load(pem: bytes) -> object:
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise BadInput("not a private key in PEM", why="PKCS#8, not encrypted, wanted") from error


def _key_id(public: _PublicKey) -> str:
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def _public_pem(public: _PublicKey) -> bytes:
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _private_pem(private: _PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
