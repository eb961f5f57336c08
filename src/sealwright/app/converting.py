"""Conversion: a clean model becomes tensors and plain parameters, in the jail; a statement."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sealwright.app.gating import WorkspaceGate
from sealwright.app.wiring import Workspace
from sealwright.core import refs
from sealwright.core.clock import stamp
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput
from sealwright.core.ports import JailBounds, JailInput, Readable, StoredFile
from sealwright.core.predicates import CONVERSION
from sealwright.core.records import Artifact, Statement
from sealwright.kit.loader import convert as module
from sealwright.kit.loader.opening import Held, require_clean
from sealwright.kit.modelfile.opened import Opened
from sealwright.kit.modelfile.policy import Level, policy_of
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.scan import scan
from sealwright.registry import manifest as manifests
from sealwright.registry import register as registry
from sealwright.registry.register import Registration
from sealwright.registry.versions import Model, Models

QUARANTINE = "quarantine"


class Converted(msgspec.Struct, frozen=True):
    """What came out. ``model`` is the new version, where the original was one."""

    files: tuple[tuple[str, Digest], ...]
    folder: Path
    original: Artifact
    model: Model | None
    quarantined: str
    index: int


def convert(workspace: Workspace, what: str, level: Level, out: str, reason: str) -> Converted:
    """Convert a file or a registered model.

    Raises: Refused (not clean; ``jail.*``), GateDenied, BadInput (nothing there, several files).
    """
    path = Path(what)
    if path.is_file() or path.is_symlink():
        try:
            with Opened(path) as source:
                outputs, sha256 = _jailed(workspace, source, level)
                source.unchanged()
        except Unsound as error:
            raise BadInput(f"{path}: {error}", why=error.found.rule) from error
        folder = _written(Path(out or f"{path}.converted"), outputs)
        original = Artifact(path.name, sha256)
        index = _record(workspace, original, outputs, level, reason)
        return _made(outputs, folder, original, None, _set_aside(workspace, path, sha256), index)
    model = Models(workspace.history()).resolve(refs.parse(what, "model"))
    outputs, sha256 = _jailed(workspace, _only_file(workspace, model), level)
    folder = _written(Path(out or f"{model.name}-{model.version}.converted"), outputs)
    original = Artifact(model.ref, model.digest)
    whole = Artifact(f"model:{model.name}", registry.digest_of(folder)[0])
    index = _record(workspace, original, outputs, level, reason, (whole,))
    made = _registered(workspace, model, folder, reason)
    return _made(outputs, folder, original, made, "", index)


def _jailed(
    workspace: Workspace, source: Readable, level: Level
) -> tuple[dict[str, bytes], Digest]:
    """One sealed copy is scanned and, where it is clean, converted in the jail."""
    held = Held(source)
    try:
        require_clean(scan(held, policy_of(level)))
        given = JailInput("model", held.size, held, held.sha256)
        jailed = workspace.jail.run("sealwright.kit.loader.convert", [level], [given], JailBounds())
        outputs = {name: jailed.outputs[name] for name in (module.TENSORS, module.PARAMETERS)}
        for data in outputs.values():
            require_clean(scan(data, policy_of("weights")))
        return outputs, held.sha256
    except KeyError as error:
        raise BadInput("the model could not be converted", why=f"no {error} came out") from error
    finally:
        held.close()


def _only_file(workspace: Workspace, model: Model) -> Readable:
    manifest = manifests.load(workspace.store, model.name, model.manifest)
    if len(manifest.files) != 1:
        names = ", ".join(one.path for one in manifest.files[:5])
        raise BadInput(f"{model.ref} has {len(manifest.files)} files", why=names)
    one = manifest.files[0]
    stored = StoredFile(one.sha256, one.size, one.segments)
    return workspace.store.open(manifests.scope_of(model.name), stored)


def _written(folder: Path, outputs: dict[str, bytes]) -> Path:
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise BadInput(f"{folder} is there already", hint="--out FOLDER") from error
    for name, data in outputs.items():
        (folder / name).write_bytes(data)
    return folder


def _registered(workspace: Workspace, model: Model, folder: Path, reason: str) -> Model:
    digest, _ = registry.digest_of(folder)
    gate = WorkspaceGate(workspace, reason)
    subject = Artifact(f"model:{model.name}", digest)
    decision = gate("register", (subject,), {"run": model.run})
    ports = registry.Ports(
        history=workspace.history,
        store=workspace.store,
        signer=workspace.keyring.signer("model"),
        recorder=workspace.recorder,
        clock=workspace.clock,
        scratch=workspace.seal_dir / "tmp",
    )
    wanted = Registration(
        name=model.name,
        source=folder,
        digest=digest,
        run=model.run,
        stage=model.stage,
        inputs=(Artifact(model.ref, model.digest), *model.inputs),
        actor=workspace.principal.name,
        reason=reason or f"converted from {model.ref}",
    )
    return registry.register(wanted, decision, ports)


def _record(
    workspace: Workspace,
    original: Artifact,
    outputs: dict[str, bytes],
    level: Level,
    reason: str,
    whole: tuple[Artifact, ...] = (),
) -> int:
    """The conversion's statement; ``whole`` is the folder as a model."""
    subjects = (*whole, *(Artifact(name, of_bytes(data)) for name, data in outputs.items()))
    statement = Statement(
        subjects,
        CONVERSION,
        {
            "original": {"name": original.name, "digest": original.digest},
            "format": "safetensors",
            "level": level,
            "policy": policy_of(level).digest,
            "actor": workspace.principal.name,
            "reason": reason,
            "time": stamp(workspace.clock()),
        },
    )
    return workspace.recorder.record(statement).index


def _set_aside(workspace: Workspace, path: Path, sha256: Digest) -> str:
    """The original goes where no command looks for a model, readable to its owner alone."""
    folder = workspace.seal_dir / QUARANTINE
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{sha256}.model"
    path.replace(target)
    target.chmod(0o400)
    return str(target)


def _made(
    outputs: dict[str, bytes],
    folder: Path,
    original: Artifact,
    model: Model | None,
    quarantined: str,
    index: int,
) -> Converted:
    files = tuple((name, of_bytes(data)) for name, data in outputs.items())
    return Converted(files, folder, original, model, quarantined, index)
