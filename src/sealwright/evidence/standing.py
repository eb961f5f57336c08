"""What revocations in a log mean for an artifact: itself withdrawn, or made of what was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sealwright.core.digest import Digest
from sealwright.core.predicates import REVOCATION
from sealwright.core.records import Artifact, Recorded
from sealwright.evidence.history import History
from sealwright.evidence.lineage import Graph

Status = Literal["active", "revoked", "blocked"]


def revoked(history: History) -> Mapping[Digest, Recorded]:
    """Every revoked digest, and the entry that revoked it first."""
    out: dict[Digest, Recorded] = {}
    for entry in history.of_type(REVOCATION):
        for subject in entry.statement.subjects:
            out.setdefault(subject.digest, entry)
    return out


class Standing:
    """Which artifacts are ``revoked``, or ``blocked`` by what they were made from."""

    def __init__(self, history: History, graph: Graph | None = None) -> None:
        self.revoked = revoked(history)
        self._graph = graph or Graph.of(history)

    def of(self, digest: Digest) -> Status:
        """``active``, ``revoked`` or ``blocked``."""
        if digest in self.revoked:
            return "revoked"
        return "blocked" if self.blocked_by(digest) else "active"

    def blocked_by(self, digest: Digest) -> tuple[Artifact, ...]:
        """The revoked artifacts that it was made from, each once."""
        above = self._graph.ancestors(digest)
        hit = {each.digest: each for each in above if each.digest in self.revoked}
        return tuple(hit.values())
