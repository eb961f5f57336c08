"""Model versions, aliases and revocations, as the statements of a history leave them.

Nothing here is stored: every answer is replayed from signed statements.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import StoredFile
from sealwright.core.predicates import ALIAS, MODEL_VERSION, SLSA_PROVENANCE
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.core.refs import Ref
from sealwright.evidence.history import History
from sealwright.evidence.lineage import Graph
from sealwright.evidence.standing import Standing, Status
from sealwright.registry.manifest import MEDIA_TYPE


class Model(msgspec.Struct, frozen=True):
    """One model version.

    ``digest`` is the OpenSSF model digest, ``index`` the log entry that made the version.
    ``status``: ``revoked`` itself, or ``blocked`` by the revoked artifacts in ``blocked_by``
    that it was made from. ``aliases`` point here now.
    """

    ref: str
    name: str
    version: int
    digest: Digest
    run: str
    stage: str
    inputs: tuple[Artifact, ...]
    files: int
    size_bytes: int
    manifest: StoredFile
    signature: Digest
    signer: Digest
    decision: Digest
    actor: str
    reason: str
    time: str
    index: int
    aliases: tuple[str, ...] = ()
    status: Status = "active"
    blocked_by: tuple[Artifact, ...] = ()


class Alias(msgspec.Struct, frozen=True):
    """Where an alias points, and where it pointed before: versions, the present one last."""

    model: str
    name: str
    trail: tuple[int, ...]

    @property
    def version(self) -> int:
        """The version it points at."""
        return self.trail[-1]


class Models:
    """Every model version of a history. Built once; later statements need a new one."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.graph = Graph.of(history)
        self.standing = Standing(history, self.graph)
        self._aliases = _aliases(history)
        self._versions: dict[tuple[str, int], Model] = {}
        for entry in history.of_type(MODEL_VERSION):
            model = self._model(entry)
            self._versions.setdefault((model.name, model.version), model)

    def all(self) -> tuple[Model, ...]:
        """Every version, newest first."""
        return tuple(sorted(self._versions.values(), key=lambda m: m.index, reverse=True))

    def of(self, name: str) -> tuple[Model, ...]:
        """The versions of one model, newest first."""
        return tuple(model for model in self.all() if model.name == name)

    def resolve(self, ref: Ref) -> Model:
        """The version a reference names. Raises: BadInput, listing what there is."""
        if ref.kind != "model":
            raise BadInput(f"{ref} is not a model", hint="seal model list")
        versions = self.of(ref.name)
        if not versions:
            known = ", ".join(sorted({model.name for model in self._versions.values()}))
            raise BadInput(
                f"there is no model {ref.name!r}",
                why=f"known: {known}" if known else "no model was registered yet",
                hint="seal model list",
            )
        wanted = ref.version
        if ref.alias:
            wanted = self.alias(ref.name, ref.alias).version
        elif not wanted:
            wanted = max(model.version for model in versions)
        found = self._versions.get((ref.name, wanted))
        if found is None:
            raise BadInput(
                f"there is no {ref}",
                why=f"{ref.name} has the versions 1 to {max(m.version for m in versions)}",
                hint="seal model list",
            )
        return found

    def alias(self, model: str, alias: str) -> Alias:
        """Raises: BadInput when no promotion ever set it."""
        found = self._aliases.get((model, alias))
        if found is None:
            names = ", ".join(sorted(name for owner, name in self._aliases if owner == model))
            raise BadInput(
                f"model {model} has no alias {alias!r}",
                why=f"it has: {names}" if names else "it has none",
                hint=f"seal model promote {model}@latest {alias}",
            )
        return found

    def find_alias(self, model: str, alias: str) -> Alias | None:
        """Where the alias points, if it exists."""
        return self._aliases.get((model, alias))

    def next_version(self, name: str) -> int:
        """The number the next registration of ``name`` gets."""
        return max((model.version for model in self.of(name)), default=0) + 1

    def signed_by(self, signature: Digest) -> Model | None:
        """The version whose ``model.sig`` has that SHA-256."""
        return next((m for m in self.all() if m.signature == signature), None)

    def _model(self, entry: Recorded) -> Model:
        model = model_of(entry)
        revoked = self.standing.revoked
        used = (artifact for artifact in model.inputs if artifact.digest in revoked)
        blocked_by = (*self.standing.blocked_by(model.digest), *used)
        status: Status = "blocked" if blocked_by else "active"
        if model.digest in revoked:
            status = "revoked"
        aliases = sorted(
            alias.name
            for alias in self._aliases.values()
            if (alias.model, alias.version) == (model.name, model.version)
        )
        unique = {artifact.digest: artifact for artifact in blocked_by}
        return msgspec.structs.replace(
            model, aliases=tuple(aliases), status=status, blocked_by=tuple(unique.values())
        )


def provenance(models: Models, model: Model) -> Recorded | None:
    """The SLSA provenance of the stage that made the model; None when the log has none."""
    found = [
        entry
        for entry in models.history.about(model.digest)
        if entry.statement.predicate_type == SLSA_PROVENANCE and run_of(entry) == model.run
    ]
    named = [entry for entry in found if stage_of(entry) == model.stage]
    return next(iter(named or found), None)


def run_of(entry: Recorded) -> str:
    """The run id in a provenance statement; empty when there is none."""
    value: Any = entry.statement.predicate
    try:
        return str(value["runDetails"]["metadata"]["invocationId"])
    except (KeyError, TypeError):
        return ""


def stage_of(entry: Recorded) -> str:
    """The stage in a provenance statement; empty when there is none."""
    value: Any = entry.statement.predicate
    try:
        return str(value["buildDefinition"]["externalParameters"]["stage"])
    except (KeyError, TypeError):
        return ""


class _Predicate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    version: int
    run: str
    stage: str
    inputs: tuple[dict[str, str], ...]
    files: int
    size_bytes: int
    manifest: StoredFile
    signature: str
    signer: str
    decision: str
    actor: str
    reason: str
    time: str


def model_of(entry: Recorded) -> Model:
    """A model-version statement as a record; aliases and status are not in it.

    Raises: VerifyError, rule ``model.statement``.
    """
    statement = entry.statement
    value: Any = statement.predicate
    try:
        told = msgspec.convert(value, _Predicate, strict=True)
        inputs = tuple(Artifact(item["name"], item["digest"]) for item in told.inputs)
    except (msgspec.ValidationError, KeyError) as error:
        raise _malformed(entry, str(error)) from error
    ref = f"model:{told.name}@{told.version}"
    if len(statement.subjects) != 1 or statement.subjects[0].name != ref:
        raise _malformed(entry, f"its subject is not {ref}")
    return Model(
        ref=ref,
        name=told.name,
        version=told.version,
        digest=statement.subjects[0].digest,
        run=told.run,
        stage=told.stage,
        inputs=inputs,
        files=told.files,
        size_bytes=told.size_bytes,
        manifest=told.manifest,
        signature=told.signature,
        signer=told.signer,
        decision=told.decision,
        actor=told.actor,
        reason=told.reason,
        time=told.time,
        index=entry.index,
    )


def statement_of(model: Model) -> Statement:
    """The statement that makes a version; :func:`model_of` reads it back."""
    predicate: dict[str, Json] = {
        "name": model.name,
        "version": model.version,
        "run": model.run,
        "stage": model.stage,
        "inputs": [{"name": item.name, "digest": item.digest} for item in model.inputs],
        "files": model.files,
        "size_bytes": model.size_bytes,
        "manifest": {
            "sha256": model.manifest.sha256,
            "size": model.manifest.size,
            "segments": list(model.manifest.segments),
        },
        "signature": model.signature,
        "signer": model.signer,
        "decision": model.decision,
        "actor": model.actor,
        "reason": model.reason,
        "time": model.time,
    }
    subject = Artifact(model.ref, model.digest, MEDIA_TYPE)
    return Statement((subject,), MODEL_VERSION, predicate)


def _aliases(history: History) -> dict[tuple[str, str], Alias]:
    out: dict[tuple[str, str], Alias] = {}
    for entry in history.of_type(ALIAS):
        told: Any = entry.statement.predicate
        try:
            model, name = str(told["model"]), str(told["alias"])
            version, action = int(told["version"]), told["action"]
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed(entry, f"alias: {error}") from error
        before = out.get((model, name))
        trail = before.trail if before else ()
        if action == "rollback" and version in trail:
            trail = trail[: len(trail) - trail[::-1].index(version)]
        elif not trail or trail[-1] != version:
            trail = (*trail, version)
        out[model, name] = Alias(model, name, trail)
    return out


def _malformed(entry: Recorded, why: str) -> VerifyError:
    where = f"entry {entry.index}"
    return VerifyError(f"log {where} cannot be read", where=where, why=why, rule="model.statement")
