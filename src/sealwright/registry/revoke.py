"""Revocation: a dataset or model is withdrawn, and everything made from it is blocked."""

from __future__ import annotations

import msgspec

from sealwright.core.clock import stamp
from sealwright.core.errors import BadInput
from sealwright.core.ports import Clock, Recorder
from sealwright.core.predicates import REVOCATION
from sealwright.core.records import Artifact, Json, Statement
from sealwright.evidence.history import History
from sealwright.evidence.lineage import Graph
from sealwright.evidence.standing import revoked
from sealwright.registry.versions import Models

MAX_LISTED = 200
"""How many descendants the statement itself lists; the rest follow from the log anyway."""


class Revocation(msgspec.Struct, frozen=True):
    """What was revoked, what it reaches, and the aliases that point at a blocked model now."""

    artifact: Artifact
    blast: tuple[Artifact, ...]
    models: tuple[str, ...]
    aliases: tuple[str, ...]
    index: int = -1


def blast_radius(history: History, artifact: Artifact) -> Revocation:
    """What revoking ``artifact`` would block; changes nothing.

    ``blast`` is every descendant by digest, in the order the log made them.
    """
    blast = Graph.of(history).descendants(artifact.digest)
    reached = {item.digest for item in blast} | {artifact.digest}
    hit = [model for model in reversed(Models(history).all()) if model.digest in reached]
    aliases = tuple(f"model:{m.name}@{alias}" for m in hit for alias in m.aliases)
    named = {e.digest: Artifact(e.ref, e.digest) for e in hit}
    blast = tuple(named.get(item.digest, item) for item in blast)
    return Revocation(artifact, blast, tuple(model.ref for model in hit), aliases)


def revoke(
    history: History,
    artifact: Artifact,
    *,
    actor: str,
    reason: str,
    recorder: Recorder,
    clock: Clock,
) -> Revocation:
    """Withdraw ``artifact`` (``data:NAME@N`` or ``model:NAME@N``) for good.

    Raises: BadInput (no reason, unknown to the log, or revoked already).
    """
    if not reason.strip():
        raise BadInput("a revocation needs a reason", hint='add --reason "…"')
    if not history.about(artifact.digest):
        raise BadInput(f"the log knows no {artifact.name}", hint="seal data list; seal model list")
    before = revoked(history).get(artifact.digest)
    if before is not None:
        raise BadInput(f"{artifact.name} is revoked already", why=f"since log entry {before.index}")
    found = blast_radius(history, artifact)
    listed: list[Json] = [
        {"name": item.name, "digest": item.digest} for item in found.blast[:MAX_LISTED]
    ]
    predicate: dict[str, Json] = {
        "reason": reason,
        "actor": actor,
        "time": stamp(clock()),
        "blast": listed,
        "blast_total": len(found.blast),
    }
    receipt = recorder.record(Statement((artifact,), REVOCATION, predicate))
    return msgspec.structs.replace(found, index=receipt.index)
