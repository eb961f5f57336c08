"""A workspace's models: moving their aliases, and handing them out with their evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealwright.app import accessing
from sealwright.app.gating import WorkspaceGate
from sealwright.app.wiring import Workspace, trust_chain
from sealwright.core.errors import GateDenied
from sealwright.core.ports import Progress
from sealwright.core.reading import small_file
from sealwright.core.records import Artifact
from sealwright.registry import aliases
from sealwright.registry.aliases import Move, Mover
from sealwright.registry.export import Exported, Exporter, export
from sealwright.registry.versions import Model, Models


def artifact_of(model: Model) -> Artifact:
    """A model as a gate's subject."""
    return Artifact(model.ref, model.digest)


def promote(workspace: Workspace, gate: WorkspaceGate, model: Model, alias: str, why: str) -> Move:
    """Point an alias at a model. Raises: GateDenied, Refused (revoked, blocked), BadInput."""
    aliases.check_alias(alias)
    aliases.refuse_unusable(model)
    with workspace.lock():
        accessing.require(workspace, "promote", [artifact_of(model)], reason=why)
        decision = gate("promote", (artifact_of(model),), {"alias": alias})
        models = Models(workspace.history())
        current = next(m for m in models.all() if m.ref == model.ref)
        return aliases.promote(models, current, alias, decision, _mover(workspace, why))


def rollback(workspace: Workspace, gate: WorkspaceGate, name: str, alias: str, why: str) -> Move:
    """Point an alias back at the last version that still holds. Raises: as :func:`promote`."""
    with workspace.lock():
        target = aliases.rollback_target(Models(workspace.history()), name, alias)
        accessing.require(workspace, "promote", [artifact_of(target)], reason=why)
        decision = gate("promote", (artifact_of(target),), {"alias": alias})
        models = Models(workspace.history())
        return aliases.rollback(models, name, alias, decision, _mover(workspace, why))


def export_model(
    workspace: Workspace,
    gate: WorkspaceGate,
    model: Model,
    out: Path,
    undone: Callable[[str], None],
    progress: Progress | None = None,
    *,
    purpose: str = "",
) -> Exported:
    """Write a bundle; what publishing or a witness could not do is told to ``undone``.

    Raises: GateDenied, Refused (revoked, blocked), BadInput (``out`` exists), VerifyError.
    """
    aliases.refuse_unusable(model)
    asked = accessing.judged(
        workspace, "export", [artifact_of(model)], purpose=purpose, size_bytes=model.size_bytes
    )
    try:
        decision = gate("export", (artifact_of(model),), {})
    except GateDenied:
        accessing.settle(workspace, asked, 0, "the gate refused it")
        raise

    def settle() -> None:
        for note in workspace.settle():
            undone(note)

    exporter = Exporter(
        actor=workspace.principal.name,
        store=workspace.store,
        log=workspace.log,
        trust=workspace.trust,
        chain=trust_chain(workspace.seal_dir / "trust"),
        recorder=workspace.recorder,
        clock=workspace.clock,
        settle=settle,
    )
    policies = policy_files(workspace.root / "policies")
    models = Models(workspace.history())
    return export(models, model, out, decision, exporter, policies, progress)


def policy_files(directory: Path) -> dict[str, bytes]:
    """The rules in ``policies/``, by file name; they go along so that a decision can be read."""
    if not directory.is_dir():
        return {}
    return {
        path.name: small_file(path)
        for path in sorted(directory.iterdir())
        if path.suffix in (".cedar", ".cedarschema") and path.is_file() and not path.is_symlink()
    }


def _mover(workspace: Workspace, reason: str) -> Mover:
    return Mover(workspace.principal.name, reason, workspace.recorder, workspace.clock)
