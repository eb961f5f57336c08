"""Signatures and attestations that lie beside an image, held against keys the reader trusts.

Found as OCI referrers (a manifest whose ``subject`` is the image) and by cosign's tags
(``sha256-DIGEST.sig``, ``.att``). Source: OCI image-spec v1.1 (subject), cosign's signature spec.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import SealError, UnknownSigner, VerifyError
from sealwright.core.records import Json
from sealwright.evidence import dsse, jcs
from sealwright.evidence.keys import PublicKey
from sealwright.supply.imagefiles import Found
from sealwright.supply.oci import Descriptor, Layout, descriptor_of

REF = "org.opencontainers.image.ref.name"
PROVENANCE = "slsa.dev/provenance/"
_SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_BILLS = ("https://cyclonedx.org/bom", "https://spdx.dev/Document", "urn:sealwright:predicate:bom/")


class Said(msgspec.Struct, frozen=True):
    """A statement about the image that a trusted key signed."""

    predicate_type: str
    builder: str
    key_id: Digest


def is_bill(predicate_type: str) -> bool:
    """Whether a predicate is a bill of materials."""
    return predicate_type.startswith(_BILLS)


def is_about_another(layout: Layout, descriptor: Descriptor) -> bool:
    """Whether a manifest is a signature or attestation, and no image of its own."""
    tag = descriptor.annotations.get(REF, "")
    if tag.startswith("sha256-") and tag.endswith((".sig", ".att", ".sbom")):
        return True
    return "subject" in layout.manifest(descriptor)


def signers(
    layout: Layout, image: Descriptor, keys: Sequence[PublicKey]
) -> tuple[tuple[Digest, ...], tuple[str, ...]]:
    """Key ids whose signatures over the image's digest hold, and those that claim to and do not.

    A signature by a key nobody trusts counts for nothing, neither way.
    """
    held: list[Digest] = []
    wrong: list[str] = []
    for where, payload, signature in _signatures(layout, image):
        by = [key.key_id for key in keys if _holds(key, payload, signature)]
        if not by:
            continue
        if _names(payload) == image.sha256:
            held += by
        else:
            wrong.append(f"{where}: it signs another image")
    return tuple(dict.fromkeys(held)), tuple(wrong)


def statements(
    layout: Layout, image: Descriptor, keys: Sequence[PublicKey]
) -> tuple[tuple[Said, ...], tuple[Found, ...]]:
    """Attestations about exactly this image by trusted keys, and those that do not hold."""
    held: list[Said] = []
    odd: list[Found] = []
    by_id = {key.key_id: key for key in keys}
    for where, envelope in _envelopes(layout, image):
        try:
            verified = dsse.verify(_with_ids(envelope, keys), by_id)
            statement = json.loads(verified.payload)
            subjects = [row["digest"].get("sha256") for row in statement["subject"]]
            if image.sha256 not in subjects:
                odd.append(Found("image.attestation-wrong", f"{where}: it is about another image"))
                continue
            predicate = statement.get("predicate") or {}
            held.append(
                Said(str(statement["predicateType"]), _builder(predicate), verified.key_ids[0])
            )
        except UnknownSigner:
            continue
        except (SealError, ValueError, KeyError, TypeError) as error:
            odd.append(Found("image.attestation-wrong", f"{where}: {error}"[:160]))
    return tuple(held), tuple(odd)


def attestations(layout: Layout, about: Digest = "") -> Iterator[tuple[str, bytes]]:
    """Every attestation that is beside something in a layout, as it lies there.

    Where some are about the manifest ``about``, these alone.
    """
    beside = [(one, layout.manifest(one)) for one in layout.manifests()]
    referrers = [
        manifest
        for one, manifest in beside
        if "subject" in manifest or one.annotations.get(REF, "").endswith(".att")
    ]
    named = [
        manifest
        for one, manifest in beside
        if manifest in referrers
        and (
            str((manifest.get("subject") or {}).get("digest", "")) == f"sha256:{about}"
            or one.annotations.get(REF, "") == f"sha256-{about}.att"
        )
    ]
    for manifest in named or referrers:
        for where, layer, data in _layers(layout, manifest):
            if layer.media_type != _SIMPLE:
                yield where, data


def _with_ids(envelope: bytes, keys: Sequence[PublicKey]) -> bytes:
    """A stranger's envelope as ours are written, each signature under the key that made it.

    Raises: ValueError, KeyError, TypeError (it is none).
    """
    document = json.loads(envelope)
    payload = base64.b64decode(document["payload"], validate=True)
    message = dsse.pae(document["payloadType"], payload)
    rows: list[Json] = []
    for number, row in enumerate(document["signatures"]):
        signature = base64.b64decode(row["sig"], validate=True)
        by = next((key.key_id for key in keys if _holds(key, message, signature)), f"{number}")
        rows.append({"keyid": by, "sig": row["sig"]})
    return jcs.canonical(
        {
            "payload": document["payload"],
            "payloadType": document["payloadType"],
            "signatures": rows,
        }
    )


def _builder(predicate: Mapping[str, Any]) -> str:
    details = predicate.get("runDetails") or {}
    builder = (details.get("builder") or predicate.get("builder") or {}).get("id", "")
    return str(builder)


def _holds(key: PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(message, signature)
    except VerifyError:
        return False
    return True


def _names(payload: bytes) -> str:
    """The manifest digest that a simple-signing payload is about."""
    try:
        text = json.loads(payload)["critical"]["image"]["docker-manifest-digest"]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(text).removeprefix("sha256:")


def _signatures(layout: Layout, image: Descriptor) -> Iterator[tuple[str, bytes, bytes]]:
    for manifest in _beside(layout, image, ".sig"):
        for where, layer, data in _layers(layout, manifest):
            text = layer.annotations.get(_SIGNATURE, "")
            if layer.media_type != _SIMPLE or not text:
                continue
            try:
                yield where, data, base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                continue


def _envelopes(layout: Layout, image: Descriptor) -> Iterator[tuple[str, bytes]]:
    for manifest in _beside(layout, image, ".att"):
        for where, layer, data in _layers(layout, manifest):
            if layer.media_type != _SIMPLE:
                yield where, _inner(data)


def _inner(data: bytes) -> bytes:
    """The DSSE envelope of a Sigstore bundle, or the data itself where it is none."""
    try:
        document = json.loads(data)
    except ValueError:
        return data
    inside = document.get("dsseEnvelope") if isinstance(document, dict) else None
    return json.dumps(inside).encode() if inside else data


def _beside(layout: Layout, image: Descriptor, suffix: str) -> Iterator[Mapping[str, Any]]:
    for one in layout.manifests():
        if one.sha256 == image.sha256:
            continue
        manifest = layout.manifest(one)
        subject = manifest.get("subject")
        about = subject.get("digest") if isinstance(subject, dict) else ""
        tag = one.annotations.get(REF, "")
        if about == f"sha256:{image.sha256}" or tag == f"sha256-{image.sha256}{suffix}":
            yield manifest


def _layers(layout: Layout, manifest: Mapping[str, Any]) -> Iterator[tuple[str, Descriptor, bytes]]:
    rows = manifest.get("layers")
    for row in rows if isinstance(rows, list) else ():
        layer = descriptor_of(row)
        yield f"sha256:{layer.sha256[:16]}", layer, layout.blob(layer)
