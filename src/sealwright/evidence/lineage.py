"""Who was made from what: a graph over the digests that statements name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.predicates import DATASET_VERSION, MODEL_VERSION, SLSA_PROVENANCE
from sealwright.core.records import Artifact, Recorded
from sealwright.evidence.history import History

_EMPTY = of_bytes(b"")
"""Empty files are equal everywhere, so they are nobody's ancestor."""

_MAKERS = frozenset({DATASET_VERSION, MODEL_VERSION, SLSA_PROVENANCE})


class Graph:
    """Inputs → subjects of every statement that says one was made from the other.

    Every answer is in log order, nearest first for the transitive ones, and holds each
    artifact once. An artifact is its digest; its name is the first one it was given.
    """

    def __init__(self) -> None:
        self._names: dict[Digest, Artifact] = {}
        self._into: dict[Digest, dict[Digest, None]] = {}
        self._from: dict[Digest, dict[Digest, None]] = {}

    @classmethod
    def of(cls, history: History) -> Graph:
        """The graph over everything a verified history says."""
        graph = cls()
        for entry in history.of_type(*_MAKERS):
            graph._add(entry)
        return graph

    def artifact(self, digest: Digest) -> Artifact | None:
        """The artifact of that digest under the first name a statement gave it."""
        return self._names.get(digest)

    def ancestors(self, digest: Digest) -> tuple[Artifact, ...]:
        """Everything it was made from."""
        return self._named(_walk(digest, self._from))

    def descendants(self, digest: Digest) -> tuple[Artifact, ...]:
        """Everything made from it: the blast radius of a revocation."""
        return self._named(_walk(digest, self._into))

    def _add(self, entry: Recorded) -> None:
        made = entry.statement.subjects
        used = tuple(inputs_of(entry))
        for artifact in (*made, *used):
            self._names.setdefault(artifact.digest, artifact)
        for output in made:
            for source in used:
                if source.digest != output.digest and _EMPTY not in (source.digest, output.digest):
                    self._into.setdefault(source.digest, {})[output.digest] = None
                    self._from.setdefault(output.digest, {})[source.digest] = None

    def _named(self, digests: Iterable[Digest]) -> tuple[Artifact, ...]:
        return tuple(self._names[digest] for digest in digests)


def inputs_of(entry: Recorded) -> Iterator[Artifact]:
    """What a statement says its subjects were made from.

    SLSA: ``buildDefinition.resolvedDependencies``; our own: ``inputs``.
    """
    predicate: Mapping[str, Any] = entry.statement.predicate
    if entry.statement.predicate_type == SLSA_PROVENANCE:
        definition = _object(predicate.get("buildDefinition"))
        for item in _objects(definition.get("resolvedDependencies")):
            sha256 = _object(item.get("digest")).get("sha256")
            if isinstance(sha256, str):
                yield Artifact(str(item.get("name", "")), sha256)
        return
    for item in _objects(predicate.get("inputs")):
        if isinstance(item.get("digest"), str):
            yield Artifact(str(item.get("name", "")), item["digest"])


def _walk(start: Digest, edges: Mapping[Digest, Mapping[Digest, None]]) -> list[Digest]:
    seen: dict[Digest, None] = {}
    queue = deque(edges.get(start, ()))
    while queue:
        digest = queue.popleft()
        if digest not in seen and digest != start:
            seen[digest] = None
            queue.extend(edges.get(digest, ()))
    return list(seen)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
