"""What only the gate ``serve`` knows: who can ask, and whose weights answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealwright.core.records import Artifact, Json
from sealwright.policy.facts import Gate
from sealwright.policy.factsheet import Value

UPSTREAM = "upstream:"
"""What begins the name of another server's model of which nobody says which it is."""
OURS, SAID, UNNAMED = range(3)


def facts(
    gate: Gate, subjects: Sequence[Artifact], params: Mapping[str, Json]
) -> Mapping[str, Value]:
    """A model of this project is in our own worker unless the request says ``upstream``."""
    serves = gate == "serve"
    whose = OURS if params.get("upstream", False) is False else SAID
    if not subjects or any(subject.name.startswith(UPSTREAM) for subject in subjects):
        whose = UNNAMED
    return {
        "serve_external": serves and params.get("external") is not False,
        "serve_upstream": whose if serves else OURS,
    }
