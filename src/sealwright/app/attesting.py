"""``seal supply attest``: what others say of an artifact, checked; ours, written for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sealwright.app.wiring import Workspace
from sealwright.core import digest as digests
from sealwright.core import predicates, refs
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, SealError, VerifyError
from sealwright.core.reading import small_file
from sealwright.core.records import Recorded
from sealwright.evidence.keys import PublicKey, load_public
from sealwright.registry import register as registry
from sealwright.registry.versions import Models
from sealwright.supply import attestation, imageattest
from sealwright.supply import image as images
from sealwright.supply.attestation import Attested, Subject, Trusted
from sealwright.supply.oci import Descriptor, Layout

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_ARTIFACT_BYTES = 1 << 30
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"


class Held(msgspec.Struct, frozen=True):
    """An attestation that holds, and where it lay."""

    where: str
    attested: Attested


def subject_of(artifact: str, tag: str = "") -> Subject:
    """The artifact meant: a file, a model folder, an OCI layout's image, or sha256:…

    Raises: BadInput (nothing there).
    """
    if artifact.startswith("sha256:"):
        return Subject("", digests.check(artifact.removeprefix("sha256:")))
    path = Path(artifact)
    if (path / "oci-layout").is_file():
        return Subject(path.name, images.pick(Layout(path), tag).sha256)
    if path.is_dir():
        return Subject(path.name, registry.digest_of(path)[0])
    if not path.is_file():
        raise BadInput(f"{artifact} is not there", hint="--artifact FILE, FOLDER or sha256:…")
    return Subject(path.name, digests.of_file(path), lambda: small_file(path, _ARTIFACT_BYTES))


def verify(files: Sequence[Path], subject: Subject, trusted: Trusted) -> list[Held]:
    """Every attestation of every file and layout; all of them hold.

    Raises: UnknownSigner, VerifyError (``attest.*``), BadInput.
    """
    held: list[Held] = []
    for path in files:
        if path.is_dir():
            found = list(imageattest.attestations(Layout(path), subject.sha256))
            if not found:
                raise VerifyError(
                    "no attestation lies in it", where=str(path), rule="attest.missing"
                )
        else:
            found = [("", small_file(path, attestation.MOST_BYTES))]
        for inside, data in found:
            where = f"{path}: {inside}" if inside else str(path)
            held += [Held(where, one) for one in _verified(data, where, subject, trusted)]
    return held


def _verified(data: bytes, where: str, subject: Subject, trusted: Trusted) -> tuple[Attested, ...]:
    try:
        return attestation.verify(data, subject, trusted)
    except SealError as error:
        error.what = f"{where}: {error.what}"
        raise


class Written(msgspec.Struct, frozen=True):
    """What was written: bundles by file name, with their predicate; keys; a referrer's digest."""

    bundles: Mapping[str, str]
    keys: tuple[str, ...]
    referrer: Digest = ""


def write(workspace: Workspace, artifact: str, out: Path, beside: Path | None, tag: str) -> Written:
    """Our statements about an artifact, as bundles; ``beside`` an image as its referrer, too.

    Raises: BadInput (no statement about it, ``out`` is there already).
    """
    digest = _digest(workspace, artifact)
    history = workspace.history()
    entries = [
        one
        for one in history.about(digest)
        if one.statement.predicate_type not in (predicates.DECISION, predicates.INTENT)
    ]
    if not entries:
        raise BadInput(
            f"no statement is about {artifact}",
            why=f"sha256:{digest} is the subject of no entry of the log",
            hint="seal log show --all lists what there is",
        )
    image = images.pick(Layout(beside), tag) if beside is not None else None
    try:
        out.mkdir()
    except FileExistsError as error:
        raise BadInput(f"{out} is there already", hint="--out FOLDER") from error
    keys = {one.key_id: _key(workspace, one) for one in entries}
    written: dict[str, str] = {}
    made: list[tuple[str, bytes]] = []
    for one in entries:
        (entry,) = workspace.log.entries(one.index, one.index + 1)
        kind = one.statement.predicate_type
        name = f"{one.index:06d}-{_short(kind)}.sigstore.json"
        data = attestation.bundle(entry.body, keys[one.key_id])
        (out / name).write_bytes(data)
        written[name] = kind
        made.append((kind, data))
    for key in keys.values():
        (out / f"{key.key_id[:16]}.pem").write_bytes(key.pem)
    names = tuple(f"{key.key_id[:16]}.pem" for key in keys.values())
    referrer = _referrer(out / "layout", image, made) if image is not None else ""
    return Written(written, names, referrer)


def _digest(workspace: Workspace, artifact: str) -> Digest:
    if artifact.startswith(("sha256:", "./", "/")) or Path(artifact).exists():
        return subject_of(artifact).sha256
    ref = refs.parse(artifact, "model")
    if ref.kind == "run":
        for entry in workspace.history().of_type(predicates.SLSA_PROVENANCE):
            details = entry.statement.predicate.get("runDetails")
            metadata = details.get("metadata") if isinstance(details, dict) else None
            if isinstance(metadata, dict) and metadata.get("invocationId") == ref.name:
                return entry.statement.subjects[0].digest
        raise BadInput(f"no run {ref.name} succeeded here", hint="seal log show lists the runs")
    return Models(workspace.history()).resolve(ref).digest


def _key(workspace: Workspace, entry: Recorded) -> PublicKey:
    for key in workspace.trust.keys:
        public = load_public(key.pem.encode())
        if public.key_id == entry.key_id:
            return public
    raise BadInput(f"the key of entry {entry.index} is not in the trust file")


def _short(kind: str) -> str:
    parts = kind.rstrip("/").split("/")
    return (parts[-2] if len(parts) > 1 else parts[-1]).rpartition(":")[2]


def _referrer(root: Path, image: Descriptor, made: Sequence[tuple[str, bytes]]) -> Digest:
    """An OCI layout with one manifest whose subject is the image and whose layers are bundles."""
    (root / "blobs" / "sha256").mkdir(parents=True)
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    layers = [
        {**_put(root, data, BUNDLE), "annotations": {"dev.sigstore.bundle.predicateType": kind}}
        for kind, data in made
    ]
    manifest = _put(
        root,
        _dump(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "artifactType": BUNDLE,
                "config": _put(root, b"{}", _EMPTY),
                "layers": layers,
                "subject": {
                    "mediaType": image.media_type,
                    "digest": f"sha256:{image.sha256}",
                    "size": image.size,
                },
            }
        ),
        _MANIFEST,
    )
    index = {"schemaVersion": 2, "manifests": [{**manifest, "artifactType": BUNDLE}]}
    (root / "index.json").write_bytes(_dump(index))
    return str(manifest["digest"]).removeprefix("sha256:")


def _put(root: Path, data: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (root / "blobs" / "sha256" / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _dump(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
