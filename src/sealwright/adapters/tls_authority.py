"""A certificate authority of one's own, in a folder, and the short-lived certificates it gives.

``ca.pem``, ``ca.key`` (0600). ECDSA P-256 with SHA-256; the authority may sign leaves alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sealwright.core.errors import BadInput, Unavailable
from sealwright.vault import private

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(hours=24)
_SKEW = timedelta(minutes=5)


def ensure_authority(folder: Path, now: datetime) -> None:
    """Make the authority, if the folder has none. Raises: Unavailable."""
    private.make_dir(folder)
    if (folder / "ca.key").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("sealwright local authority")
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    private.replace(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
    private.create(folder / "ca.key", _pem(key))


def issue(
    authority: Path,
    out: Path,
    name: str,
    hosts: Sequence[str],
    now: datetime,
    life: timedelta = LEAF_LIFE,
) -> datetime:
    """Write ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``name`` into ``out``; until when.

    Raises: BadInput (no name, a life too long), Unavailable (no authority there).
    """
    if not name or len(name) > 64:
        raise BadInput("a certificate needs a name", why="1 to 64 characters")
    if life > AUTHORITY_LIFE:
        raise BadInput("a certificate cannot outlive its authority")
    issuer, ca_key, ca_pem = _authority(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(_name(name), issuer.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts or [name]]), False)
        .sign(ca_key, hashes.SHA256())
    )
    private.make_dir(out)
    private.replace(out / "ca.pem", ca_pem)
    private.replace(out / "key.pem", _pem(key))
    private.replace(out / "cert.pem", certificate.public_bytes(serialization.Encoding.PEM))
    return now + life


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, bytes]:
    try:
        pem, key_pem = private.read(folder / "ca.pem"), private.read(folder / "ca.key")
    except FileNotFoundError as error:
        raise Unavailable(f"there is no authority in {folder}", hint="seal keys certify") from error
    key = serialization.load_pem_private_key(key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadInput(f"{folder / 'ca.key'} is not one of ours", why="ECDSA P-256 wanted")
    return x509.load_pem_x509_certificate(pem), key, pem


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
