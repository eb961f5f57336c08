"""``seal model lease``: taken, listed, given back."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sealwright.app import accessing, leasing
from sealwright.app.cli.model_views import resolved
from sealwright.app.exporting import artifact_of
from sealwright.app.leasing import Lease
from sealwright.core.errors import BadInput
from sealwright.policy.principals import host_id
from sealwright.registry.aliases import refuse_unusable

if TYPE_CHECKING:
    from sealwright.app.cli.out import Out
    from sealwright.app.wiring import Workspace


def run(workspace: Workspace, args: argparse.Namespace, out: Out) -> int:
    """Take a lease; or, with ``--list`` or ``--end``, show or end those there are."""
    model = resolved(workspace, args.ref)
    found = leasing.leases(workspace.history(), model.digest)
    if args.list:
        rows = [[one.id, one.until, _where(one), one.actor, one.reason] for one in found]
        head = ["lease", "until", "host", "taken by", "reason"]
        shape = {"ref": model.ref, "leases": [lease_json(one) for one in found]}
        out.emit(shape, lambda: out.table(rows, head) or f"no lease of {model.ref}")
        return 0
    if args.end:
        return _end(workspace, found, args.reason, out)
    refuse_unusable(model)
    accessing.require(
        workspace,
        "deploy",
        [artifact_of(model)],
        reason=args.reason,
        size_bytes=model.size_bytes,
    )
    lease = leasing.take(workspace, model, args.span, args.reason)
    for note in workspace.settle():
        out.note(note)
    out.emit(
        lease_json(lease),
        f"{model.ref} may be served on this host until {lease.until}\n"
        f"  lease   {lease.id}, entry {lease.index}",
    )
    return 0


def _end(workspace: Workspace, found: tuple[Lease, ...], reason: str, out: Out) -> int:
    here = [one for one in found if one.host == host_id()]
    if not here:
        raise BadInput("there is no lease on this host to end", hint="seal model lease REF --list")
    for lease in here:
        leasing.end(workspace, lease, reason)
    for note in workspace.settle():
        out.note(note)
    shape = {"ended": [lease.id for lease in here]}
    out.emit(shape, f"ended: {', '.join(shape['ended'])}; what serves under them stops")
    return 0


def _where(lease: Lease) -> str:
    return "this one" if lease.host == host_id() else lease.host


def lease_json(lease: Lease) -> dict[str, Any]:
    """One lease (docs/reference/json-serve.md)."""
    return {
        "lease": lease.id,
        "ref": lease.model,
        "host": lease.host,
        "until": lease.until,
        "actor": lease.actor,
        "reason": lease.reason,
        "entry": lease.index,
    }
