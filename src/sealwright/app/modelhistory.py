"""What happened to a model, version by version: made, approved, promoted, exported, withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sealwright.app.lineage import Lineage
from sealwright.core.digest import Digest
from sealwright.core.predicates import ALIAS, APPROVAL, EXPORT, MODEL_VERSION, REVOCATION
from sealwright.core.records import Recorded
from sealwright.evidence.history import History
from sealwright.evidence.lineage import inputs_of
from sealwright.registry.versions import Models


def events(history: History, lineage: Lineage, name: str) -> list[dict[str, Any]]:
    """Everything the log says about the model ``name``, oldest first.

    Each has ``what`` (``version``, ``approval``, ``promote``, ``rollback``, ``export`` or
    ``revocation``), ``ref``, ``about``, ``actor``, ``reason``, ``time`` and ``entry``.
    """
    versions = [model for model in Models(history).all() if model.name == name]
    refs = {model.digest: model.ref for model in versions}
    found = [
        *(_made(e) for e in history.of_type(MODEL_VERSION) if _tells(e, "name") == name),
        *(_moved(e, name) for e in history.of_type(ALIAS) if _tells(e, "model") == name),
        *(
            _event(e, "export", f"model:{name}@{_tells(e, 'version')}", "")
            for e in history.of_type(EXPORT)
            if _tells(e, "model") == name
        ),
        *_approved(lineage, refs),
        *_withdrawn(history, lineage, refs),
    ]
    return sorted(found, key=lambda event: int(event["entry"]))


def _made(entry: Recorded) -> dict[str, Any]:
    used = [f"run:{_tells(entry, 'run')}"]
    for each in inputs_of(entry):
        if each.name.startswith("data:"):
            used.append(each.name)
        elif each.name == "code":
            used.append(f"code {each.digest[:16]}")
    return _event(entry, "version", entry.statement.subjects[0].name, "from " + ", ".join(used))


def _moved(entry: Recorded, name: str) -> dict[str, Any]:
    before = _tells(entry, "previous")
    about = f"{_tells(entry, 'alias')}, before model:{name}@{before}" if before else ""
    ref = f"model:{name}@{_tells(entry, 'version')}"
    return _event(entry, str(_tells(entry, "action")), ref, about or str(_tells(entry, "alias")))


def _approved(lineage: Lineage, refs: dict[Digest, str]) -> Iterator[dict[str, Any]]:
    seen: set[int] = set()
    for digest, ref in refs.items():
        for entry in lineage.decisions(digest):
            if entry.statement.predicate_type == APPROVAL and entry.index not in seen:
                seen.add(entry.index)
                yield _event(entry, "approval", ref, "") | {"actor": _tells(entry, "approver")}


def _withdrawn(
    history: History, lineage: Lineage, refs: dict[Digest, str]
) -> Iterator[dict[str, Any]]:
    graph = lineage.models.graph
    for entry in history.of_type(REVOCATION):
        subject = entry.statement.subjects[0]
        below = {each.digest for each in graph.descendants(subject.digest)} | {subject.digest}
        hit = [ref for digest, ref in refs.items() if digest in below]
        if hit:
            yield _event(entry, "revocation", subject.name, "blocks " + ", ".join(sorted(hit)))


def _event(entry: Recorded, what: str, ref: str, about: str) -> dict[str, Any]:
    told = {key: _tells(entry, key) or "" for key in ("actor", "reason", "time")}
    return {"what": what, "ref": ref, "about": about, **told, "entry": entry.index}


def _tells(entry: Recorded, key: str) -> Any:
    return entry.statement.predicate.get(key)
