"""A signing certificate, held against roots the reader trusts, at a time that a log vouches for.

Sources: RFC 5280; Fulcio's certificate specification (identity in the SAN, issuer in an extension).
Every certificate the reader gives is a root of its own; nothing else is believed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NoReturn

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from sealwright.core.errors import BadInput, VerifyError
from sealwright.evidence.keys import PublicKey, load_public

_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_DER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)


class Signer(msgspec.Struct, frozen=True):
    """Whose certificate it is, and the key it speaks of."""

    identity: str
    issuer: str
    key: PublicKey


def roots_of(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file. Raises: BadInput (none)."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise BadInput("not a root certificate", why="PEM CERTIFICATE wanted") from error


def _loaded(der: bytes) -> x509.Certificate:
    """A certificate. What the library only warns of, a serial number of 0 say, is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        return x509.load_der_x509_certificate(der)


def verify(
    der: bytes,
    roots: Sequence[x509.Certificate],
    at: int,
    identities: Sequence[str],
    issuers: Sequence[str],
) -> Signer:
    """The signer, if one of ``roots`` issued ``der``, it was good ``at`` (Unix seconds), and both
    identity and issuer are wanted ones.

    Raises: VerifyError (``attest.certificate``, ``attest.identity``).
    """
    try:
        leaf = _loaded(der)
        when = datetime.fromtimestamp(at, UTC)
        _issued(leaf, roots, when)
        _current(leaf, when, "the certificate")
        _for_signing(leaf)
        return Signer(_identity(leaf, identities), _issuer(leaf, issuers), _key(leaf))
    except (
        ValueError, OverflowError, OSError, UnsupportedAlgorithm, BadInput,
        x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType,
        CryptographyDeprecationWarning,
    ) as error:  # fmt: skip
        _refuse(str(error)[:160])


def _issued(leaf: x509.Certificate, roots: Sequence[x509.Certificate], when: datetime) -> None:
    for root in roots:
        try:
            leaf.verify_directly_issued_by(root)
        except (ValueError, TypeError, InvalidSignature):
            continue
        if not _is_authority(root):
            _refuse("the root that issued it may issue no certificates")
        _current(root, when, "the root")
        return
    _refuse("none of the roots you trust issued it")


def _is_authority(root: x509.Certificate) -> bool:
    try:
        basic = root.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = root.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return basic.ca and usage.key_cert_sign


def _current(certificate: x509.Certificate, when: datetime, what: str) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins <= when <= ends:
        _refuse(f"{what} was good from {begins:%Y-%m-%dT%H:%M:%SZ} to {ends:%Y-%m-%dT%H:%M:%SZ}, "
                f"and the log took it in at {when:%Y-%m-%dT%H:%M:%SZ}")  # fmt: skip


def _for_signing(leaf: x509.Certificate) -> None:
    for one in leaf.extensions:
        if one.critical and one.oid not in _UNDERSTOOD:
            _refuse(f"a critical extension nobody here understands: {one.oid.dotted_string}")
        if isinstance(one.value, x509.BasicConstraints) and one.value.ca:
            _refuse("it is an authority's, not a signer's")
        if isinstance(one.value, x509.KeyUsage) and not one.value.digital_signature:
            _refuse("it is not for signatures")
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        _refuse("it does not say that it is for signing code")
    if ExtendedKeyUsageOID.CODE_SIGNING not in uses:
        _refuse("it is not for signing code")


def _identity(leaf: x509.Certificate, wanted: Sequence[str]) -> str:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        _refuse("it names nobody")
    found = [
        *names.get_values_for_type(x509.UniformResourceIdentifier),
        *names.get_values_for_type(x509.RFC822Name),
    ]
    for name in found:
        if name in wanted:
            return name
    raise VerifyError(
        "it was signed by somebody else",
        why=f"the certificate is for {', '.join(found)[:200] or 'nobody'}",
        hint="--identity names whom you expect",
        rule="attest.identity",
    )


def _issuer(leaf: x509.Certificate, wanted: Sequence[str]) -> str:
    found = ""
    for one in leaf.extensions:
        if not isinstance(one.value, x509.UnrecognizedExtension):
            continue
        if one.oid == _ISSUER_DER:
            found = _utf8(one.value.value)
            break
        if one.oid == _ISSUER:
            found = one.value.value.decode("utf-8")
    if (found or wanted) and found not in wanted:
        raise VerifyError(
            "the identity was vouched for by somebody else",
            why=f"the certificate's issuer of identities is {found[:200] or 'not named'}",
            hint="--issuer names whom you expect",
            rule="attest.identity",
        )
    return found


def _utf8(der: bytes) -> str:
    """A DER UTF8String, short or one-byte-long form. Raises: ValueError."""
    if der[:1] != b"\x0c" or len(der) < 2:
        raise ValueError("an extension is no UTF8String")
    begin = 3 if der[1] == 0x81 else 2
    length = der[2] if der[1] == 0x81 else der[1]
    if der[1] > 0x81 or len(der) != begin + length:
        raise ValueError("an extension has a wrong length")
    return der[begin:].decode("utf-8")


def _key(leaf: x509.Certificate) -> PublicKey:
    return load_public(
        leaf.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _refuse(why: str) -> NoReturn:
    raise VerifyError("the certificate does not hold", why=why, rule="attest.certificate")
