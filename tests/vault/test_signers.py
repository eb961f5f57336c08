"""Signers: what they sign verifies elsewhere, and private keys load only as what they are."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealwright.core.errors import BadInput, VerifyError
from sealwright.evidence.keys import load_public
from sealwright.vault import signers
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

KINDS = [Ed25519Signer, EcdsaP256Signer]


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_verifies_with_the_public_key_and_nothing_else(kind):
    signer, other = kind.generate(), kind.generate()
    signature = signer.sign(b"message")
    load_public(signer.public_pem()).verify(b"message", signature)
    with pytest.raises(VerifyError):
        load_public(signer.public_pem()).verify(b"another", signature)
    with pytest.raises(VerifyError):
        load_public(other.public_pem()).verify(b"message", signature)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_survives_its_pem(kind):
    signer = kind.generate()
    again = signers.from_private_pem(signer.algorithm, signer.private_pem())
    assert again.key_id == signer.key_id
    load_public(signer.public_pem()).verify(b"m", again.sign(b"m"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_id_is_the_digest_of_the_public_der(kind):
    signer = kind.generate()
    der = serialization.load_pem_public_key(signer.public_pem()).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert signer.key_id == hashlib.sha256(der).hexdigest()
    assert signer.key_id == load_public(signer.public_pem()).key_id


def test_ed25519_signatures_are_64_bytes_and_ecdsa_ones_are_der():
    assert len(Ed25519Signer.generate().sign(b"m")) == 64
    signer = EcdsaP256Signer.generate()
    public = serialization.load_pem_public_key(signer.public_pem())
    public.verify(signer.sign(b"m"), b"m", ec.ECDSA(hashes.SHA256()))


def test_a_key_of_another_kind_is_refused():
    with pytest.raises(BadInput):
        Ed25519Signer.from_private_pem(EcdsaP256Signer.generate().private_pem())
    with pytest.raises(BadInput):
        EcdsaP256Signer.from_private_pem(Ed25519Signer.generate().private_pem())


def test_another_curve_is_refused_by_name():
    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(BadInput) as caught:
        EcdsaP256Signer.from_private_pem(pem)
    assert "secp384r1" in caught.value.why


def test_what_is_no_key_is_refused():
    with pytest.raises(BadInput):
        Ed25519Signer.from_private_pem(b"-----BEGIN PRIVATE KEY-----\nAAAA\n")
    with pytest.raises(BadInput):
        signers.generate("rsa")
