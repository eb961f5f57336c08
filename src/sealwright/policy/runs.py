"""The runs behind an artifact, read from provenance: what a gate wants to know of each.

A run may have several stages; each leaves its own intent and provenance, so a stage is
found by (run, stage).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.predicates import (
    CLOSED,
    CONVERSION,
    DATASET_VERSION,
    DECISION,
    INTENT,
    MODEL_VERSION,
    SLSA_PROVENANCE,
)
from sealwright.core.records import Json, Recorded
from sealwright.evidence.history import History
from sealwright.evidence.lineage import inputs_of

NO_ROOM = frozenset({"", "none", "unisolated", "unknown"})
NO_NETWORK = frozenset({"none", "loopback"})
RUNGS = {
    "unisolated": 0,
    "bwrap+seccomp+rlimits+gpu": 1,
    "bwrap+seccomp+rlimits": 2,
    "bwrap+seccomp+cgroup+gpu": 2,
    "bwrap+seccomp+cgroup": 3,
    "bwrap+seccomp+landlock+rlimits+gpu": 2,
    "bwrap+seccomp+landlock+rlimits": 3,
    "bwrap+seccomp+landlock+cgroup+gpu": 3,
    "bwrap+seccomp+landlock+cgroup": 4,
}
"""The rooms there are, as provenance names them; a bound GPU costs a rung."""


class Step(msgspec.Struct, frozen=True):
    """One stage of one run, by name."""

    run: str
    stage: str


class Run(msgspec.Struct, frozen=True):
    """One stage of a run as the log has it; every default is the one that refuses."""

    step: Step
    index: int = -1
    profile: str = ""
    isolation: str = ""
    rung: int = 0
    network_none: bool = False
    egress_granted: bool = False
    plaintext_on_disk: bool = True
    code_dirty: bool = True
    status: str = "none"
    actor: str = ""
    missing: tuple[str, ...] = ()

    @property
    def unisolated(self) -> bool:
        """No room, or none that is known."""
        return self.isolation in NO_ROOM or self.rung < 1


def rung_of(value: object) -> int:
    """The fact ``isolation_rung`` of a room, by number or name; one nobody knows is none."""
    if isinstance(value, str):
        return RUNGS.get(value, 0)
    known = isinstance(value, int) and not isinstance(value, bool) and value in RUNGS.values()
    return int(value) if known else 0  # type: ignore[call-overload]


def _lower_rung(room: Mapping[str, Json]) -> int:
    """What was promised, or what the probes measured on that machine where that is less."""
    promised = rung_of(room.get("rung"))
    return min(promised, rung_of(room["rung_measured"])) if "rung_measured" in room else promised


def makers(history: History, digest: Digest, named: str = "") -> Step:
    """The stage that made an artifact, by the newest statement that says so.

    A model or dataset version names its run; before there is one, its provenance does.
    ``named`` picks one run where several made the same bytes.
    """
    found: dict[int, Step] = {}
    for entry in history.about(digest):
        kind, predicate = entry.statement.predicate_type, entry.statement.predicate
        if kind in (MODEL_VERSION, DATASET_VERSION) and predicate.get("run"):
            step = Step(_id(predicate.get("run")), str(predicate.get("stage", "")))
            found[entry.index + len(history.entries)] = step
        elif kind == SLSA_PROVENANCE:
            found[entry.index] = _step(entry)
    fits = [index for index, step in found.items() if not named or step.run == _id(named)]
    return found[max(fits)] if fits else Step(_id(named), "")


def step_of_dataset(version: Recorded) -> Step | None:
    """The stage whose output a dataset version is; None for data that was brought in."""
    run = _id(version.statement.predicate.get("run"))
    return Step(run, str(version.statement.predicate.get("stage", ""))) if run else None


def read(step: Step, history: History, makes: Iterable[Digest]) -> Run:
    """Everything the log says about a stage, which is held to have made ``makes``."""
    closed = list(_of_step(history, CLOSED, step))
    intents = list(_of_step(history, INTENT, step))
    actor = str(intents[-1].statement.predicate.get("actor", "")) if intents else ""
    status = str(closed[-1].statement.predicate.get("status", "failed")) if closed else "none"
    found = [e for e in history.of_type(SLSA_PROVENANCE) if _fits(_step(e), step)]
    if not step.run or not found:
        return Run(step, status=status, actor=actor, missing=("provenance",))
    provenance = found[-1]
    made = {subject.digest for subject in provenance.statement.subjects}
    made |= _converted(history, made)
    missing = [] if set(makes) <= made else ["provenance"]
    missing += _without_leave(provenance, intents, step, history)
    internal, room = _internal(provenance)
    return Run(
        step,
        index=provenance.index,
        profile=str(internal.get("profile", "")),
        isolation=str(internal.get("isolation", "")),
        rung=_lower_rung(room),
        network_none=room.get("network") in NO_NETWORK,
        egress_granted=_granted(internal, room),
        plaintext_on_disk=room.get("plaintext_on_disk") is not False,
        code_dirty=any(used.name == "diff" for used in inputs_of(provenance)),
        status=status if closed else "ok",
        actor=actor,
        missing=tuple(missing),
    )


def _converted(history: History, made: set[Digest]) -> set[Digest]:
    """What became of a stage's outputs by conversion: the same values in another format."""
    return {
        subject.digest
        for entry in history.of_type(CONVERSION)
        if _object(entry.statement.predicate.get("original")).get("digest") in made
        for subject in entry.statement.subjects
    }


def _granted(internal: Mapping[str, Any], room: Mapping[str, Any]) -> bool:
    """Only an allow list, granted, and tried before the job."""
    egress = _object(internal.get("egress"))
    return (
        room.get("network") == "allow-list"
        and egress.get("granted") is True
        and egress.get("probe") == "denied"
    )


def _without_leave(
    provenance: Recorded, intents: list[Recorded], step: Step, history: History
) -> Iterator[str]:
    """The statements that had to come before the run, where they did not."""
    before = [intent for intent in intents if intent.index < provenance.index]
    if not before:
        yield "intent"
        return
    wanted = {a.digest for a in inputs_of(provenance) if a.name.startswith("data:")}
    for entry in history.of_type(DECISION):
        predicate: Mapping[str, Any] = entry.statement.predicate
        if entry.index > before[-1].index or predicate.get("gate") != "train":
            continue
        about = {subject.digest for subject in entry.statement.subjects}
        same_run = _id(_object(predicate.get("given")).get("run")) == step.run
        if predicate.get("allowed") is True and wanted <= about and (wanted or same_run):
            return
    yield "decision:train"


def _of_step(history: History, kind: str, step: Step) -> Iterator[Recorded]:
    for entry in history.of_type(kind):
        predicate = entry.statement.predicate
        if _fits(Step(_id(predicate.get("run")), str(predicate.get("stage", ""))), step):
            yield entry


def _fits(found: Step, wanted: Step) -> bool:
    return found.run == wanted.run and (not wanted.stage or found.stage == wanted.stage)


def _step(provenance: Recorded) -> Step:
    predicate = provenance.statement.predicate
    metadata = _object(_object(predicate.get("runDetails")).get("metadata"))
    external = _object(_object(predicate.get("buildDefinition")).get("externalParameters"))
    return Step(_id(metadata.get("invocationId")), str(external.get("stage", "")))


def _internal(provenance: Recorded) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    definition = _object(provenance.statement.predicate.get("buildDefinition"))
    internal = _object(definition.get("internalParameters"))
    return internal, _object(internal.get("room"))


def _id(text: object) -> str:
    return text.removeprefix("run:") if isinstance(text, str) else ""


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
