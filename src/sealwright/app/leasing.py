"""Leases: a model's weights are opened for serving on one host, for a time, by a statement.

The statement (``lease/v1``) names model, host and end. Beside it the state directory holds a secret
that the key service wrapped with exactly these as its context: on another host, for another model
or with another end it does not open. A lease bounds who follows the rules and shows every opening
in the log; whoever holds the workspace's keys can open the weights without one.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from sealwright.core import clock, settings
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, Refused, SealError, VerifyError
from sealwright.core.predicates import LEASE
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.evidence.history import History
from sealwright.policy.principals import host_id
from sealwright.registry.versions import Model
from sealwright.vault import private

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

LONGEST = timedelta(days=366)
_KEY = "leases"


class Lease(msgspec.Struct, frozen=True):
    """A lease as the log has it. ``secret`` is the digest of what the key service opens."""

    id: str
    model: str
    digest: Digest
    host: str
    until: str
    secret: Digest
    actor: str
    reason: str
    time: str
    index: int = -1

    def until_ms(self) -> int:
        """When it ends, in milliseconds since 1970."""
        return int(clock.parse(self.until).timestamp() * 1000)


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lease: str
    host: str
    until: str
    secret: Digest
    action: str
    actor: str
    reason: str
    time: str


def take(workspace: Workspace, model: Model, span: str, reason: str) -> Lease:
    """A lease of ``model`` on this host, for ``span`` from now. Raises: BadInput, SealError."""
    if not reason.strip():
        raise BadInput("a lease says why", hint='add --reason "…"')
    now = workspace.clock()
    lasts = timedelta(seconds=settings.span_s(span))
    if not timedelta() < lasts <= LONGEST:
        raise BadInput(f"a lease of {span} is not given", why="from 1s to 366d")
    until, name, host = clock.stamp(now + lasts), secrets.token_hex(8), host_id()
    secret = secrets.token_bytes(32)
    workspace.kms.create(_KEY)
    wrapped = workspace.kms.wrap(_KEY, secret, _context(host, model.digest, until))
    folder = workspace.state_dir / "leases"
    private.make_dir(folder)
    private.create(folder / name, wrapped)
    said: dict[str, Json] = {
        "lease": name,
        "host": host,
        "until": until,
        "secret": of_bytes(secret),
        "action": "take",
        "actor": workspace.principal.name,
        "reason": reason,
        "time": clock.stamp(now),
    }
    with workspace.lock():
        receipt = workspace.recorder.record(
            Statement((Artifact(model.ref, model.digest),), LEASE, said)
        )
    return _lease(model.ref, model.digest, msgspec.convert(said, _Told), receipt.index)


def end(workspace: Workspace, lease: Lease, reason: str) -> None:
    """Give a lease back: what serves under it stops within seconds."""
    said: dict[str, Json] = {
        "lease": lease.id,
        "host": lease.host,
        "until": lease.until,
        "secret": lease.secret,
        "action": "end",
        "actor": workspace.principal.name,
        "reason": reason,
        "time": clock.stamp(workspace.clock()),
    }
    with workspace.lock():
        workspace.recorder.record(Statement((Artifact(lease.model, lease.digest),), LEASE, said))
    path = workspace.state_dir / "leases" / lease.id
    if path.exists():
        private.overwrite(path)
        private.remove(path)


def leases(history: History, digest: Digest) -> tuple[Lease, ...]:
    """The leases of a model that were not given back, oldest first. Raises: VerifyError."""
    out: dict[str, Lease] = {}
    for entry in history.about(digest):
        if entry.statement.predicate_type != LEASE:
            continue
        told = _read(entry)
        if told.action == "end":
            out.pop(told.lease, None)
        else:
            subject = entry.statement.subjects[0]
            out[told.lease] = _lease(subject.name, subject.digest, told, entry.index)
    return tuple(out.values())


def live(workspace: Workspace, history: History, digest: Digest) -> Lease | None:
    """The lease on this host that ends last, opened by the key service; None where none is."""
    now, host = workspace.clock(), host_id()
    found = [
        one for one in leases(history, digest) if one.host == host and clock.parse(one.until) > now
    ]
    for lease in sorted(found, key=lambda one: one.until, reverse=True):
        if _opens(workspace, lease):
            return lease
    return None


def _opens(workspace: Workspace, lease: Lease) -> bool:
    """Whether the vault bears a lease out; one that it does not is as good as none."""
    try:
        wrapped = private.read(workspace.state_dir / "leases" / lease.id)
        context = _context(host_id(), lease.digest, lease.until)
        return of_bytes(workspace.kms.unwrap(_KEY, wrapped, context)) == lease.secret
    except (FileNotFoundError, Refused):
        return False


def _read(entry: Recorded) -> _Told:
    try:
        told = msgspec.convert(dict(entry.statement.predicate), _Told, strict=True)
        clock.parse(told.until)
    except (msgspec.ValidationError, SealError) as error:
        where = f"entry {entry.index}"
        raise VerifyError(
            f"log {where} cannot be read", where=where, why=str(error), rule="lease.statement"
        ) from error
    return told


def _lease(model: str, digest: Digest, told: _Told, index: int) -> Lease:
    return Lease(
        told.lease,
        model,
        digest,
        told.host,
        told.until,
        told.secret,
        told.actor,
        told.reason,
        told.time,
        index,
    )


def _context(host: str, digest: Digest, until: str) -> bytes:
    return f"sealwright lease v1 {host} {digest} {until}".encode()
