"""A reference without its prefix: data, model or run, where only one of them fits."""

from __future__ import annotations

from sealwright.core import refs
from sealwright.core.errors import BadInput
from sealwright.core.predicates import (
    CLOSED,
    DATASET_VERSION,
    INTENT,
    MODEL_VERSION,
    SLSA_PROVENANCE,
)
from sealwright.core.refs import Kind, Ref
from sealwright.evidence.history import History
from sealwright.registry.versions import run_of


def resolve(text: str, history: History) -> Ref:
    """Parse ``text``; without a prefix, find the one kind that has such a name.

    Raises: BadInput (no such name, or several kinds have it).
    """
    if ":" in text:
        ref = refs.parse(text)
        return run(text, history) if ref.kind == "run" else ref
    name = text.partition("@")[0]
    kinds: list[Kind] = [kind for kind, names in _names(history).items() if name in names]
    if not kinds:
        raise BadInput(
            f"nothing here is called {name!r}",
            why="no dataset, no model and no run has that name",
            hint="seal data list; seal model list",
        )
    if len(kinds) > 1:
        raise BadInput(
            f"{text!r} could be {' or '.join(f'{kind}:{text}' for kind in kinds)}",
            hint=f"write {kinds[0]}:{text}",
        )
    return refs.parse(text, kinds[0])


def run(text: str, history: History) -> Ref:
    """A run; ``run:latest`` is the newest that ended well. Raises: BadInput."""
    ref = refs.parse(text, "run")
    if ref.name != "latest":
        return ref
    ended = history.of_type(SLSA_PROVENANCE)
    if not ended:
        raise BadInput("no run has ended well yet", hint="seal run")
    return Ref("run", run_of(ended[-1]))


def _names(history: History) -> dict[Kind, set[str]]:
    def told(key: str, *kinds: str) -> set[str]:
        return {str(entry.statement.predicate.get(key)) for entry in history.of_type(*kinds)}

    return {
        "data": told("name", DATASET_VERSION),
        "model": told("name", MODEL_VERSION),
        "run": told("run", INTENT, CLOSED),
    }
