"""The runs behind an artifact, read from provenance: what the gate wants to know of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.predicates import (
    CLOSED,
    DATASET_VERSION,
    DECISION,
    INTENT,
    MODEL_VERSION,
    SLSA_PROVENANCE,
)
from sealwright.core.records import Recorded
from sealwright.evidence.history import History
from sealwright.evidence.lineage import inputs_of

NO_ROOM = frozenset({"", "none", "unisolated", "unknown"})
NO_NETWORK = frozenset({"none", "loopback"})


class Run(msgspec.Struct, frozen=True):
    """One run as the log has it; every default is the one that refuses."""

    id: str
    index: int = -1
    profile: str = ""
    isolation: str = ""
    rung: int = 0
    network_none: bool = False
    plaintext_on_disk: bool = True
    code_dirty: bool = True
    status: str = "none"
    actor: str = ""
    data: tuple[Digest, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def unisolated(self) -> bool:
        """No room, or none that is known."""
        return self.isolation in NO_ROOM or self.rung < 1


def run_id(text: object) -> str:
    """A run's id without its prefix."""
    return text.removeprefix("run:") if isinstance(text, str) else ""


def maker_of(digest: Digest, history: History, preferred: str = "") -> str:
    """The id of the run that made the artifact: named, registered, or the newest one."""
    if preferred:
        return run_id(preferred)
    found = ""
    for entry in history.about(digest):
        kind, predicate = entry.statement.predicate_type, entry.statement.predicate
        if kind in (MODEL_VERSION, DATASET_VERSION) and run_id(predicate.get("run")):
            found = run_id(predicate.get("run"))
        elif kind == SLSA_PROVENANCE and not found:
            found = run_id(_metadata(entry).get("invocationId"))
    provenance = [e for e in history.about(digest) if e.statement.predicate_type == SLSA_PROVENANCE]
    if any(e.statement.predicate_type == MODEL_VERSION for e in history.about(digest)):
        return found
    return run_id(_metadata(provenance[-1]).get("invocationId")) if provenance else found


def read(run: str, history: History, makes: Iterable[Digest]) -> Run:
    """Everything the log says about ``run``, which is held to have made ``makes``."""
    provenance = next(
        (
            entry
            for entry in reversed(history.of_type(SLSA_PROVENANCE))
            if run and run_id(_metadata(entry).get("invocationId")) == run
        ),
        None,
    )
    closed = [e for e in history.of_type(CLOSED) if run_id(e.statement.predicate.get("run")) == run]
    status = str(closed[-1].statement.predicate.get("status", "failed")) if closed else "none"
    intents = [
        e for e in history.of_type(INTENT) if run_id(e.statement.predicate.get("run")) == run
    ]
    actor = str(intents[0].statement.predicate.get("actor", "")) if intents else ""
    if provenance is None:
        return Run(run, status=status, actor=actor, missing=("provenance",))
    made = {subject.digest for subject in provenance.statement.subjects}
    missing = [] if set(makes) <= made else ["provenance"]
    internal, room = _internal(provenance)
    data = tuple(a.digest for a in inputs_of(provenance) if a.name.startswith("data:"))
    missing += _train_evidence(provenance, intents, data, history)
    rung = room.get("rung")
    return Run(
        run,
        index=provenance.index,
        profile=str(internal.get("profile", "")),
        isolation=str(internal.get("isolation", "")),
        rung=rung if isinstance(rung, int) and not isinstance(rung, bool) else 0,
        network_none=room.get("network") in NO_NETWORK,
        plaintext_on_disk=room.get("plaintext_on_disk") is not False,
        code_dirty=any(a.name == "diff" for a in inputs_of(provenance)),
        status=status if closed else "ok",
        actor=actor,
        data=data,
        missing=tuple(missing),
    )


def _train_evidence(
    provenance: Recorded,
    intents: list[Recorded],
    data: tuple[Digest, ...],
    history: History,
) -> Iterator[str]:
    """The statements that must come before a run, where they are not there."""
    if not any(intent.index < provenance.index for intent in intents):
        yield "intent"
        return
    wanted = set(data) or {s.digest for intent in intents for s in intent.statement.subjects}
    for entry in history.of_type(DECISION):
        predicate = entry.statement.predicate
        if (
            entry.index < provenance.index
            and predicate.get("gate") == "train"
            and predicate.get("allowed") is True
            and wanted <= {subject.digest for subject in entry.statement.subjects}
        ):
            return
    yield "decision:train"


def _internal(provenance: Recorded) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    definition = _object(provenance.statement.predicate.get("buildDefinition"))
    internal = _object(definition.get("internalParameters"))
    return internal, _object(internal.get("room"))


def _metadata(entry: Recorded) -> Mapping[str, Any]:
    return _object(_object(entry.statement.predicate.get("runDetails")).get("metadata"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
