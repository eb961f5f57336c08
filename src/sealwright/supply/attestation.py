"""Attestations of others, verified offline against keys, roots and logs the reader names.

Understood: DSSE envelopes, Sigstore bundles v0.3 (both contents), PEP 740 attestations and
provenance objects. Each must hold and be about the artifact; none is skipped.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from cryptography import x509

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.evidence import dsse
from sealwright.evidence.keys import PublicKey
from sealwright.supply import attestcert, attestlog
from sealwright.supply.attestjson import malformed, member, parsed, rows, text, unbase64

MOST_BYTES = 16 << 20
"""An attestation larger than this is not read."""
BUNDLES = frozenset(
    {
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
    }
)
STATEMENTS = frozenset({"https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"})
_WHAT = "the attestation"

Form = Literal["dsse", "bundle", "pep740"]


class Subject(msgspec.Struct, frozen=True):
    """The artifact. ``read`` gives its bytes, which a signature over no statement needs."""

    name: str
    sha256: Digest
    read: Callable[[], bytes] | None = None


class Trusted(msgspec.Struct, frozen=True):
    """Whom the reader believes: keys, or identities under roots; logs; builders."""

    keys: tuple[PublicKey, ...] = ()
    roots: tuple[x509.Certificate, ...] = ()
    identities: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    logs: tuple[PublicKey, ...] = ()
    builders: tuple[str, ...] = ()


class Signed(msgspec.Struct, frozen=True):
    """One signed thing, taken out of its form; nothing about it is verified."""

    form: Form
    payload: bytes | None
    signatures: tuple[tuple[str, bytes], ...]
    certificate: bytes | None = None
    entries: tuple[Mapping[str, Any], ...] = ()
    digest: Digest = ""


class Attested(msgspec.Struct, frozen=True):
    """What held. ``time`` is the log's, in Unix seconds; 0 where no log vouches."""

    form: Form
    predicate_type: str
    predicate: Mapping[str, Any]
    signers: tuple[str, ...]
    issuer: str
    builder: str
    time: int


def verify(data: bytes, subject: Subject, trusted: Trusted) -> tuple[Attested, ...]:
    """Everything that ``data`` attests of ``subject``; all of it holds.

    Raises: UnknownSigner (no key you trust), VerifyError (``attest.*``), BadInput (nobody trusted).
    """
    if not trusted.keys and not (trusted.roots and trusted.identities):
        raise BadInput("nobody is trusted", hint="--key PEM, or --root PEM --identity ID")
    return tuple(_verified(one, subject, trusted) for one in parse(data))


def parse(data: bytes) -> tuple[Signed, ...]:
    """The signed things of a file. Raises: VerifyError (``attest.malformed``)."""
    if len(data) > MOST_BYTES:
        malformed(_WHAT, f"it is larger than {MOST_BYTES >> 20} MiB")
    document = parsed(data, _WHAT)
    if "mediaType" in document:
        return (_bundle(document),)
    if "payloadType" in document:
        return (_envelope(document, "dsse"),)
    if "attestation_bundles" in document:
        found = [
            _pep740(one)
            for bundle in rows(document, "attestation_bundles", _WHAT)
            for one in rows(bundle, "attestations", _WHAT)
        ]
        if not found:
            malformed(_WHAT, "there is none in it")
        return tuple(found)
    if "verification_material" in document:
        return (_pep740(document),)
    malformed(_WHAT, "neither a DSSE envelope, a Sigstore bundle nor a PEP 740 attestation")


def _envelope(document: Mapping[str, Any], form: Form, **more: Any) -> Signed:
    if text(document, "payloadType", _WHAT) != dsse.PAYLOAD_TYPE:
        malformed(_WHAT, f"payloadType is not {dsse.PAYLOAD_TYPE}")
    signatures = tuple(
        (str(row.get("keyid") or ""), unbase64(row, "sig", _WHAT))
        for row in rows(document, "signatures", _WHAT)
    )
    if not signatures:
        malformed(_WHAT, "it has no signature")
    return Signed(form, unbase64(document, "payload", _WHAT), signatures, **more)


def _bundle(document: Mapping[str, Any]) -> Signed:
    kind = document["mediaType"]
    if kind not in BUNDLES:
        malformed(_WHAT, f"mediaType is {str(kind)[:80]}, a Sigstore bundle v0.3 is understood")
    material = member(document, "verificationMaterial", _WHAT)
    certificate = None
    if "certificate" in material:
        certificate = unbase64(member(material, "certificate", _WHAT), "rawBytes", _WHAT)
    elif "publicKey" not in material:
        malformed(_WHAT, "it has neither a certificate nor a public key")
    entries = tuple(rows(material, "tlogEntries", _WHAT))
    if ("dsseEnvelope" in document) == ("messageSignature" in document):
        malformed(_WHAT, "one of dsseEnvelope and messageSignature is wanted")
    if "dsseEnvelope" in document:
        inner = member(document, "dsseEnvelope", _WHAT)
        signed = _envelope(inner, "bundle", certificate=certificate, entries=entries)
        if len(signed.signatures) != 1:
            malformed(_WHAT, "a bundle has exactly one signature")
        return signed
    message = member(document, "messageSignature", _WHAT)
    digest = member(message, "messageDigest", _WHAT)
    if digest.get("algorithm") != "SHA2_256":
        malformed(_WHAT, "the digest is no SHA2_256")
    return Signed(
        "bundle",
        None,
        (("", unbase64(message, "signature", _WHAT)),),
        certificate,
        entries,
        unbase64(digest, "digest", _WHAT).hex(),
    )


def _pep740(document: Mapping[str, Any]) -> Signed:
    if document.get("version") != 1:
        malformed(_WHAT, "a PEP 740 attestation has version 1")
    material = member(document, "verification_material", _WHAT)
    envelope = member(document, "envelope", _WHAT)
    return Signed(
        "pep740",
        unbase64(envelope, "statement", _WHAT),
        (("", unbase64(envelope, "signature", _WHAT)),),
        unbase64(material, "certificate", _WHAT),
        tuple(rows(material, "transparency_entries", _WHAT)),
    )


def _verified(one: Signed, subject: Subject, trusted: Trusted) -> Attested:
    if one.payload is None:
        _about(one.digest == subject.sha256, one.digest)
        if subject.read is None:
            raise BadInput(
                "the signature is over the file itself", hint="give the file as --artifact"
            )
        message = subject.read()
        _about(of_bytes(message) == subject.sha256, of_bytes(message))
    else:
        message = dsse.pae(dsse.PAYLOAD_TYPE, one.payload)
    if one.certificate is not None:
        signer, time = _by_certificate(one, message, trusted)
        signers: tuple[str, ...] = (signer.identity,)
        issuer = signer.issuer
    else:
        keys = _by_keys(one, message, trusted)
        signers, issuer = tuple(key.key_id for key in keys), ""
        # where a log is trusted, a plain key's signature has to be in it, too
        time = _time(one, keys[0].pem, trusted) if trusted.logs else 0
    if one.payload is None:
        _built("", trusted)
        return Attested(one.form, "", {}, signers, issuer, "", time)
    kind, predicate = _statement(one, subject)
    builder = _builder(predicate)
    _built(builder, trusted)
    return Attested(one.form, kind, predicate, signers, issuer, builder, time)


def _by_keys(one: Signed, message: bytes, trusted: Trusted) -> tuple[PublicKey, ...]:
    """The keys that signed. One that a trusted key is said to have made must hold.

    A signature without a name that no trusted key made is not passed over either.
    """
    named = {name: key for key in trusted.keys for name in (key.key_id, of_bytes(key.pem))}
    held: list[PublicKey] = []
    unknown: list[str] = []
    for name, signature in one.signatures:
        key = named.get(name)
        by = [k for k in ((key,) if key else trusted.keys) if _holds(k, message, signature)]
        if by:
            held.append(by[0])
        elif key is not None or (not name and len(one.signatures) > 1):
            raise VerifyError(
                "a signature does not verify",
                where=f"key {name[:16]}" if name else "",
                why="the content or the signature was changed after signing",
                rule="attest.signature",
            )
        else:
            unknown.append(name)
    if not held:
        raise UnknownSigner(
            "signed by no key you trust, or changed after signing",
            why="key ids: " + ", ".join(name[:16] or "none named" for name in unknown),
            hint="--key gives the public key of whom you trust",
        )
    return tuple(dict.fromkeys(held))


def _by_certificate(one: Signed, message: bytes, trusted: Trusted) -> tuple[attestcert.Signer, int]:
    if one.certificate is None or not trusted.roots:
        raise UnknownSigner(
            "it was signed with a certificate, and no root is trusted",
            hint="--root PEM --identity ID --issuer URL --log-key PEM",
        )
    time = _time(one, one.certificate, trusted)
    signer = attestcert.verify(
        one.certificate, trusted.roots, time, trusted.identities, trusted.issuers
    )
    if not _holds(signer.key, message, one.signatures[0][1]):
        raise VerifyError(
            "a signature does not verify",
            where=signer.identity,
            why="the content or the signature was changed after signing",
            rule="attest.signature",
        )
    return signer, time


def _time(one: Signed, verifier: bytes, trusted: Trusted) -> int:
    """When a trusted log took it in; of several entries, all must hold."""
    if not trusted.logs or not one.entries:
        missing = "it carries no log entry" if trusted.logs else "no log is trusted"
        short = "a certificate lives for minutes, and " if one.certificate is not None else ""
        raise VerifyError(
            "nobody vouches for when it was signed",
            why=f"{short}{missing}",
            hint="--log-key gives the public key of the log you trust",
            rule="attest.log",
        )
    content = ("hashedrekord", one.digest) if one.payload is None else (
        "dsse", of_bytes(one.payload)
    )  # fmt: skip
    signature = one.signatures[0][1]
    return min(
        attestlog.verify(entry, trusted.logs, signature, verifier, content) for entry in one.entries
    )


def _statement(one: Signed, subject: Subject) -> tuple[str, Mapping[str, Any]]:
    statement = parsed(one.payload or b"", "the statement")
    if statement.get("_type") not in STATEMENTS:
        malformed("the statement", "it is no in-toto statement")
    subjects = rows(statement, "subject", "the statement")
    found = [row for row in subjects if _sha256(row) == subject.sha256]
    names = ", ".join(f"{str(row.get('name'))[:60]} {_sha256(row)[:16]}" for row in subjects[:3])
    _about(bool(found), names)
    if one.form == "pep740" and subject.name not in [row.get("name") for row in found]:
        _about(False, names)
    predicate = statement.get("predicate") or {}
    if not isinstance(predicate, dict):
        malformed("the statement", "its predicate is no object")
    return text(statement, "predicateType", "the statement"), predicate


def _sha256(row: Mapping[str, Any]) -> str:
    digest = row.get("digest")
    return str(digest.get("sha256", "")) if isinstance(digest, dict) else ""


def _about(same: bool, names: str) -> None:
    if not same:
        raise VerifyError(
            "it is about another artifact",
            why=f"it names {names or 'nothing'}",
            hint="--artifact names what it shall be about",
            rule="attest.subject",
        )


def _builder(predicate: Mapping[str, Any]) -> str:
    details = predicate.get("runDetails")
    holder = details if isinstance(details, dict) else predicate
    builder = holder.get("builder")
    return str(builder.get("id", "")) if isinstance(builder, dict) else ""


def _built(builder: str, trusted: Trusted) -> None:
    if trusted.builders and builder not in trusted.builders:
        raise VerifyError(
            "it was built by another builder" if builder else "it names no builder",
            why=f"the builder is {builder[:200] or 'not named'}",
            hint="--builder names whom you expect",
            rule="attest.builder",
        )


def _holds(key: PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(message, signature)
    except VerifyError:
        return False
    return True


def bundle(envelope: bytes, key: PublicKey) -> bytes:
    """A DSSE envelope by ``key`` as a Sigstore bundle v0.3. Raises: VerifyError (not by it)."""
    verified = dsse.verify(envelope, {key.key_id: key})
    signature = next(s for name, s in dsse.parse(envelope).signatures if name == key.key_id)
    document = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": of_bytes(key.pem)}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(verified.payload).decode(),
            "payloadType": dsse.PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": key.key_id}],
        },
    }
    return msgspec.json.encode(document, order="deterministic")
