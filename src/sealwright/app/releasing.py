"""After a run succeeded and is in the log: its files come out, and become versions."""

from __future__ import annotations

import msgspec

from sealwright.app import materials, supplying
from sealwright.app.datasets import ports_of
from sealwright.app.gating import WorkspaceGate
from sealwright.app.running import Ran
from sealwright.app.wiring import Workspace
from sealwright.core.records import Artifact
from sealwright.intake import add as intake
from sealwright.intake.add import AddRequest
from sealwright.intake.versions import Dataset
from sealwright.registry import register as registry
from sealwright.registry.register import Registration
from sealwright.registry.versions import Model


class Released(msgspec.Struct, frozen=True):
    """What a run became. ``model`` is None where it made none."""

    model: Model | None
    datasets: tuple[Dataset, ...]
    warnings: tuple[str, ...] = ()


def release(workspace: Workspace, ran: Ran, reason: str = "") -> Released:
    """Write the outputs into the project, sign its datasets, register its model.

    Raises: GateDenied (register), VerifyError (a file was swapped on the way), BadInput.
    """
    spec, made = ran.prepared.spec, ran.made
    made.room.write_back(workspace.root)
    datasets = tuple(
        _dataset(workspace, ran, name, path, reason) for name, path in spec.outputs.items()
    )
    if not made.model:
        return Released(None, datasets)
    gate = WorkspaceGate(workspace, reason)
    subject = Artifact(f"model:{spec.model_name}", made.model_digest)
    left = [(one.relpath, one.sha256) for one in made.room.outputs]
    _, scanned = supplying.scan_model(workspace, subject, workspace.root / made.model, left)
    decision = gate("register", (subject,), {"run": ran.prepared.run})
    model = registry.register(
        Registration(
            name=spec.model_name,
            source=workspace.root / made.model,
            digest=made.model_digest,
            run=ran.prepared.run,
            stage=spec.name,
            inputs=_inputs(ran),
            actor=workspace.principal.name,
            reason=reason,
        ),
        decision,
        registry.Ports(
            history=workspace.history,
            store=workspace.store,
            signer=workspace.keyring.signer("model"),
            recorder=workspace.recorder,
            clock=workspace.clock,
            scratch=workspace.seal_dir / "tmp",
        ),
    )
    words = (*gate.warnings, *supplying.words(scanned))
    if workspace.settings.supply.bill and (said := materials.of_model(workspace, model)):
        words = (*words, said)
    return Released(model, datasets, words)


def _dataset(workspace: Workspace, ran: Ran, name: str, path: str, reason: str) -> Dataset:
    stage = ran.prepared.spec.name
    told = workspace.settings.data.get(name)
    request = AddRequest(
        path=path,
        name=name,
        actor=workspace.principal.name,
        reason=reason or f"made by stage {stage}",
        sensitivity=(told.sensitivity or None) if told else None,
        inputs=_inputs(ran),
        stage=stage,
        run=ran.prepared.run,
        reread=True,
    )
    return intake.add(request, ports_of(workspace)).dataset


def _inputs(ran: Ran) -> tuple[Artifact, ...]:
    return (*ran.prepared.inputs.values(), Artifact("code", ran.prepared.pins.code))
