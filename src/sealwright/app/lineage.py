"""Where something came from and what was made of it, as trees over the log's statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput
from sealwright.core.predicates import (
    APPROVAL,
    DATASET_VERSION,
    DECISION,
    REQUEST,
    REVOCATION,
    SCREENING,
    SLSA_PROVENANCE,
)
from sealwright.core.records import Artifact, Recorded
from sealwright.core.refs import Ref
from sealwright.evidence import jcs
from sealwright.evidence.history import History
from sealwright.evidence.lineage import inputs_of
from sealwright.registry.versions import Model, Models, run_of

Kind = Literal["data", "model", "run", "code", "environment", "other"]
MAX_DEPTH = 40


class Node(msgspec.Struct, frozen=True):
    """One artifact or run in a tree. ``entry`` is the statement about it, -1 for none.

    ``notes`` are facts of the statement: rows, actor, isolation and the like.
    """

    ref: str
    kind: Kind
    digest: Digest
    status: str
    entry: int
    notes: dict[str, Any]
    children: tuple[Node, ...] = ()


class Lineage:
    """The trees of one history."""

    def __init__(self, history: History, source_of: Callable[[str], str]) -> None:
        """``source_of(ref)`` is where a dataset version was read from, empty if not known."""
        self._history = history
        self._source_of = source_of
        self.models = Models(history)
        self._standing = self.models.standing
        self._data: dict[str, Recorded] = {}
        self._runs: dict[str, list[Recorded]] = {}
        self._users: dict[Digest, list[Recorded]] = {}
        for entry in history.of_type(DATASET_VERSION):
            self._data[entry.statement.subjects[0].name] = entry
        for entry in history.of_type(SLSA_PROVENANCE):
            self._runs.setdefault(run_of(entry), []).append(entry)
        for entry in history.of_type(SLSA_PROVENANCE, DATASET_VERSION):
            for used in inputs_of(entry):
                self._users.setdefault(used.digest, []).append(entry)

    def artifact(self, ref: Ref) -> Artifact:
        """What a reference names (a run's digest is empty). Raises: BadInput."""
        if ref.kind == "model":
            model = self.models.resolve(ref)
            return Artifact(model.ref, model.digest)
        if ref.kind == "run":
            if ref.name not in self._runs:
                raise BadInput(
                    f"{ref} has no provenance", why="there is no such run, or it did not succeed"
                )
            return Artifact(str(ref), "")
        versions = [e for e in self._data.values() if e.statement.predicate["name"] == ref.name]
        wanted = ref.version or len(versions)
        found = self._data.get(f"data:{ref.name}@{wanted}")
        if found is None:
            raise BadInput(f"there is no {ref}", hint="seal data list")
        return found.statement.subjects[0]

    def up(self, artifact: Artifact, depth: int = 0) -> Node:
        """The artifact, and below it everything it was made from."""
        node = self._node(artifact)
        if depth >= MAX_DEPTH:
            return node
        children = tuple(self.up(each, depth + 1) for each in self._causes(artifact))
        return msgspec.structs.replace(node, children=children)

    def down(self, artifact: Artifact, depth: int = 0) -> Node:
        """The artifact, and below it everything that was made of it."""
        node = self._node(artifact)
        if depth >= MAX_DEPTH:
            return node
        children = tuple(self.down(each, depth + 1) for each in self._effects(artifact))
        return msgspec.structs.replace(node, children=children)

    def decisions(self, digest: Digest) -> Iterator[Recorded]:
        """The gates that spoke about it, and the requests and approvals, in log order."""
        asked: set[Digest] = set()
        for entry in self._history.of_type(DECISION, REQUEST, APPROVAL):
            subjects = {subject.digest for subject in entry.statement.subjects}
            if digest in subjects or subjects & asked:
                yield entry
                if entry.statement.predicate_type == REQUEST:
                    asked.add(of_bytes(jcs.canonical(entry.statement.predicate)))

    def revocations(self, digests: set[Digest]) -> Iterator[Recorded]:
        """The revocations of any of them."""
        for entry in self._history.of_type(REVOCATION):
            if digests & {subject.digest for subject in entry.statement.subjects}:
                yield entry

    def _causes(self, artifact: Artifact) -> Iterator[Artifact]:
        name = artifact.name
        if name.startswith("run:"):
            for entry in self._runs.get(name[4:], ()):
                yield from inputs_of(entry)
        elif name in self._data:
            entry = self._data[name]
            run = entry.statement.predicate.get("run")
            if run:
                yield Artifact(f"run:{run}", "")
            else:
                yield from inputs_of(entry)
        else:
            model = self._model(name)
            if model is not None and model.run:
                yield Artifact(f"run:{model.run}", "")

    def _effects(self, artifact: Artifact) -> Iterator[Artifact]:
        if artifact.name.startswith("run:"):
            yield from self._made_by(artifact.name[4:])
            return
        seen: set[str] = set()
        for entry in self._users.get(artifact.digest, ()):
            subject = entry.statement.subjects[0]
            run = run_of(entry) or str(entry.statement.predicate.get("run") or "")
            made = Artifact(f"run:{run}", "") if run else subject
            if made.name not in seen and made.name != artifact.name:
                seen.add(made.name)
                yield made

    def _made_by(self, run: str) -> Iterator[Artifact]:
        for model in reversed(self.models.all()):
            if model.run == run:
                yield Artifact(model.ref, model.digest)
        for name, entry in self._data.items():
            if entry.statement.predicate.get("run") == run:
                yield Artifact(name, entry.statement.subjects[0].digest)

    def _model(self, ref: str) -> Model | None:
        return next((model for model in self.models.all() if model.ref == ref), None)

    def _node(self, artifact: Artifact) -> Node:
        name, digest = artifact.name, artifact.digest
        if name.startswith("run:"):
            return self._run_node(name)
        if name in self._data:
            return self._data_node(self._data[name])
        model = self._model(name)
        if model is not None:
            notes = {"actor": model.actor, "time": model.time, "aliases": list(model.aliases)}
            return Node(name, "model", digest, model.status, model.index, notes)
        kind: Kind = "other"
        if name in ("code", "environment"):
            kind = name  # type: ignore[assignment]
        return Node(name, kind, digest, self._standing.of(digest), -1, {})

    def _run_node(self, name: str) -> Node:
        entries = self._runs.get(name[4:], [])
        if not entries:
            return Node(name, "run", "", "unknown", -1, {})
        value: Any = entries[0].statement.predicate
        definition = value["buildDefinition"]
        notes = {
            "command": definition["externalParameters"].get("command", []),
            "stage": definition["externalParameters"].get("stage", ""),
            "isolation": definition["internalParameters"].get("isolation", "unknown"),
            "finished": value["runDetails"]["metadata"].get("finishedOn", ""),
        }
        return Node(name, "run", "", "ok", entries[0].index, notes)

    def _data_node(self, entry: Recorded) -> Node:
        told = entry.statement.predicate
        subject = entry.statement.subjects[0]
        keys = ("rows", "root", "external", "actor", "reason", "time")
        notes = {key: told.get(key) for key in keys}
        notes["source"] = self._source_of(subject.name)
        notes["screening"] = verdict_of(self._history, subject.digest)
        return Node(
            subject.name,
            "data",
            subject.digest,
            self._standing.of(subject.digest),
            entry.index,
            notes,
        )


def verdict_of(history: History, version: Digest) -> str:
    """What the newest screening of a version says; ``unscreened`` where nobody looked."""
    found = [e for e in history.about(version) if e.statement.predicate_type == SCREENING]
    return str(found[-1].statement.predicate.get("verdict")) if found else "unscreened"


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def changes(history: History, ref: Ref) -> list[dict[str, Any]]:
    """Every version of a dataset, oldest first: who, why, and what changed."""
    out: list[dict[str, Any]] = []
    for entry in history.of_type(DATASET_VERSION):
        told = entry.statement.predicate
        if told.get("name") == ref.name:
            keys = ("rows", "root", "change", "actor", "reason", "time")
            version = {key: told.get(key) for key in keys}
            out.append({"ref": entry.statement.subjects[0].name, **version, "entry": entry.index})
    return out
