"""One command in the room, as a stage: what it is given, what is kept, what it leaves.

Prepared outside (``prepare``), run by the engine (``RoomStage``), and only then allowed to
touch the project and the registry (``pipeline.finish``).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.core.ports import Clock, Store
from sealwright.core.records import Artifact, Finding, Json, Outcome
from sealwright.core.settings import Isolation
from sealwright.intake.manifest import FileRecord
from sealwright.intake.versions import Dataset, open_files, read_manifest
from sealwright.pipeline import leaks, network, outputs, plan
from sealwright.pipeline.failures import failure, wrote_nothing
from sealwright.pipeline.leaks import Ears, Secrets
from sealwright.pipeline.network import Network
from sealwright.pipeline.plan import Pins
from sealwright.pipeline.spec import StageSpec
from sealwright.train import compute, egress, keep, provenance, seen, snapshot
from sealwright.train.environment import Environment
from sealwright.train.keep import SCOPE
from sealwright.train.outcome import RoomResult
from sealwright.train.redact import Redactor
from sealwright.train.room import run_room
from sealwright.train.snapshot import Snapshot
from sealwright.train.spec import (
    Channel,
    CodeFile,
    Limits,
    Listener,
    Plan,
    RoomInput,
    RoomSpec,
    Usage,
)

IMPORTS = "imports"
"""The byproduct that lists the files which the run's Pythons said they imported."""


class Around(msgspec.Struct, frozen=True):
    """Where and how every stage of a run is run.

    ``optouts`` names the defaults that do not hold; ``settings`` is the digest of seal.toml.
    """

    project: Path
    scratch: Path
    profile: str
    limits: Limits
    isolation: Isolation
    gpu: Literal["off", "auto"]
    variables: Mapping[str, str]
    network: Network | None = None
    secrets: Secrets = Secrets()
    measured: Mapping[str, Json] = msgspec.field(default_factory=dict)
    optouts: tuple[str, ...] = ()
    settings: Digest = ""


class Prepared(msgspec.Struct, frozen=True):
    """A stage with everything it is pinned to; nothing of it was started yet."""

    spec: StageSpec
    run: str
    around: Around
    datasets: tuple[Dataset, ...]
    code: Snapshot
    environment: Environment
    earlier: tuple[Usage, ...] = ()

    @property
    def inputs(self) -> dict[str, Artifact]:
        """The datasets, by name."""
        return {one.name: Artifact(one.ref, one.digest) for one in self.datasets}

    @property
    def pins(self) -> Pins:
        """What the stage may use, by digest."""
        return Pins(
            inputs=tuple(self.inputs.values()),
            code=self.code.digest,
            config=plan.config_digest(self.spec, self.around.limits.told()),
            environment=self.environment.digest,
            interpreter=self.environment.interpreter_digest,
            packages=self.environment.packages_digest,
            diff=self.code.diff,
            lock=self.environment.lock_digest or "",
        )


class Made(msgspec.Struct, frozen=True):
    """What a successful stage left: files still in the room, and which of them is the model."""

    room: RoomResult
    model: str
    model_digest: str


SameRecords = Callable[[Dataset, FileRecord], bool]
"""Whether the project's copy of a file holds equal records in other bytes."""


def refuse_changed_data(prepared: Prepared, store: Store, same_records: SameRecords) -> None:
    """The script would train on the sealed version; say so before it does not see an edit.

    A table written again with equal records is no edit.
    Raises: VerifyError (``run.data-changed``) naming the file and the stage.
    """
    for dataset in prepared.datasets:
        manifest = read_manifest(dataset, store)
        if manifest.external:
            continue
        for file in manifest.files:
            relpath = manifest.relative(file.path)
            path = prepared.around.project / relpath
            if not path.is_file():
                continue
            same = path.stat().st_size == file.size and digest.of_file(path) == file.sha256
            if not same and not same_records(dataset, file):
                raise VerifyError(
                    f"stage {prepared.spec.name}: {relpath} is not what {dataset.ref} sealed",
                    where=relpath,
                    why="the file in the project was changed after it was signed",
                    hint=f"seal data add {manifest.base} --name {dataset.name} --reason '...'"
                    f" (a new version), or put the sealed file back",
                    rule="run.data-changed",
                )


class RoomStage:
    """The port ``Stage`` over one prepared command. ``made`` is there once it succeeded."""

    def __init__(
        self,
        prepared: Prepared,
        clock: Clock,
        listener: Listener,
        same_records: SameRecords,
        run_key: str = "",
    ) -> None:
        self._prepared = prepared
        self._same_records = same_records
        self._clock = clock
        self._listener = listener
        self._run_key = run_key
        self.made: Made | None = None
        self._attempts: tuple[egress.Line, ...] = ()
        self._imports = seen.Seen()

    @property
    def name(self) -> str:
        """The stage's name in seal.toml."""
        return self._prepared.spec.name

    def run(self, inputs: Mapping[str, Artifact], store: Store) -> Outcome:
        """Raises: StageFailed (its logs and outputs are kept, in quarantine), VerifyError."""
        prepared = self._prepared
        refuse_changed_data(prepared, store, self._same_records)
        kept = provenance.Kept(
            keep.save_code(store, prepared.code),
            keep.save_environment(store, prepared.environment),
        )
        code = snapshot.room_files(prepared.code.contents())
        opened = tuple(opened_inputs(prepared, inputs, store))
        prepared.environment.recheck()
        redactor = Redactor(prepared.around.secrets.values)
        ears = Ears(redactor, self._listener)
        started = self._clock()
        result = self._in_the_room(code, opened, ears)
        finished = self._clock()
        told = ears.end()
        told += compute_spikes(result, prepared.earlier)
        told += compute.over_plan(
            result.usage, prepared.spec.compute, prepared.around.gpu == "auto"
        )
        result = msgspec.structs.replace(result, findings=(*result.findings, *told))
        result = leaks.examine(result, redactor, prepared.around.secrets)
        logs = ears.logs
        try:
            byproducts = [_keep(store, name, log.getvalue()) for name, log in logs.items()]
            if result.status != "ok":
                raise failure(prepared.spec, prepared.run, result, store, byproducts)
            if not result.outputs:
                raise wrote_nothing(self.name)
            byproducts.append(_keep(store, "outputs", outputs.outputs_record(result.outputs)))
            if self._imports.reports:
                said = "\n".join(self._imports.files()).encode()
                byproducts.append(_keep(store, IMPORTS, said))
            model = outputs.pick_model(prepared.spec, result.outputs)
            model_digest = outputs.model_digest_of(model, result.outputs) if model else ""
        except BaseException:
            result.close()
            raise
        ran = provenance.Ran(
            run=prepared.run,
            stage=self.name,
            project=prepared.around.project.name,
            command=prepared.spec.argv,
            isolation=prepared.around.isolation,
            profile=prepared.around.profile,
            started=started,
            finished=finished,
            inputs=tuple(inputs.values()),
            config=prepared.pins.config,
            room={**room_facts(result), **prepared.around.measured},
            findings=result.findings,
            limits=result.limits.told(),
            byproducts=byproducts,
            run_key=self._run_key,
            extra=self._beyond(),
        )
        details = provenance.predicate(ran, prepared.code, prepared.environment, kept)
        self.made = Made(result, model, model_digest)
        subjects = outputs.subjects_of(prepared.spec, result.outputs, model_digest)
        return Outcome(subjects, result.findings, details)

    def _in_the_room(
        self, code: tuple[CodeFile, ...], opened: tuple[RoomInput, ...], ears: Ears
    ) -> RoomResult:
        """The run itself, with the proxy around it where a network was granted."""
        prepared = self._prepared
        spec = room_spec(prepared, code, opened, {})
        if prepared.environment.interpreter is None or spec.isolation == "none":
            return self._reaching(spec, ears)
        with seen.listening(spec) as (hooked, heard):
            result = self._reaching(hooked, ears)
        self._imports = heard
        return result

    def _reaching(self, spec: RoomSpec, ears: Ears) -> RoomResult:
        """The room with no network, or behind the proxy."""
        around, environment = self._prepared.around, self._prepared.environment
        if around.network is None:
            return run_room(spec, ears)
        probe = network.probe_spec(
            environment, around.project, around.scratch, around.isolation, around.limits
        )
        with network.opened(around.network, around.secrets.values, probe) as opening:
            spec = msgspec.structs.replace(
                spec,
                argv=network.command(environment, ("run", *environment.argv)),
                env={**spec.env, **network.variables()},
                sockets={**spec.sockets, egress.SOCKET: opening.socket},
            )
            result = run_room(spec, ears)
        self._attempts = opening.traffic.lines()
        return msgspec.structs.replace(
            result,
            facts={**result.facts, "network": "allow-list"},
            findings=(*result.findings, *egress.findings(self._attempts)),
        )

    def _beyond(self) -> dict[str, Json]:
        """What the provenance says of defaults, network and secrets."""
        around = self._prepared.around
        out: dict[str, Json] = {"optouts": list(around.optouts)}
        if around.settings:
            out["settings"] = around.settings
        plan = self._prepared.spec.compute
        if plan != Plan():
            out["compute_plan"] = msgspec.structs.asdict(plan)
        if around.network is not None:
            granted = around.network.granted
            out["egress"] = egress.record(around.network.rules, self._attempts, granted)
        if given := around.secrets.given(around.limits.wall_s):
            out["secrets"] = given
        if self._imports.reports:
            out["imports"] = {
                "reported_by": "in-room",
                "processes": self._imports.reports,
                "files": len(self._imports.files()),
            }
        return out


def compute_spikes(result: RoomResult, earlier: Sequence[Usage]) -> tuple[Finding, ...]:
    """What this run used against the stage's own history, and against what came of it."""
    written = sum(one.size for one in result.outputs)
    written += sum(log.kept_bytes + log.dropped_bytes for log in result.logs.values())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return compute.findings(result.usage, earlier, cores=cores or 1, written_bytes=written)


def room_facts(result: RoomResult) -> dict[str, Json]:
    """The room's own facts; ``rung`` as facts/v1 counts it, the layers by name beside it."""
    layers = str(result.facts.get("rung", ""))
    rung = 0
    if "bwrap" in layers:
        rung = 2 + ("cgroup" in layers) + ("landlock" in layers)
    if "gpu" in layers:
        rung -= 1
    usage: dict[str, Json] = msgspec.to_builtins(result.usage)
    return {**result.facts, "layers": layers, "rung": rung, "usage": usage}


def opened_inputs(
    prepared: Prepared, inputs: Mapping[str, Artifact], store: Store
) -> Iterator[RoomInput]:
    """Every file of the pinned datasets, verified as the room reads it.

    Raises: VerifyError (``run.input-swapped``, or the store's own rules).
    """
    for dataset in prepared.datasets:
        if inputs[dataset.name].digest != dataset.digest:
            raise VerifyError(
                f"stage {prepared.spec.name}: {dataset.ref} is not the version that was pinned",
                where=dataset.ref,
                rule="run.input-swapped",
            )
        for file in open_files(dataset, store, prepared.around.project):
            yield RoomInput(file.relpath, file.size, file.readable, file.sha256)


def room_spec(
    prepared: Prepared,
    code: tuple[CodeFile, ...],
    opened: tuple[RoomInput, ...],
    logs: Mapping[Channel, io.BytesIO],
) -> RoomSpec:
    """What the room is asked for."""
    around, environment = prepared.around, prepared.environment
    return RoomSpec(
        argv=environment.argv,
        project=around.project,
        scratch=around.scratch,
        code=code,
        inputs=opened,
        env={**around.variables, **environment.variables},
        read_only=tuple(Path(path) for path in environment.binds),
        limits=around.limits,
        isolation=around.isolation,
        gpu=around.gpu,
        logs=logs,
    )


def _keep(store: Store, name: str, content: bytes) -> provenance.Byproduct:
    stored = store.put(SCOPE, io.BytesIO(content))
    return provenance.Byproduct(name, stored.sha256, stored)
