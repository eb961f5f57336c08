"""Registration: a run's files become an encrypted, signed, immutable model version."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path

import msgspec

from sealwright.core.clock import stamp
from sealwright.core.digest import Digest, of_bytes, of_tree
from sealwright.core.errors import GateDenied, VerifyError
from sealwright.core.locking import exclusive
from sealwright.core.ports import Clock, Progress, Recorder, Signer, Store
from sealwright.core.records import Artifact, Decision
from sealwright.evidence.history import History
from sealwright.registry import manifest as manifests
from sealwright.registry import signature
from sealwright.registry.files import ModelFile, hash_files, open_plain, paths_of
from sealwright.registry.manifest import ModelManifest, StoredModelFile
from sealwright.registry.versions import Model, Models, statement_of


class Registration(msgspec.Struct, frozen=True):
    """What to register.

    ``source`` is a directory or one file; ``digest`` what the run's provenance and the gate
    spoke of (see :func:`digest_of`): other bytes are refused. ``inputs`` are the run's data
    and code.
    """

    name: str
    source: Path
    digest: Digest
    run: str
    stage: str
    inputs: tuple[Artifact, ...]
    actor: str
    reason: str = ""


class Ports(msgspec.Struct, frozen=True):
    """What registration needs from outside.

    ``history`` reads the log as it is now, ``signer`` is the model key, ``scratch`` a directory
    for the lock that keeps two registrations of one model apart.
    """

    history: Callable[[], History]
    store: Store
    signer: Signer
    recorder: Recorder
    clock: Clock
    scratch: Path


def digest_of(source: Path) -> tuple[Digest, tuple[ModelFile, ...]]:
    """The model digest of a directory or file, and its files. Raises: BadInput."""
    files = tuple(hash_files(paths_of(source)))
    return of_tree((file.path, file.sha256) for file in files), files


def register(
    registration: Registration,
    decision: Decision,
    ports: Ports,
    progress: Progress | None = None,
) -> Model:
    """Store, sign and record the next version. The model is read as bytes and nothing else.

    Raises: GateDenied, BadInput, VerifyError (rule ``model.changed``: the files are no longer
    those decided on).
    """
    allow(decision, "register", registration.name)
    lock = manifests.lock_of(ports.scratch, registration.name)
    with exclusive(lock, f"model:{registration.name}", inf):
        version = Models(ports.history()).next_version(registration.name)
        return _register(registration, version, decision, ports, progress)


def _register(
    registration: Registration,
    version: int,
    decision: Decision,
    ports: Ports,
    progress: Progress | None,
) -> Model:
    name = registration.name
    stored = _stored(ports.store, name, paths_of(registration.source), progress)
    found = of_tree((file.path, file.sha256) for file in stored)
    if found != registration.digest:
        raise VerifyError(
            f"the files of model {name} changed before they were registered",
            where=str(registration.source),
            why=f"decided on {registration.digest}, found {found}",
            hint="run the training again",
            rule="model.changed",
        )
    bundle = signature.sign(name, [file.plain() for file in stored], ports.signer)
    kept = ports.store.put(manifests.scope_of(name), io.BytesIO(bundle))
    manifest = ModelManifest(name, version, stored, kept)
    model = Model(
        ref=f"model:{name}@{version}",
        name=name,
        version=version,
        digest=found,
        run=registration.run,
        stage=registration.stage,
        inputs=registration.inputs,
        files=len(stored),
        size_bytes=sum(file.size for file in stored),
        manifest=manifests.put(ports.store, manifest),
        signature=of_bytes(bundle),
        signer=ports.signer.key_id,
        decision=decision.id,
        actor=registration.actor,
        reason=registration.reason,
        time=stamp(ports.clock()),
        index=-1,
    )
    receipt = ports.recorder.record(statement_of(model))
    return msgspec.structs.replace(model, index=receipt.index)


def _stored(
    store: Store, name: str, files: Sequence[tuple[str, Path]], progress: Progress | None
) -> tuple[StoredModelFile, ...]:
    scope, out = manifests.scope_of(name), list[StoredModelFile]()
    for done, (path, source) in enumerate(files):
        if progress:
            progress.advance(done, len(files), f"storing {path}")
        with open_plain(source) as stream:
            kept = store.put(scope, stream)
        out.append(StoredModelFile(path, kept.size, kept.sha256, kept.segments))
    return tuple(out)


def allow(decision: Decision, gate: str, what: str) -> Decision:
    """Return ``decision`` if it is ``gate``'s and says yes. Raises: GateDenied."""
    if decision.gate != gate or not decision.allowed:
        raise GateDenied(
            f"{what}: the {gate} gate did not allow it",
            why="; ".join(decision.reasons),
            hint=next(iter(decision.mends), f"seal policy explain {decision.id[:12]}"),
            rule=next(iter(decision.failed), f"gate.{gate}"),
            decision=decision.id,
        )
    return decision
