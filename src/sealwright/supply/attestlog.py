"""An entry of a transparency log, as Sigstore bundles and PEP 740 attestations carry it.

Held against the log's own key: the promise over body, time and index; the Merkle path to a signed
checkpoint; and that the body speaks of this very signature. Source: Rekor v1, RFC 9162.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from cryptography import x509

from sealwright.core.errors import SealError, VerifyError
from sealwright.evidence import jcs
from sealwright.evidence.keys import PublicKey, load_public
from sealwright.evidence.merkle import leaf_hash, verify_inclusion
from sealwright.supply.attestjson import member, number, parsed, rows, text, unbase64

_WHAT = "the log entry"
_DASH = "\u2014 "


def verify(
    entry: Mapping[str, Any],
    keys: Sequence[PublicKey],
    signature: bytes,
    verifier: bytes,
    content: tuple[str, str],
) -> int:
    """The time, in Unix seconds, at which a log of ``keys`` took in ``signature`` by ``verifier``.

    ``verifier`` is a DER certificate or a PEM public key; ``content`` is (``dsse`` |
    ``hashedrekord``, SHA-256 of what was signed). Raises: VerifyError (``attest.log``,
    ``attest.malformed``).
    """
    identifier = unbase64(member(entry, "logId", _WHAT), "keyId", _WHAT).hex()
    key = next((one for one in keys if one.key_id == identifier), None)
    if key is None:
        _refuse(f"it is of the log {identifier[:16]}, whose key you did not give")
    body = unbase64(entry, "canonicalizedBody", _WHAT)
    time = number(entry, "integratedTime", _WHAT)
    if not time:
        _refuse("it has no time")
    index = number(entry, "logIndex", _WHAT)
    promise = jcs.canonical(
        {
            "body": base64.b64encode(body).decode(),
            "integratedTime": time,
            "logID": identifier,
            "logIndex": index,
        }
    )
    signed = unbase64(member(entry, "inclusionPromise", _WHAT), "signedEntryTimestamp", _WHAT)
    _held(key, promise, signed, "the promise over its time")
    _included(member(entry, "inclusionProof", _WHAT), body, key)
    _about(parsed(body, _WHAT), signature, verifier, content)
    return time


def _included(proof: Mapping[str, Any], body: bytes, key: PublicKey) -> None:
    envelope = text(member(proof, "checkpoint", _WHAT), "envelope", _WHAT)
    said, _, lines = envelope.rpartition("\n\n")
    said += "\n"
    fields = said.split("\n")
    root, size = unbase64(proof, "rootHash", _WHAT), number(proof, "treeSize", _WHAT)
    wanted = [str(size), base64.b64encode(root).decode()]
    if fields[1:3] != wanted:
        _refuse("its checkpoint is of another tree")
    signatures = [_line(line, key) for line in lines.split("\n") if line.startswith(_DASH)]
    found = [signature for signature in signatures if signature]
    if not found:
        _refuse("its checkpoint was not signed by the log")
    _held(key, said.encode(), found[0], "the checkpoint")
    hashes = proof.get("hashes") or []
    if not isinstance(hashes, list):
        _refuse("its path is no list")
    path = [unbase64({"hash": one}, "hash", _WHAT) for one in hashes]
    try:
        verify_inclusion(number(proof, "logIndex", _WHAT), size, leaf_hash(body), path, root)
    except SealError as error:
        _refuse(f"{error.what}: {error.why}")


def _line(line: str, key: PublicKey) -> bytes:
    """The signature of a line that is by ``key``; empty where it is by another."""
    blob = unbase64({"line": line.rpartition(" ")[2]}, "line", _WHAT)
    return blob[4:] if blob[:4] == bytes.fromhex(key.key_id)[:4] else b""


def _about(
    body: Mapping[str, Any], signature: bytes, verifier: bytes, content: tuple[str, str]
) -> None:
    kind, digest = content
    if (body.get("kind"), body.get("apiVersion")) != (kind, "0.0.1"):
        _refuse(f"it is a {body.get('kind')} {body.get('apiVersion')}, {kind} 0.0.1 is understood")
    spec = member(body, "spec", _WHAT)
    if kind == "dsse":
        found = member(spec, "payloadHash", _WHAT)
        pairs = [
            (unbase64(row, "signature", _WHAT), unbase64(row, "verifier", _WHAT))
            for row in rows(spec, "signatures", _WHAT)
        ]
    else:
        found = member(member(spec, "data", _WHAT), "hash", _WHAT)
        signed = member(spec, "signature", _WHAT)
        by = unbase64(member(signed, "publicKey", _WHAT), "content", _WHAT)
        pairs = [(unbase64(signed, "content", _WHAT), by)]
    if (found.get("algorithm"), found.get("value")) != ("sha256", digest):
        _refuse("it speaks of other content")
    if not any(one == signature and _same(pem, verifier) for one, pem in pairs):
        _refuse("it speaks of another signature, or of another signer")


def _same(pem: bytes, verifier: bytes) -> bool:
    """Whether a PEM in the body is the certificate (DER) or the public key (PEM) meant."""
    try:
        if b"CERTIFICATE" in pem:
            (one,) = x509.load_pem_x509_certificates(pem)
            return one == x509.load_der_x509_certificate(verifier)
        return load_public(pem) == load_public(verifier)
    except (ValueError, SealError, x509.InvalidVersion):
        return False


def _held(key: PublicKey, message: bytes, signature: bytes, what: str) -> None:
    try:
        key.verify(message, signature)
    except VerifyError:
        _refuse(f"{what} is not signed by the log")


def _refuse(why: str) -> NoReturn:
    raise VerifyError(
        "the transparency log does not vouch for it",
        why=why,
        hint="--log-key gives the public key of the log you trust",
        rule="attest.log",
    )
