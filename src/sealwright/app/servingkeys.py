"""Serving keys of a workspace: each made and each revoked by a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sealwright.app import accessing
from sealwright.core.clock import stamp
from sealwright.core.errors import BadInput
from sealwright.core.predicates import SERVING_KEY
from sealwright.serve import callers
from sealwright.serve.callers import ServingKey
from sealwright.serve.interface import Fidelity

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


class Wish(msgspec.Struct, frozen=True):
    """What a new key shall be. ``until`` is ``+30d`` or a time."""

    organisation: str
    internal: bool
    fidelity: Fidelity
    budget_bits: int
    until: str
    honey: bool


class Made(msgspec.Struct, frozen=True):
    """A key as it is printed once, and as the log has it."""

    key: str
    record: ServingKey
    index: int


def create(workspace: Workspace, name: str, wish: Wish, reason: str) -> Made:
    """Make a key. Raises: BadInput (the name is taken, a grant without an end), GateDenied."""
    callers.check_name(name)
    callers.check_grant(wish.internal, wish.fidelity, wish.budget_bits, wish.until)
    now = workspace.clock()
    until = accessing.moment(wish.until, now) if wish.until else ""
    with workspace.lock():
        accessing.require(
            workspace, "administer", [accessing.whole_project(workspace)], reason=reason
        )
        if name in {key.name for key in listed(workspace)}:
            raise BadInput(f"there was a key {name} already", hint="seal serve keys list")
        key = callers.new_key()
        record = callers.made(
            name,
            key,
            organisation=wish.organisation,
            internal=wish.internal,
            fidelity=wish.fidelity,
            budget_bits=wish.budget_bits,
            until=until,
            honey=wish.honey,
            actor=workspace.principal.name,
            reason=reason,
            now=now,
        )
        receipt = workspace.recorder.record(callers.statement_of(record))
    return Made(key, record, receipt.index)


def listed(workspace: Workspace) -> tuple[ServingKey, ...]:
    """Every key there ever was, by name, as the last statement about it has it."""
    found = callers.keys_of(workspace.history().of_type(SERVING_KEY))
    return tuple(found[name] for name in sorted(found))


def revoke(workspace: Workspace, name: str, reason: str) -> tuple[ServingKey, int]:
    """A key is good no more; servers know within a second. Raises: BadInput, GateDenied."""
    with workspace.lock():
        accessing.require(
            workspace, "administer", [accessing.whole_project(workspace)], reason=reason
        )
        found = {key.name: key for key in listed(workspace)}.get(name)
        if found is None or found.action != "create":
            raise BadInput(f"no key {name} is good", hint="seal serve keys list")
        ended = msgspec.structs.replace(
            found,
            action="revoke",
            by=workspace.principal.name,
            reason=reason,
            time=stamp(workspace.clock()),
        )
        receipt = workspace.recorder.record(callers.statement_of(ended))
    return ended, receipt.index
