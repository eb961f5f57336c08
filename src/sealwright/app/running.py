"""``seal run`` and ``seal reproduce`` over a workspace: prepare, walk, and only then let out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import msgspec

from sealwright.app import accessing, datarules, defaults, leaving, screening, supplying, wiring
from sealwright.app.datasets import memory_of
from sealwright.app.gating import WorkspaceGate
from sealwright.app.pastruns import earlier_outputs, usages
from sealwright.app.runidentity import WatchedStore, identity_of
from sealwright.app.screening import Looked
from sealwright.app.wiring import Workspace
from sealwright.core import digest, predicates, refs, settings
from sealwright.core.errors import BadInput, GateDenied, Refused
from sealwright.core.locking import exclusive, is_held
from sealwright.core.ports import Progress
from sealwright.core.records import Artifact, Json
from sealwright.core.refs import Ref
from sealwright.core.settings import Gpu, Isolation
from sealwright.evidence.history import History
from sealwright.intake.manifest import FileRecord
from sealwright.intake.streams import Silent
from sealwright.intake.verify import lies_unchanged
from sealwright.intake.versions import Dataset, Datasets
from sealwright.pipeline import engine
from sealwright.pipeline.engine import Done, Job
from sealwright.pipeline.spec import StageSpec
from sealwright.pipeline.training import Around, Made, Prepared, RoomStage
from sealwright.policy import runs
from sealwright.policy.access import Judgement
from sealwright.policy.context import RoomFacts
from sealwright.train import environment, measured, primitives, snapshot
from sealwright.train.spec import Limits, Listener


class Ran(msgspec.Struct, frozen=True):
    """A stage that succeeded: what it was pinned to, its statement, and what it left."""

    prepared: Prepared
    done: Done
    made: Made
    warnings: tuple[str, ...]
    looked: tuple[Looked, ...] = ()


Watcher = Callable[[str], AbstractContextManager[Progress]]
"""Shows how far the screening of a version is."""


def unwatched(label: str) -> AbstractContextManager[Progress]:
    """Nobody looks."""
    return nullcontext(Silent())


def around(
    workspace: Workspace, isolation: Isolation | None = None, gpu: Gpu | None = None
) -> Around:
    """Where stages run, from the settings; the command line may say otherwise."""
    room = workspace.settings.room
    scratch = workspace.state_dir / "rooms"
    scratch.mkdir(mode=0o700, exist_ok=True)
    limits = Limits(
        memory_bytes=0 if room.memory == "auto" else settings.size_bytes(room.memory),
        processes=room.processes,
        wall_s=settings.span_s(room.time),
        output_bytes=settings.size_bytes(room.output),
        output_files=room.files,
        log_bytes=settings.size_bytes(room.log),
    )
    walls = isolation or room.isolation
    return Around(
        project=workspace.root,
        scratch=scratch,
        profile=workspace.profile,
        limits=limits,
        isolation=walls,
        gpu=gpu or room.gpu,
        variables={},
        measured=_measured(workspace, walls),
    )


def _measured(workspace: Workspace, walls: Isolation) -> dict[str, Json]:
    """What `seal doctor --probes` found on this machine, if it still counts."""
    try:
        found = measured.load(workspace.state_dir) if walls != "none" else None
    except Refused:  # no bubblewrap: the gate says so
        return {}
    if found is None or walls not in found.rungs:
        return {}
    return {"rung_measured": found.rungs[walls].measured, "measurement": found.digest}


def prepare(
    workspace: Workspace, spec: StageSpec, run: str, where: Around, reason: str = ""
) -> Prepared:
    """Resolve and pin everything a stage uses. Starts nothing.

    Raises: BadInput, Unavailable, Refused and GateDenied (a network that may not be opened).
    """
    history = workspace.history()
    catalogue = Datasets(history, workspace.store)
    wanted = spec.inputs or tuple(default_inputs(workspace, catalogue))
    chosen = tuple(_resolve(workspace, catalogue, ref) for ref in wanted)
    missing = [name for name in spec.env if name not in os.environ]
    if missing:
        raise BadInput(
            f"stage {spec.name} wants {', '.join(missing)} from the environment",
            why="it is not set",
            hint=f"export {missing[0]}=..., or take it out of stage.{spec.name}.env",
        )
    named = msgspec.structs.replace(
        spec,
        inputs=tuple(Ref("data", one.name, one.version) for one in chosen),
        model_name=spec.model_name or model_name(workspace.root),
    )
    variables = {name: os.environ[name] for name in spec.env}
    limits = spec.compute.limits(where.limits)
    where = msgspec.structs.replace(where, variables=variables, limits=limits)
    return Prepared(
        named,
        run,
        _told(workspace, leaving.around_stage(workspace, named, where, reason)),
        chosen,
        snapshot.take(workspace.root, not_code(workspace, catalogue, history, spec)),
        environment.describe(spec.argv, workspace.root),
        usages(history, spec.name),
    )


def _told(workspace: Workspace, where: Around) -> Around:
    """``where``, saying which defaults do not hold in it, and by which settings."""
    out = defaults.opted_out(
        workspace.settings,
        custody=workspace.kms.custody,
        isolation=where.isolation,
        gpu=where.gpu,
        network=where.network is not None,
        secrets=where.secrets.env,
    )
    toml = workspace.root / wiring.SETTINGS
    sealed = digest.of_file(toml) if toml.exists() else ""
    return msgspec.structs.replace(where, optouts=out, settings=sealed)


def execute(
    workspace: Workspace,
    prepared: Prepared,
    listener: Listener,
    reason: str,
    purpose: str = "",
    watcher: Watcher = unwatched,
    told: Callable[[Looked], None] = lambda looked: None,
) -> Ran:
    """Walk one stage; its outputs are still in the room. Raises: GateDenied, StageFailed, …"""
    asked = refuse_without_access(workspace, prepared, reason, purpose)
    examined = supplying.examine(workspace, prepared)
    looked = _screened(workspace, prepared, watcher, told)
    gate = WorkspaceGate(workspace, reason, room_facts(prepared.around))
    data = datarules.before_run(workspace, prepared.datasets)
    gate.warnings += data.lines

    def same_records(dataset: Dataset, file: FileRecord) -> bool:
        return lies_unchanged(memory_of(workspace, dataset), file, workspace.root)

    pins = prepared.pins
    with identity_of(workspace, prepared.run) as identity:
        stage = RoomStage(prepared, workspace.clock, listener, same_records, identity.key_id)
        job = Job(
            run=prepared.run,
            stage=stage,
            predicate_type=predicates.SLSA_PROVENANCE,
            plan=pins.plan,
            inputs=prepared.inputs,
            request={"run": prepared.run, "stage": prepared.spec.name},
            optouts=prepared.around.optouts,
            subjects=(*prepared.inputs.values(), Artifact("code", pins.code)),
        )
        store = WatchedStore(workspace.store, identity)
        try:
            done = engine.execute(job, msgspec.structs.replace(ports(workspace, gate), store=store))
        except GateDenied as denied:
            accessing.settle(workspace, asked, 0, "the gate refused the run")
            told_why = supplying.explained(data.explain(denied), examined)
            raise screening.explained(workspace, told_why, looked) from None
    if stage.made is None:
        raise Refused("the stage says it succeeded and made nothing", rule="run.failed")
    notes = tuple(gate.warnings) + examined.lines
    return Ran(prepared, done, stage.made, notes, looked)


def _screened(
    workspace: Workspace,
    prepared: Prepared,
    watcher: Watcher,
    told: Callable[[Looked], None],
) -> tuple[Looked, ...]:
    """Look at every version the stage is about to read. Raises: VerifyError, BadInput."""
    looked = []
    for dataset in prepared.datasets:
        with watcher(f"screening {dataset.ref}") as progress:
            looked.append(screening.look(workspace, dataset, progress))
        told(looked[-1])
    return tuple(looked)


def refuse_without_access(
    workspace: Workspace, prepared: Prepared, reason: str, purpose: str
) -> Judgement:
    """Whether this principal may train on these data now. Raises: GateDenied."""
    data = [one.artifact for one in prepared.datasets]
    return accessing.judged(
        workspace,
        "train",
        data or [Artifact("code", prepared.pins.code)],
        purpose=purpose,
        size_bytes=sum(one.size_bytes for one in prepared.datasets),
        run=prepared.run,
        reason=reason,
    )


def ports(workspace: Workspace, gate: WorkspaceGate) -> engine.Ports:
    """What the engine needs of a workspace."""
    return engine.Ports(
        workspace.recorder, workspace.store, workspace.clock, gate, workspace.principal.name
    )


def sweep(workspace: Workspace) -> list[str]:
    """Close the runs that a crash cut off; returns their ids."""
    gate = WorkspaceGate(workspace)

    def alive(run: str) -> bool:
        return is_held(workspace.run_lock(run))

    return engine.close_interrupted(workspace.history(), ports(workspace, gate), alive)


@contextmanager
def running(workspace: Workspace, run: str) -> Iterator[None]:
    """While the block runs, other commands can see that this run is alive."""
    path = workspace.run_lock(run)
    with exclusive(path, f"run {run}"):
        path.write_text(f"{os.getpid()}\n", "ascii")  # whom `seal contain kill` has to end
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def room_facts(where: Around) -> RoomFacts:
    """The room this machine would make, for the gate before training."""
    if where.isolation == "none":
        return RoomFacts(isolation="none", rung=0, missing=())
    try:
        primitives.bubblewrap()
    except Refused as refused:
        return RoomFacts(isolation=where.isolation, rung=0, missing=(refused.why or refused.what,))
    promised = measured.promised(where.isolation, grouped=False) - (where.gpu == "auto")
    return RoomFacts(
        isolation=where.isolation,
        rung=min(promised, runs.rung_of(where.measured.get("rung_measured", promised))),
        network_none=where.network is None,
        egress_granted=where.network is not None and where.network.granted,
        plaintext_on_disk=False,
        missing=(),
    )


def default_inputs(workspace: Workspace, catalogue: Datasets) -> Iterator[Ref]:
    """The datasets of seal.toml, and every other one whose files lie in the project."""
    inside = [one.name for one in latest(catalogue) if is_inside(catalogue, one)]
    for name in dict.fromkeys((*workspace.settings.data, *inside)):
        yield Ref("data", name)


def latest(catalogue: Datasets) -> list[Dataset]:
    """The newest version of every dataset."""
    newest = {one.name: one for one in catalogue.all()}
    return list(newest.values())


def is_inside(catalogue: Datasets, dataset: Dataset) -> bool:
    """Whether the dataset's files lie below the project."""
    return not catalogue.manifest(dataset).outside


def not_code(
    workspace: Workspace, catalogue: Datasets, history: History, spec: StageSpec
) -> set[str]:
    """Project paths that are data, or that an earlier run wrote and nobody changed since."""
    paths = declared_paths(workspace, catalogue) | earlier_outputs(workspace, history)
    return paths | ({os.path.normpath(spec.model)} if spec.model else set())


def declared_paths(workspace: Workspace, catalogue: Datasets) -> set[str]:
    """Every project path that is data: of seal.toml, of its stages' outputs, of the catalogue."""
    paths = {os.path.normpath(data.path) for data in workspace.settings.data.values()}
    for stage in workspace.settings.stage.values():
        paths |= {os.path.normpath(path) for path in stage.outputs.values()}
    for dataset in latest(catalogue):
        manifest = catalogue.manifest(dataset)
        if not manifest.outside:
            paths.add(manifest.base)
    return {path for path in paths if not Path(path).is_absolute()}


def model_name(project: Path) -> str:
    """What to call a model that nobody named: after the project's folder."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in project.name.lower()).split()
    name = "-".join(words)[:64].strip("-") or "model"
    return refs.check_name(name)


def _resolve(workspace: Workspace, catalogue: Datasets, ref: Ref) -> Dataset:
    if any(one.name == ref.name for one in catalogue.all()):
        return catalogue.resolve(ref)
    declared: Mapping[str, settings.Data] = workspace.settings.data
    path = declared[ref.name].path if ref.name in declared else "PATH"
    label = declared[ref.name].label if ref.name in declared else ""
    labelled = f" --label {label}" if label else ""
    raise BadInput(
        f"there is no {ref} yet",
        why="only signed data goes into the room",
        hint=f"seal data add {path} --name {ref.name}{labelled} --reason 'first delivery'",
    )
