"""Export: a model, its signature and all the evidence, for somebody who has nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sealwright.core.clock import stamp
from sealwright.core.digest import of_bytes
from sealwright.core.errors import VerifyError
from sealwright.core.ports import Clock, Progress, Recorder, Store, StoredFile
from sealwright.core.predicates import EXPORT
from sealwright.core.records import Artifact, Decision, Json, Statement
from sealwright.evidence.checkpoint import read_checkpoint
from sealwright.evidence.keys import load_public
from sealwright.evidence.merkle import HashAt
from sealwright.evidence.proof import prove
from sealwright.evidence.tlog import Tile, TileHashes, tiles
from sealwright.evidence.trust import Trust
from sealwright.registry import layout, signature, witnessed
from sealwright.registry import manifest as manifests
from sealwright.registry.aliases import refuse_unusable
from sealwright.registry.files import CHUNK_BYTES
from sealwright.registry.manifest import ModelManifest, scope_of
from sealwright.registry.register import allow
from sealwright.registry.sink import Member, sink
from sealwright.registry.versions import Model, Models, provenance


class TiledLog(Protocol):
    """A log that can be copied out: its heads and its tiles."""

    def checkpoint(self) -> bytes:
        """The newest signed note, with the cosignatures on that very size."""
        ...

    def witnessed(self) -> bytes | None:
        """The newest note that a witness cosigned."""
        ...

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile or an entry bundle."""
        ...


class Exporter(msgspec.Struct, frozen=True):
    """Who exports, and what from. ``chain`` is the trust chain's envelopes; ``settle`` is
    called once the export is in the log, to let the witness cosign it before it is copied.
    """

    actor: str
    store: Store
    log: TiledLog
    trust: Trust
    chain: Sequence[bytes]
    recorder: Recorder
    clock: Clock
    settle: Callable[[], None]


class Exported(msgspec.Struct, frozen=True):
    """What was written, up to which entry, and who cosigned that."""

    path: Path
    model: Model
    index: int
    size: int
    files: int
    size_bytes: int
    cosignatures: tuple[witnessed.Cosignature, ...]


def export(
    models: Models,
    model: Model,
    out: Path,
    decision: Decision,
    exporter: Exporter,
    policy: Mapping[str, bytes] | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the bundle of ``model`` to ``out`` (a ``.tar``, else a directory).

    Raises: GateDenied, Refused (revoked or blocked), BadInput (``out`` exists), VerifyError
    (the store or the log is not what was signed); nothing is left at ``out`` then.
    """
    allow(decision, "export", model.ref)
    refuse_unusable(model)
    manifest = manifests.load(exporter.store, model.name, model.manifest)
    bound = _bound(model, manifest, exporter, policy or {})
    with sink(out) as target:
        index = _record(model, decision, exporter, bound)
        exporter.settle()
        head, members = _members(models, model, manifest, exporter, bound, index)
        for done, member in enumerate(members):
            if progress:
                progress.advance(done, len(members), member.name)
            target.write(member)
    return Exported(
        out,
        model,
        index,
        head.checkpoint.size,
        len(members),
        sum(member.size for member in members),
        head.cosignatures,
    )


def _bound(
    model: Model, manifest: ModelManifest, exporter: Exporter, policy: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The members whose digests the export statement itself names."""
    key = exporter.trust.find(model.signer, "model")
    if key is None:
        raise VerifyError(
            f"{model.ref} is signed by a key that the trust root does not name",
            where=f"entry {model.index}",
            rule="model.signer",
        )
    sig = manifests.read_all(exporter.store.open(scope_of(model.name), manifest.signature))
    signed = signature.verify(sig, load_public(key.pem.encode()))
    signature.check_files(signed, [file.plain() for file in manifest.files])
    if of_bytes(sig) != model.signature or signed.digest != model.digest:
        raise VerifyError(
            f"the signature kept for {model.ref} is not the recorded one",
            where=f"entry {model.index}",
            rule="model.signature",
        )
    readme = layout.readme(model.ref, model.digest, exporter.trust.fingerprint)
    rules = {layout.POLICY + name: body for name, body in policy.items()}
    pem = key.pem.encode()
    return {layout.README: readme, layout.SIGNATURE: sig, layout.PUBLIC_KEY: pem, **rules}


def _record(
    model: Model, decision: Decision, exporter: Exporter, bound: Mapping[str, bytes]
) -> int:
    seen = exporter.log.witnessed()
    members: list[Json] = [
        {"name": name, "digest": of_bytes(body)} for name, body in sorted(bound.items())
    ]
    predicate: dict[str, Json] = {
        "model": model.name,
        "version": model.version,
        "log_size": read_checkpoint(exporter.log.checkpoint()).size,
        "witnessed": _witnessed_size(seen, exporter.trust),
        "trust": exporter.trust.digest,
        "members": members,
        "decision": decision.id,
        "actor": exporter.actor,
        "time": stamp(exporter.clock()),
    }
    subject = Artifact(model.ref, model.digest)
    return exporter.recorder.record(Statement((subject,), EXPORT, predicate)).index


def _witnessed_size(note: bytes | None, trust: Trust) -> int:
    """How far a witness that the trust root names has cosigned; 0 for none."""
    if note is None:
        return 0
    found = witnessed.check(witnessed.known_only(note, trust), trust, "the witnessed checkpoint")
    return found.checkpoint.size if found.cosignatures else 0


def _members(
    models: Models,
    model: Model,
    manifest: ModelManifest,
    exporter: Exporter,
    bound: Mapping[str, bytes],
    index: int,
) -> tuple[witnessed.Witnessed, list[Member]]:
    trust, log = exporter.trust, exporter.log
    note = witnessed.known_only(log.checkpoint(), trust)
    head = witnessed.check(note, trust, layout.CHECKPOINT)
    small = {**bound, layout.CHECKPOINT: note}
    seen = log.witnessed()
    if seen is not None and not head.cosignatures and _witnessed_size(seen, trust):
        small[layout.WITNESSED] = witnessed.known_only(seen, trust)
    for number, envelope in enumerate(exporter.chain, 1):
        small[f"{layout.TRUST}{number}.json"] = envelope
    for tile in tiles(head.checkpoint.size):
        small[layout.LOG + tile.path] = log.tile(tile)
    hash_at = TileHashes(head.checkpoint.size, log.tile)
    small.update(proofs(proof_indices(models, model, index), note, hash_at))
    members = [Member(name, len(body), (body,)) for name, body in small.items()]
    members += [
        Member(
            layout.MODEL + file.path,
            file.size,
            _Pieces(exporter.store, scope_of(model.name), file.stored()),
            file.sha256,
        )
        for file in manifest.files
    ]
    return head, sorted(members, key=lambda member: member.name)


def proof_indices(models: Models, model: Model, export_index: int) -> dict[str, int]:
    """The entries a bundle carries proofs for, by member name: model, run, export."""
    wanted = {"model-version": model.index, "export": export_index}
    run = provenance(models, model)
    if run is not None:
        wanted["provenance"] = run.index
    return {f"{layout.PROOFS}{name}.tlog-proof": index for name, index in wanted.items()}


def proofs(indices: Mapping[str, int], note: bytes, hash_at: HashAt) -> dict[str, bytes]:
    """Inclusion proofs in tlog-proof form under the checkpoint ``note``."""
    return {name: prove(index, note, hash_at).encode() for name, index in indices.items()}


class _Pieces:
    """The bytes of a stored file, opened when they are asked for."""

    def __init__(self, store: Store, scope: str, file: StoredFile) -> None:
        self._store, self._scope, self._file = store, scope, file

    def __iter__(self) -> Iterator[bytes]:
        readable = self._store.open(self._scope, self._file)
        at = 0
        while at < readable.size:
            piece = readable.pread(at, CHUNK_BYTES * 4)
            at += len(piece)
            yield piece
