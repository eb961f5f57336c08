"""OpenSSF model signatures (Sigstore bundle v0.3) with an ECDSA P-256 key, made and checked.

``model_signing verify key`` accepts what :func:`sign` writes. Source: the OpenSSF model-signing
predicate https://model_signing/signature/v1.0 and the Sigstore bundle v0.3 JSON form.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from sealwright.core.digest import Digest, check, of_bytes, of_tree, tree_order
from sealwright.core.errors import BadInput, SealError, UnknownSigner, VerifyError
from sealwright.core.ports import Signer
from sealwright.evidence import dsse, jcs
from sealwright.evidence.keys import PublicKey, load_public
from sealwright.evidence.statement import TYPE as STATEMENT_TYPE
from sealwright.registry.files import LEFT_OUT, ModelFile, checked_name

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_SERIALIZATION = {
    "method": "files",
    "hash_type": "sha256",
    "allow_symlinks": False,
    "ignore_paths": [],
}


class SignedModel(msgspec.Struct, frozen=True):
    """What a verified signature says: the model's name, digest, and its files' digests."""

    name: str
    digest: Digest
    files: Mapping[str, Digest]
    key_id: Digest


def sign(name: str, files: Sequence[ModelFile], signer: Signer) -> bytes:
    """The bundle (``model.sig``) over a model's files. Raises: BadInput (no files, no P-256 key).

    ``name`` is for people: the subject's name.
    """
    public = load_public(signer.public_pem())
    if public.algorithm != "ecdsa-p256":
        raise BadInput("models are signed with an ECDSA P-256 key", why=f"got {public.algorithm}")
    if not files:
        raise BadInput("a model without files cannot be signed")
    payload = jcs.canonical(_statement(name, files))
    signature = signer.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
    return jcs.canonical(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {
                "publicKey": {"hint": of_bytes(public.pem)},
                "tlogEntries": [],
            },
            "dsseEnvelope": {
                "payload": _b64(payload),
                "payloadType": dsse.PAYLOAD_TYPE,
                "signatures": [{"sig": _b64(signature), "keyid": ""}],
            },
        }
    )


def verify(bundle: bytes, public: PublicKey) -> SignedModel:
    """Check a bundle's signature and its inner consistency.

    Raises: UnknownSigner (made by another key), VerifyError (rule ``model.signature``).
    """
    envelope = _envelope(bundle, public)
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise _bad("exactly one signature wanted")
    payload = _unb64(envelope.get("payload"))
    if envelope.get("payloadType") != dsse.PAYLOAD_TYPE:
        raise _bad(f"payloadType is not {dsse.PAYLOAD_TYPE}")
    signature = signatures[0].get("sig") if isinstance(signatures[0], dict) else None
    try:
        public.verify(dsse.pae(dsse.PAYLOAD_TYPE, payload), _unb64(signature))
    except VerifyError as error:
        raise _bad(error.what) from error
    return _signed(_json(payload), public)


def check_files(signed: SignedModel, files: Iterable[ModelFile]) -> tuple[ModelFile, ...]:
    """Return ``files`` if they are the signed ones and no others.

    Raises: VerifyError naming the first file that was changed, added or removed
    (rules ``model.file-changed``, ``model.file-added``, ``model.file-missing``).
    """
    found = tuple(files)
    for file in found:
        wanted = signed.files.get(file.path)
        if wanted is None:
            raise _file(file.path, "is not in the signature", "", "model.file-added")
        if wanted != file.sha256:
            why = f"signed {wanted}, found {file.sha256}"
            raise _file(file.path, "is not the file that was signed", why, "model.file-changed")
    missing = sorted(signed.files.keys() - {file.path for file in found})
    if missing:
        raise _file(missing[0], "is missing", f"{len(missing)} missing", "model.file-missing")
    return found


def _statement(name: str, files: Sequence[ModelFile]) -> dict[str, Any]:
    ordered = sorted(files, key=lambda file: tree_order(file.path))
    digest = of_tree((file.path, file.sha256) for file in files)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": _SERIALIZATION,
            "resources": [
                {"name": checked_name(f.path), "algorithm": "sha256", "digest": f.sha256}
                for f in ordered
            ],
        },
    }


def _envelope(bundle: bytes, public: PublicKey) -> dict[str, Any]:
    value = _json(bundle)
    if value.get("mediaType") != MEDIA_TYPE:
        raise _bad(f"mediaType is not {MEDIA_TYPE}")
    material = value.get("verificationMaterial")
    key = material.get("publicKey") if isinstance(material, dict) else None
    if not isinstance(key, dict):
        raise _bad("it was not made with a plain public key")
    if key.get("hint") != of_bytes(public.pem):
        raise UnknownSigner(
            "the model was signed by another key",
            why=f"the signature names {str(key.get('hint'))[:16]}, the key is "
            f"{of_bytes(public.pem)[:16]} (SHA-256 of the PEM)",
        )
    envelope = value.get("dsseEnvelope")
    if not isinstance(envelope, dict):
        raise _bad("there is no DSSE envelope")
    return envelope


def _signed(value: dict[str, Any], public: PublicKey) -> SignedModel:
    if value.get("_type") != STATEMENT_TYPE or value.get("predicateType") != PREDICATE_TYPE:
        raise _bad(f"not a statement with predicate {PREDICATE_TYPE}")
    try:
        ((name, digest),) = ((s["name"], s["digest"]["sha256"]) for s in value["subject"])
        serialization = value["predicate"]["serialization"]
        resources = [
            (checked_name(r["name"]), r["algorithm"], check(r["digest"]))
            for r in value["predicate"]["resources"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError, SealError) as error:
        raise _bad(f"the statement is malformed: {error}") from error
    if not _whole(serialization) or any(a != "sha256" for _, a, _ in resources):
        raise _bad("it covers files in a way we do not check: SHA-256 of every file, no links")
    files = {path: sha256 for path, _, sha256 in resources}
    if len(files) != len(resources) or not files:
        raise _bad("a file is listed twice, or none is")
    if of_tree(files.items()) != digest:
        raise _bad("its digest is not that of the files it lists")
    return SignedModel(str(name), digest, files, public.key_id)


def _whole(serialization: Any) -> bool:
    """Whether every file was covered, but for the git files that no signer ever covers."""
    if not isinstance(serialization, dict):
        return False
    ignored = serialization.get("ignore_paths", [])
    return (
        isinstance(ignored, list)
        and LEFT_OUT.issuperset(str(name) for name in ignored)
        and {**serialization, "ignore_paths": []} == _SERIALIZATION
    )


def _json(data: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    def refuse(text: str) -> NoReturn:
        raise ValueError(f"the number {text[:20]}")

    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=unique,
            parse_float=refuse,
            parse_constant=refuse,
        )
    except (ValueError, RecursionError) as error:
        raise _bad(f"not JSON: {str(error)[:100]}") from error
    if not isinstance(value, dict):
        raise _bad("not a JSON object")
    return value


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: Any) -> bytes:
    try:
        data = base64.b64decode(text if isinstance(text, str) else "-", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad("base64 wanted") from error
    if _b64(data) != text:
        raise _bad("base64 with stray bits")
    return data


def _bad(why: str) -> VerifyError:
    return VerifyError(
        "the model's signature does not hold", where="model.sig", why=why, rule="model.signature"
    )


def _file(path: str, what: str, why: str, rule: str) -> VerifyError:
    return VerifyError(f"model/{path} {what}", where=f"model/{path}", why=why, rule=rule)
