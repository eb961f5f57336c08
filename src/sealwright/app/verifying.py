"""``seal verify`` of what a workspace holds: a model or a run, read again to the last byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sealwright.app.wiring import Workspace
from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import Progress, StoredFile
from sealwright.core.predicates import SLSA_PROVENANCE
from sealwright.core.records import Recorded
from sealwright.evidence.history import History
from sealwright.evidence.keys import load_public
from sealwright.registry import manifest as manifests
from sealwright.registry import signature
from sealwright.registry.files import CHUNK_BYTES, ModelFile
from sealwright.registry.manifest import scope_of
from sealwright.registry.versions import Model, Models, provenance, run_of
from sealwright.train import keep

RUN_SCOPE = keep.SCOPE


class VerifiedModel(msgspec.Struct, frozen=True):
    """A model version whose every stored byte is what was signed."""

    model: Model
    files: tuple[ModelFile, ...]
    run: Recorded | None


class VerifiedRun(msgspec.Struct, frozen=True):
    """A run whose statement holds and whose kept records are what it names."""

    run: str
    entries: tuple[Recorded, ...]
    kept: tuple[str, ...]
    models: tuple[str, ...]


def model(workspace: Workspace, wanted: Model, progress: Progress) -> VerifiedModel:
    """Read a stored model again, against its OpenSSF signature and the log.

    Raises: VerifyError naming the file, Refused (shredded).
    """
    manifest = manifests.load(workspace.store, wanted.name, wanted.manifest)
    key = workspace.trust.public("model", wanted.index).get(wanted.signer)
    if key is None:
        raise VerifyError(
            f"{wanted.ref} is signed by no model key that was good for it",
            where=f"entry {wanted.index}",
            rule="model.signer",
        )
    scope = scope_of(wanted.name)
    bundle = manifests.read_all(workspace.store.open(scope, manifest.signature))
    signed = signature.verify(bundle, load_public(key.pem))
    if of_bytes(bundle) != wanted.signature or signed.digest != wanted.digest:
        raise VerifyError(
            f"the stored signature of {wanted.ref} is not the recorded one",
            where=f"entry {wanted.index}",
            rule="model.signature",
        )
    found = [_reread(workspace, scope, file, progress) for file in manifest.files]
    files = signature.check_files(signed, found)
    return VerifiedModel(wanted, files, provenance(Models(workspace.history()), wanted))


def run(workspace: Workspace, name: str, history: History) -> VerifiedRun:
    """Read a run's kept records again: code, environment, captured streams.

    Raises: BadInput (no such run, or it never succeeded), VerifyError, Refused (shredded).
    """
    entries = tuple(e for e in history.of_type(SLSA_PROVENANCE) if run_of(e) == name)
    if not entries:
        raise BadInput(
            f"run:{name} has no provenance",
            why="there is no such run, or it did not succeed",
            hint="seal log show",
        )
    kept = tuple(what for entry in entries for what in _kept(workspace, entry))
    made = {subject.digest for entry in entries for subject in entry.statement.subjects}
    models = tuple(m.ref for m in Models(history).all() if m.run == name and m.digest in made)
    return VerifiedRun(name, entries, kept, models)


def _reread(
    workspace: Workspace, scope: str, file: manifests.StoredModelFile, progress: Progress
) -> ModelFile:
    import hashlib

    readable, state, at = workspace.store.open(scope, file.stored()), hashlib.sha256(), 0
    while at < readable.size:
        piece = readable.pread(at, CHUNK_BYTES * 4)
        state.update(piece)
        at += len(piece)
        progress.advance(at, readable.size, file.path)
    return ModelFile(file.path, at, state.hexdigest())


def _kept(workspace: Workspace, entry: Recorded) -> Iterator[str]:
    for item in _descriptors(entry.statement.predicate):
        name, digest = str(item.get("name")), str(item["digest"]["sha256"])
        stored = item.get("annotations", {}).get("stored")
        if stored is None:
            continue
        file = msgspec.convert(stored, StoredFile)
        if name == "code":
            for _ in keep.load_code(workspace.store, file, digest).contents():
                pass
        elif name == "environment":
            keep.load_environment(workspace.store, file, digest)
        elif of_bytes(manifests.read_all(workspace.store.open(RUN_SCOPE, file))) != digest:
            raise VerifyError(
                f"the kept {name} is not what the run made",
                where=f"entry {entry.index}",
                rule="run.kept-changed",
            )
        yield name


def _descriptors(predicate: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from predicate["buildDefinition"]["resolvedDependencies"]
    yield from predicate["runDetails"].get("byproducts", [])
