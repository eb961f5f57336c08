"""Who holds private signing keys: this process, or a key service that signs on its behalf.

A private key rests wrapped under the key ``keyring``. A custodian makes such keys and hands
out signers for them; a key service never unwraps under ``keyring`` for a client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from sealwright.core.ports import Kms, Signer
from sealwright.vault import signers

WRAPPING_KEY = "keyring"


class HeldSigner(Signer, Protocol):
    """A signer that says what it signs with."""

    @property
    def algorithm(self) -> signers.Algorithm:
        """``ed25519`` or ``ecdsa-p256``."""
        ...


class Made(msgspec.Struct, frozen=True):
    """A new signing key: its public PEM, and its private half wrapped."""

    public: bytes
    wrapped: bytes


@runtime_checkable
class Custodian(Protocol):
    """Makes signing keys and signs with them."""

    def make(self, role: str, algorithm: str) -> Made:
        """A new key. Raises: BadInput (algorithm), Unavailable."""
        ...

    def signer(self, role: str, algorithm: str, wrapped: bytes, public: bytes) -> HeldSigner:
        """What signs with that key. Raises: VerifyError (changed, or another role's)."""
        ...


class InProcess:
    """Unwraps the private key here: for the key service itself, and where there is none."""

    def __init__(self, kms: Kms) -> None:
        self._kms = kms

    def make(self, role: str, algorithm: str) -> Made:
        """See :class:`Custodian`."""
        self._kms.create(WRAPPING_KEY)
        signer = signers.generate(algorithm)
        context = context_of(role, algorithm)
        wrapped = self._kms.wrap(WRAPPING_KEY, signer.private_pem(), context)
        return Made(signer.public_pem(), wrapped)

    def signer(self, role: str, algorithm: str, wrapped: bytes, public: bytes) -> HeldSigner:
        """See :class:`Custodian`."""
        pem = self._kms.unwrap(WRAPPING_KEY, wrapped, context_of(role, algorithm))
        return signers.from_private_pem(algorithm, pem)


class RemoteSigner:
    """A signer whose private key is somewhere else; ``sign_there`` asks for a signature."""

    def __init__(
        self, algorithm: signers.Algorithm, public: bytes, sign_there: Callable[[bytes], bytes]
    ) -> None:
        self.algorithm = algorithm
        self._public = public
        self._key_id = signers.key_id_of(public)
        self._sign_there = sign_there

    @property
    def key_id(self) -> str:
        """SHA-256 (hex) of the public key's DER SubjectPublicKeyInfo."""
        return self._key_id

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message``. Raises: Unavailable, Refused."""
        return self._sign_there(message)

    def public_pem(self) -> bytes:
        """The public key, PEM SubjectPublicKeyInfo."""
        return self._public


def context_of(role: str, algorithm: str) -> bytes:
    """What a wrapped private key is bound to."""
    return f"sealwright signer v1 {role} {algorithm}".encode()
