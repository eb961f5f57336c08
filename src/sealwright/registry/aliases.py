"""Promotion and rollback: an alias moves by a statement, and every move is kept."""

from __future__ import annotations

import msgspec

from sealwright.core.clock import stamp
from sealwright.core.errors import BadInput, Refused
from sealwright.core.ports import Clock, Recorder
from sealwright.core.predicates import ALIAS
from sealwright.core.records import Artifact, Decision, Json, Statement
from sealwright.core.refs import check_name
from sealwright.registry.register import allow
from sealwright.registry.versions import Model, Models


class Move(msgspec.Struct, frozen=True):
    """An alias that moved: to which model, from which version (0: from none)."""

    model: Model
    alias: str
    previous: int
    action: str
    index: int


class Mover(msgspec.Struct, frozen=True):
    """Who moves an alias and why, and what records it."""

    actor: str
    reason: str
    recorder: Recorder
    clock: Clock


def promote(models: Models, model: Model, alias: str, decision: Decision, mover: Mover) -> Move:
    """Point ``alias`` at ``model``.

    Raises: GateDenied, Refused (``model.revoked``, ``model.blocked``), BadInput (the name, or
    the alias points there already).
    """
    check_alias(alias)
    allow(decision, "promote", model.ref)
    refuse_unusable(model)
    present = models.find_alias(model.name, alias)
    if present and present.version == model.version:
        raise BadInput(f"{alias} already points at {model.ref}", hint="seal model list")
    return _move(model, alias, present.version if present else 0, "promote", decision, mover)


def rollback_target(models: Models, name: str, alias: str) -> Model:
    """Where a rollback would go: the newest version the alias pointed at before that still holds.

    Raises: BadInput (no such alias), Refused (``model.no-rollback``: nothing to go back to).
    """
    trail = models.alias(name, alias).trail
    for version in reversed(trail[:-1]):
        model = next(m for m in models.of(name) if m.version == version)
        if model.status == "active":
            return model
    raise Refused(
        f"{name}@{alias} has no earlier version to go back to",
        why=f"it points at {trail[-1]}; earlier versions: "
        + (", ".join(map(str, trail[:-1])) + " (revoked or blocked)" if trail[1:] else "none"),
        hint=f"seal model promote {name}@N {alias}",
        rule="model.no-rollback",
    )


def rollback(models: Models, name: str, alias: str, decision: Decision, mover: Mover) -> Move:
    """Point ``alias`` back. Raises: GateDenied, BadInput, Refused."""
    model = rollback_target(models, name, alias)
    allow(decision, "promote", model.ref)
    previous = models.alias(name, alias).version
    return _move(model, alias, previous, "rollback", decision, mover)


def check_alias(alias: str) -> str:
    """Return ``alias`` if it can be one. Raises: BadInput."""
    check_name(alias)
    if alias == "latest" or alias.isdecimal():
        raise BadInput(f"{alias!r} cannot be an alias", why="it already means a version")
    return alias


def refuse_unusable(model: Model) -> Model:
    """Return an active model. Raises: Refused, rule ``model.revoked`` or ``model.blocked``."""
    if model.status == "active":
        return model
    names = ", ".join(artifact.name for artifact in model.blocked_by)
    raise Refused(
        f"{model.ref} is {model.status}",
        why=f"it was made from {names}, which was revoked" if names else "it was revoked",
        hint=f"train again without it; seal lineage {model.ref} shows how it got in",
        rule=f"model.{model.status}",
        evidence=[artifact.digest[:16] for artifact in model.blocked_by],
    )


def _move(
    model: Model, alias: str, previous: int, action: str, decision: Decision, mover: Mover
) -> Move:
    predicate: dict[str, Json] = {
        "model": model.name,
        "alias": alias,
        "version": model.version,
        "previous": previous,
        "action": action,
        "decision": decision.id,
        "actor": mover.actor,
        "reason": mover.reason,
        "time": stamp(mover.clock()),
    }
    subject = Artifact(model.ref, model.digest)
    receipt = mover.recorder.record(Statement((subject,), ALIAS, predicate))
    return Move(model, alias, previous, action, receipt.index)
