"""What a log has to say about a model that left: gates, data, and the run that made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sealwright.core.errors import Unavailable, VerifyError
from sealwright.core.predicates import DATASET_VERSION, DECISION
from sealwright.core.records import Artifact, Recorded
from sealwright.evidence.history import History
from sealwright.evidence.lineage import inputs_of
from sealwright.evidence.trust import Trust
from sealwright.policy.replay import replay
from sealwright.registry.versions import Model, Models, provenance


def decisions(history: History, model: Model, told: Recorded) -> tuple[Recorded, ...]:
    """The decisions that let the model be registered and exported."""
    found: list[Recorded] = []
    wanted = {"register": model.decision, "export": str(told.statement.predicate["decision"])}
    for gate, digest in wanted.items():
        entry = next(
            (e for e in history.of_type(DECISION) if e.statement.predicate.get("id") == digest),
            None,
        )
        predicate: Mapping[str, Any] = entry.statement.predicate if entry else {}
        if (
            entry is None
            or predicate.get("gate") != gate
            or predicate.get("allowed") is not True
            or model.digest not in {subject.digest for subject in entry.statement.subjects}
        ):
            raise VerifyError(
                f"no decision of the {gate} gate allowed {model.ref}",
                where=f"decision {digest[:16]}",
                why="the log has none that allows it for this model",
                rule="bundle.decision-missing",
            )
        found.append(entry)
    return tuple(found)


def replayed(decisions: Iterable[Recorded], history: History, trust: Trust) -> list[str]:
    """Judge each decision again from the log; what this version cannot judge is a warning.

    Raises: VerifyError (rule ``decision.*``): a decision does not follow from the log.
    """
    unread: list[str] = []
    for entry in decisions:
        try:
            replay(entry, history, trust)
        except Unavailable as error:
            gate = entry.statement.predicate["gate"]
            unread.append(f"the {gate} decision was not judged again: {error.what}")
    return unread


def datasets(history: History, model: Model) -> tuple[Artifact, ...]:
    """The dataset versions that went in; each has to have its statement."""
    found = tuple(item for item in model.inputs if item.name.startswith("data:"))
    for item in found:
        kinds = {entry.statement.predicate_type for entry in history.about(item.digest)}
        if DATASET_VERSION not in kinds:
            raise VerifyError(
                f"the log has no statement about {item.name}",
                where=f"entry {model.index}",
                why=f"{model.ref} names it as its input",
                rule="bundle.dataset-missing",
            )
    return found


def provenance_of(
    models: Models, model: Model, datasets: tuple[Artifact, ...]
) -> tuple[Recorded | None, list[str]]:
    """The run's provenance, and warnings. Raises: VerifyError (none, or it names other data)."""
    if not model.run:
        return None, ["no run made this model: where it came from is not known"]
    run = provenance(models, model)
    if run is None:
        raise VerifyError(
            f"the log has no provenance of run {model.run}",
            where=f"entry {model.index}",
            why=f"{model.ref} says that run made it",
            rule="bundle.provenance-missing",
        )
    told = {item.digest: item.name for item in datasets}
    used = {a.digest: a.name for a in inputs_of(run) if a.name.startswith("data:")}
    if odd := told.keys() ^ used.keys():
        digest = min(odd)
        raise VerifyError(
            f"{model.ref} and run {model.run} do not name the same data",
            where=f"entry {run.index}",
            why=f"only one of them names {told.get(digest) or used[digest]}",
            rule="bundle.provenance-differs",
        )
    return run, [] if datasets else ["the run read no signed dataset"]


def room(run: Recorded | None) -> tuple[str, str]:
    """The isolation and the profile that a run's provenance tells of."""
    predicate: Any = run.statement.predicate if run else {}
    try:
        inner = predicate["buildDefinition"]["internalParameters"]
        return str(inner.get("isolation", "unknown")), str(inner.get("profile", "unknown"))
    except (KeyError, TypeError, AttributeError):
        return "unknown", "unknown"
