"""Sensitivity that a person confirmed for a version after it was signed; it only ever raises."""

from __future__ import annotations

from sealwright.core.digest import Digest
from sealwright.core.predicates import CLASSIFICATION
from sealwright.core.sensitivity import Sensitivity, highest
from sealwright.evidence.history import History


def confirmed(history: History) -> dict[Digest, Sensitivity]:
    """Version digest → the highest level anybody confirmed; what cannot be read is sensitive."""
    found: dict[Digest, Sensitivity] = {}
    for entry in history.of_type(CLASSIFICATION):
        level = entry.statement.predicate.get("confirmed")
        for subject in entry.statement.subjects:
            said = level if isinstance(level, str) else "unreadable"
            found[subject.digest] = highest((found.get(subject.digest, ""), said))
    return found
