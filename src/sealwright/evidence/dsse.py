"""DSSE envelopes (https://github.com/secure-systems-lab/dsse) as canonical JSON."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.core.ports import Signer
from sealwright.evidence import jcs
from sealwright.evidence.keys import PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Envelope(msgspec.Struct, frozen=True):
    """A parsed envelope; nothing about it is verified. ``signatures``: (key id, bytes)."""

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]


class VerifiedEnvelope(msgspec.Struct, frozen=True):
    """What was signed, and by which of the known keys (at least one)."""

    payload: bytes
    payload_type: str
    key_ids: tuple[Digest, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, signers: Sequence[Signer], payload_type: str = PAYLOAD_TYPE) -> bytes:
    """An envelope with one signature for each of ``signers``."""
    if not signers:
        raise BadInput("an envelope needs at least one signer")
    message = pae(payload_type, payload)
    return jcs.canonical(
        {
            "payload": _b64(payload),
            "payloadType": payload_type,
            "signatures": [{"keyid": s.key_id, "sig": _b64(s.sign(message))} for s in signers],
        }
    )


def parse(envelope: bytes) -> Envelope:
    """Split an envelope. Raises: VerifyError, rule ``json.*`` or ``envelope.malformed``."""
    value = jcs.parse(envelope)
    if not isinstance(value, dict) or value.keys() != {"payload", "payloadType", "signatures"}:
        raise _malformed("exactly payload, payloadType and signatures wanted")
    kind, signatures = value["payloadType"], value["signatures"]
    if not isinstance(kind, str) or not isinstance(signatures, list) or not signatures:
        raise _malformed("payloadType is no string, or there is no signature")
    pairs = tuple(_signature(signature) for signature in signatures)
    if len({key_id for key_id, _ in pairs}) != len(pairs):
        raise _malformed("a key signed twice")
    return Envelope(_unb64(value["payload"]), kind, pairs)


def verify(
    envelope: bytes, keys: Mapping[Digest, PublicKey], payload_type: str = PAYLOAD_TYPE
) -> VerifiedEnvelope:
    """Check every signature made by one of ``keys`` (by key id); at least one must be.

    Raises: UnknownSigner (none of the keys signed), VerifyError (a wrong signature by a
    known key, another payload type, malformed bytes).
    """
    parsed = parse(envelope)
    if parsed.payload_type != payload_type:
        raise _malformed(f"payloadType is {parsed.payload_type[:80]!r}, {payload_type} wanted")
    message = pae(parsed.payload_type, parsed.payload)
    known: list[Digest] = []
    for key_id, signature in parsed.signatures:
        if key_id in keys:
            keys[key_id].verify(message, signature)
            known.append(key_id)
    if not known:
        raise UnknownSigner(
            "signed by no key you trust",
            why="key ids: " + ", ".join(key_id[:16] for key_id, _ in parsed.signatures),
        )
    return VerifiedEnvelope(parsed.payload, parsed.payload_type, tuple(known))


def _signature(value: Any) -> tuple[str, bytes]:
    if not isinstance(value, dict) or value.keys() != {"keyid", "sig"}:
        raise _malformed("a signature is exactly keyid and sig")
    if not isinstance(value["keyid"], str):
        raise _malformed("keyid is not a string")
    return value["keyid"], _unb64(value["sig"])


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: Any) -> bytes:
    if not isinstance(text, str):
        raise _malformed("base64 text wanted")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("not base64") from error
    if _b64(data) != text:
        raise _malformed("base64 with stray bits")
    return data


def _malformed(why: str) -> VerifyError:
    return VerifyError("not a DSSE envelope", why=why, rule="envelope.malformed")
